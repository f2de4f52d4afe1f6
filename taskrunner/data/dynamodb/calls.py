"""What is asked of DynamoDB, and how its refusals are told to people.

Everything else in this room knows only `Calls`: a request and a reply as the API's own JSON.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

Reply = dict[str, Any]


class Calls(Protocol):
    """DynamoDB in one region. Thread-safe; what may pass by itself has been tried again."""

    @property
    def region(self) -> str:
        """The region, for messages."""
        ...

    def call(
        self, operation: str, request: Mapping[str, Any], stop: threading.Event | None = None
    ) -> Reply:
        """Call an operation. Raises Refused, Unanswered, and Stopped."""
        ...

    def close(self) -> None:
        """Let the connections go."""
        ...


class Refused(Exception):
    """DynamoDB said no."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{message} ({code})" if message else code)


class Unanswered(TaskError):
    """There was no usable answer, however often it was tried."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error_id=ErrorId.CONNECTION_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A table as a definition names it."""

    #: Its name, or its ARN.
    table: str
    #: The object that names it, and by which field, for messages.
    owner: str
    field: str = "tableName"

    @property
    def origin(self) -> str:
        """Where it is named."""
        return f"{self.owner}, field {self.field!r}"

    def __str__(self) -> str:
        return f"{self.origin}, table {self.table!r}"


_DENIED = {
    "AccessDeniedException": "let the agent's credentials do that",
    "ExpiredTokenException": "renew the agent's credentials",
    "IncompleteSignatureException": "correct the agent's credentials",
    "InvalidClientTokenId": "correct the agent's credentials",
    "InvalidSignatureException": "correct the agent's secret key, or the host's clock",
    "MissingAuthenticationTokenException": "give the agent credentials",
    "UnrecognizedClientException": "correct the agent's credentials",
}
_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
}
#: Codes of refusals that the same call may not meet later.
PASSING = _THROTTLED | {
    "InternalServerError",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "ServiceUnavailable",
    "TransactionInProgressException",
}


@contextmanager
def refusals(named: Named, verb: str, region: str) -> Iterator[None]:
    """Tell DynamoDB's refusals as TaskErrors that say what was to be done with which table."""
    try:
        yield
    except Refused as error:
        raise told(error, named, verb, region) from error
    except Unanswered as error:
        message = f"{named}: cannot {verb} it in {region}: {error}"
        raise TaskError(message, error_id=error.error_id) from error


def told(error: Refused, named: Named, verb: str, region: str) -> TaskError:
    """A refusal as an error of the attempt."""
    if error.code == "ResourceNotFoundException":
        message = (
            f"{named.origin}: there is no table {named.table!r} in {region}; "
            "create it, or correct its name or region"
        )
        return TaskError(message, error_id=ErrorId.NOT_FOUND)
    what = f"{named}: cannot {verb} it in {region}"
    if remedy := _DENIED.get(error.code):
        message = f"{what}: {error}; {remedy}"
        return TaskError(message, error_id=ErrorId.ACCESS_DENIED)
    if error.code in _THROTTLED:
        message = f"{what}: it is still throttled; use a smaller share, or give it more capacity"
        return TaskError(message, error_id=ErrorId.CONNECTION_FAILED)
    if error.code in PASSING:
        return TaskError(f"{what}: {error}", error_id=ErrorId.CONNECTION_FAILED)
    if error.code == "ValidationException":
        return PermanentTaskError(f"{what}: {error}", error_id=ErrorId.INVALID_FIELD)
    return TaskError(f"{what}: {error}")

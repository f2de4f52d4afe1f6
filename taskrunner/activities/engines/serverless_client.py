"""EMR Serverless's API as far as jobs need it. Every call may be repeated: jobs have tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

T = TypeVar("T")

_OVER = frozenset({"SUCCESS", "FAILED", "CANCELLED"})
_ACTIVE = ("SUBMITTED", "PENDING", "SCHEDULED", "RUNNING", "QUEUED")
_DENIED = frozenset({"AccessDeniedException", "UnrecognizedClientException"})
#: How often botocore makes a call: it waits longer each time, two minutes in all.
_TRIES = 8


class Unanswered(TaskError):
    """It cannot be reached for now, or failed; the same call may be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job of an application."""

    id: str
    name: str
    state: str
    details: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more."""
        return self.state in _OVER

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Job:
        """Read the description of one, or its line in a list."""
        return cls(
            id=str(reply.get("jobRunId") or reply.get("id") or ""),
            name=str(reply.get("name", "")),
            state=str(reply.get("state", "")),
            details=" ".join(str(reply.get("stateDetails") or "").split()),
        )


class ServerlessClient:
    """Calls about the applications of a region."""

    def __init__(self, api: Any) -> None:
        self._api = api

    @classmethod
    def connect(cls, region: str) -> ServerlessClient:
        """A client by botocore's own configuration; raises TaskError."""
        import botocore.exceptions as aws
        import botocore.session
        from botocore.config import Config

        retries: Any = {"mode": "standard", "total_max_attempts": _TRIES}
        config = Config(connect_timeout=10, read_timeout=60, retries=retries)
        try:
            session = botocore.session.get_session()
            api = session.create_client("emr-serverless", region_name=region, config=config)
        except (aws.BotoCoreError, ValueError) as error:
            raise TaskError(f"cannot reach EMR Serverless: {error}") from error
        return cls(api)

    def kind(self, application: str) -> str:
        """Spark or Hive, in capitals."""
        reply = _asked(lambda: self._api.get_application(applicationId=application))
        return str(reply["application"]["type"]).upper()

    def start(self, **arguments: Any) -> str:
        """Start a job, once for each token; returns its id."""
        return str(_asked(lambda: self._api.start_job_run(**arguments))["jobRunId"])

    def job(self, application: str, job_id: str) -> Job:
        """What has become of a job."""
        reply = _asked(lambda: self._api.get_job_run(applicationId=application, jobRunId=job_id))
        return Job.of(reply["jobRun"])

    def active(self, application: str) -> list[Job]:
        """The jobs that run or wait."""

        def ask() -> list[Job]:
            pages = self._api.get_paginator("list_job_runs").paginate(
                applicationId=application, states=list(_ACTIVE)
            )
            return [Job.of(found) for page in pages for found in page["jobRuns"]]

        return _asked(ask)

    def cancel(self, application: str, job_id: str) -> None:
        """Have a job end."""
        _asked(lambda: self._api.cancel_job_run(applicationId=application, jobRunId=job_id))


def _asked(ask: Callable[[], T]) -> T:
    """What a call brings; raises TaskError."""
    import botocore.exceptions as aws

    try:
        return ask()
    except aws.ClientError as error:
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        said = f"EMR Serverless refused: {message} ({code})"
        if int(status) >= 500 or "Throttling" in code or code == "TooManyRequestsException":
            raise Unanswered(said, error_id=ErrorId.CONNECTION_FAILED) from error
        if code in _DENIED:
            raise TaskError(said, error_id=ErrorId.ACCESS_DENIED) from error
        if code in {"ValidationException", "ResourceNotFoundException"}:
            raise PermanentTaskError(said, error_id=ErrorId.INVALID_FIELD) from error
        raise TaskError(said, error_id=ErrorId.RESOURCE_FAILED) from error
    except aws.BotoCoreError as error:
        message = f"EMR Serverless does not answer: {error}"
        raise Unanswered(message, error_id=ErrorId.CONNECTION_FAILED) from error

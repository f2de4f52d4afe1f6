"""What calls of the API are to those who make them: a typed request, and the one call for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

R = TypeVar("R")


class Request(Generic[R]):
    """A request of one of the operations, whose typed reply is an R.

    Its class is named as the wire's structure: PollForTaskInput is PollForTask's.
    """

    __slots__ = ()


def operation_of(request: Request[Any]) -> str:
    """The wire name of the operation that a request is for."""
    return type(request).__name__.removesuffix("Input")


class Call(Protocol):
    """Makes one call: of the client, or of what tries it again or takes note of it."""

    def __call__(self, request: Request[R], /) -> R:
        """The reply. Raises ServiceUnreachable, NotAuthorized or another CallRefused.

        Raises CallGivenUp when another thread has ended the call meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceIdentity:
    """The signed identity document of an EC2 instance, sent with a poll."""

    # The model requires neither; whoever checks the signature finds an empty one wrong.
    document: str = ""
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an attempt ended, as SetTaskStatus takes it."""

    #: FINISHED, FAILED, or FALSE (a precondition that does not hold).
    status: str
    error_id: str | None = None
    error_message: str | None = None
    error_stack_trace: str | None = None

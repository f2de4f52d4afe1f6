"""The exception tree, and the errorIds that a verdict may carry.

TaskrunnerError                what went wrong, where, what was wanted: one message for people
+-- UsageError                 the command line is wrong (exit 2)
+-- ConfigError                a configuration file or variable is wrong (exit 2)
+-- DefinitionError            a definition cannot be read or is wrong; carries the place
|   +-- ExpressionError        ... inside #{...}; carries the column of the expression
+-- WireError                  a call of the agent's to the service did not succeed
|   +-- ServiceUnreachable     no usable answer: cut, timed out, 5xx, throttled (try again)
|   +-- CallGivenUp            we ended it ourselves: its answer was not wanted any more
|   +-- CallRefused            the service said no, by code (do not try again as it is)
|       +-- NotAuthorized      credentials missing, wrong or without the permission (stop)
|       +-- UnknownTask        the hand-out is superseded or gone (drop the work)
+-- ServiceFault               raised by the service's handlers, written to the wire as `code`
|   +-- InvalidRequest, PipelineNotFound, PipelineDeleted, TaskNotFound, InternalService
+-- TaskError                  an attempt failed: errorId and message of its verdict
|   +-- PermanentTaskError     ... and trying again would give the same (no retry)
|       +-- PathNotAllowed     ... since it names a local file that tasks may not open
+-- StoreError                 the service's database refused or is unusable
    +-- StoreInUse             ... since another process owns it
    +-- StoreLost              ... for good: gone, replaced, damaged (stop; a person has to look)

Canceled(BaseException)        the attempt must stop now; activities let it pass
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class TaskrunnerError(Exception):
    """Something went wrong that a person should read about; the message is for them."""


class UsageError(TaskrunnerError):
    """The command line asks for something that cannot be."""


class ConfigError(TaskrunnerError):
    """A setting in a file, a variable or a flag is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a definition something stands; lines and columns count from 1."""

    source: str | None = None
    line: int | None = None
    column: int | None = None
    object_id: str | None = None
    field: str | None = None

    def __str__(self) -> str:
        position = self.source or ""
        if self.line is not None:
            position += f":{self.line}" if position else f"line {self.line}"
            if self.column is not None:
                position += f":{self.column}" if self.source else f", column {self.column}"
        parts = [position] if position else []
        if self.object_id is not None:
            parts.append(f"object {self.object_id!r}")
        if self.field is not None:
            parts.append(f"field {self.field!r}")
        return ", ".join(parts)


class DefinitionError(TaskrunnerError):
    """A definition cannot be read, or is wrong at a place."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        self.message = message
        self.place = place or Place()
        where = str(self.place)
        super().__init__(f"{where}: {message}" if where else message)


class ExpressionError(DefinitionError):
    """An expression is wrong; `column` counts from 1 at the start of the field's text."""

    def __init__(self, message: str, *, column: int, place: Place | None = None) -> None:
        self.column = column
        super().__init__(message, place)


class WireError(TaskrunnerError):
    """A call to the service did not succeed."""


class ServiceUnreachable(WireError):
    """No usable answer came: the call may be tried again."""


class CallGivenUp(WireError):
    """We ended the call ourselves."""


class CallRefused(WireError):
    """The service answered no; the same call would be refused again."""

    def __init__(self, message: str, *, code: str) -> None:
        self.code = code
        super().__init__(message)


class NotAuthorized(CallRefused):
    """Credentials are missing, wrong, or lack the permission for the call."""


class UnknownTask(CallRefused):
    """The hand-out that the call names is superseded, finished or was never made."""


class ServiceFault(TaskrunnerError):
    """Raised by a handler; its `code` and message go over the wire (`fault`: ours, HTTP 500)."""

    code = "InternalServiceError"
    status = 500


class InternalService(ServiceFault):
    """The service failed; the caller may try again."""


class InvalidRequest(ServiceFault):
    """The request is malformed or not possible in the present state."""

    code = "InvalidRequestException"
    status = 400


class PipelineNotFound(ServiceFault):
    """No pipeline has this id."""

    code = "PipelineNotFoundException"
    status = 400


class PipelineDeleted(ServiceFault):
    """The pipeline was deleted."""

    code = "PipelineDeletedException"
    status = 400


class TaskNotFound(ServiceFault):
    """The task id was never handed out, is superseded or is done."""

    code = "TaskNotFoundException"
    status = 400


class ErrorId:
    """The errorIds that this agent and service put into verdicts (never `Service_...`)."""

    ACTIVITY_FAILED = "ActivityFailed"  # the work itself failed: SQL error, bad row
    COMMAND_FAILED = "CommandFailed"  # a command ended with a non-zero exit code
    KILLED_BY_SIGNAL = "KilledBySignal"
    OUT_OF_MEMORY = "OutOfMemory"
    FILE_TOO_LARGE = "FileTooLarge"  # beyond the agent's task_file_size
    TIMEOUT = "AttemptTimeout"
    INVALID_FIELD = "InvalidField"  # a field of the object cannot be used as it is
    UNSUPPORTED_TYPE = "UnsupportedType"
    NOT_ALLOWED = "NotAllowed"  # the operator of the agent does not let it run there
    CONNECTION_FAILED = "ConnectionFailed"  # a database or endpoint cannot be reached
    ACCESS_DENIED = "AccessDenied"
    NOT_FOUND = "NotFound"  # a bucket, key, table, script is not there
    STORAGE_FULL = "StorageFull"
    LOGS_NOT_SHIPPED = "LogsNotShipped"
    INTERNAL = "TaskRunner.Internal"
    INTERRUPTED = "TaskRunner.Interrupted"  # the agent stopped: our service charges no attempt
    LEASE_LOST = "TaskRunner.LeaseLost"
    RESOURCE_FAILED = "ResourceFailed"
    RESOURCE_TIMEOUT = "ResourceTimeout"  # terminateAfter has passed
    DEACTIVATED = "PipelineDeactivated"  # ended with its pipeline; taken up again with it
    PRECONDITION_TIMEOUT = "PreconditionTimeout"
    STALLED = "RunnerStalled"  # no progress was reported within the lease


class TaskError(TaskrunnerError):
    """An attempt failed. `error_id` and the message become its verdict."""

    def __init__(self, message: str, *, error_id: str = ErrorId.ACTIVITY_FAILED) -> None:
        self.error_id = error_id
        super().__init__(message)

    def told(self, message: str) -> Self:
        """An error of the same kind, and of all that it knows, with another message."""
        other = type(self).__new__(type(self), message)
        other.__dict__.update(self.__dict__)
        other.args = (message,)
        return other


class PermanentTaskError(TaskError):
    """An attempt failed and another one would fail the same way."""


class PathNotAllowed(PermanentTaskError):
    """A definition names a local file which the operator does not let its tasks open."""

    def __init__(self, path: str, listed: Sequence[str], *, reason: str = "") -> None:
        #: The file, as it was named.
        self.path = path
        has = f"has {', '.join(listed)}" if listed else "is empty"
        why = reason or "without run_as_user, tasks open local files only below local_paths"
        super().__init__(
            f"{path!r} may not be opened: {why} (local_paths {has}; the agent and `taskrunner run` "
            "take --local-paths)",
            error_id=ErrorId.NOT_ALLOWED,
        )

    def named_by(self, field: str) -> PathNotAllowed:
        """The same, told of the field that names the file."""
        self.args = (f"{field}: {self}",)
        return self


class StoreTrouble(StrEnum):
    """What is wrong with the service's database, in words for callers, who see no paths."""

    FULL = (
        "the service's database is full: nothing was changed; the call can be made again once "
        "there is space"
    )
    LOCKED = (
        "the service's database is locked by another program: nothing was changed; the call can be "
        "made again"
    )
    UNUSABLE = "the service's database cannot be used at the moment; the call can be made again"
    LOST = "the service's database is gone or damaged, and the service stops"


class StoreError(TaskrunnerError):
    """The service's database cannot be opened or used."""

    trouble = StoreTrouble.UNUSABLE

    def __init__(self, message: str, *, trouble: StoreTrouble | None = None) -> None:
        super().__init__(message)
        if trouble is not None:
            self.trouble = trouble


class StoreInUse(StoreError):
    """Another process owns the service's database."""

    trouble = StoreTrouble.LOCKED


class StoreLost(StoreError):
    """The service's database is not what it was: whoever goes on would lose or invent state."""

    trouble = StoreTrouble.LOST


class Canceled(BaseException):
    """The attempt must stop now. Not an Exception, so that plugin code does not swallow it."""

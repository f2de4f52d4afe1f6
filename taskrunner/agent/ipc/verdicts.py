"""From exceptions and exit statuses to verdicts, and verdicts as JSON for journal and result.

The message is the root cause in one line; the trace keeps its end, where the cause stands, within
the API's 1,024 characters.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

from taskrunner.agent.ipc.usage import Usage
from taskrunner.errors import ErrorId, TaskError
from taskrunner.host.cgroups import Used
from taskrunner.host.process import signal_name
from taskrunner.wire.api import Verdict

_LONGEST_TRACE = 1024
_LONGEST_MESSAGE = 5000

FINISHED = Verdict(status="FINISHED")
NOT_MET = Verdict(status="FALSE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How an attempt's process ended, as the fork server saw it."""

    #: As from wait(); None when the process could not be started or its end was not seen.
    status: int | None
    usage: Usage = field(default_factory=Usage)
    #: The kernel's out-of-memory killer struck while the attempt ran.
    oom: bool = False
    #: Why it could not be started.
    error: str | None = None
    #: It was cut short with the agent itself, by no fault of its own.
    lost: bool = False

    @property
    def code(self) -> int | None:
        """Exit code, or minus the signal's number."""
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)


def failed(error_id: str, message: str, trace: str | None = None) -> Verdict:
    """A FAILED verdict within the API's limits."""
    if len(message) > _LONGEST_MESSAGE:
        message = message[:_LONGEST_MESSAGE] + "..."
    if trace and len(trace) > _LONGEST_TRACE:
        trace = "..." + trace[3 - _LONGEST_TRACE :]
    return Verdict(
        status="FAILED",
        error_id=error_id,
        error_message=message,
        error_stack_trace=trace,
    )


INTERRUPTED = failed(ErrorId.INTERRUPTED, "the task runner stopped before the task was done")
LEASE_LOST = failed(
    ErrorId.LEASE_LOST,
    "the task runner could not report to the service for too long and ended its own work, "
    "because the task may have been given to another",
)


def timed_out(limit: str) -> Verdict:
    """The attempt ran longer than it may."""
    return failed(ErrorId.TIMEOUT, f"the attempt did not end within {limit}")


def from_exception(error: BaseException, mask: Callable[[str], str] = str) -> Verdict:
    """The verdict of an attempt whose plugin raised.

    `mask` takes secrets out before anything is cut, since half a secret would not be found.
    """
    trace = mask("".join(traceback.format_exception(error)).strip())
    error_id, message = _told(error)
    return failed(error_id, mask(message), trace)


def _told(error: BaseException) -> tuple[str, str]:
    if isinstance(error, TaskError):
        return error.error_id, str(error)
    root = _root_cause(error)
    if isinstance(root, MemoryError):
        return ErrorId.OUT_OF_MEMORY, "the task ran out of memory"
    if isinstance(root, OSError) and root.errno == errno.EFBIG:
        return ErrorId.FILE_TOO_LARGE, f"a file is larger than task_file_size: {root}"
    if isinstance(root, OSError) and root.errno in {errno.ENOSPC, errno.EDQUOT}:
        return ErrorId.STORAGE_FULL, f"no space is left: {root}"
    text = str(root)
    message = f"{type(root).__name__}: {text}" if text else type(root).__name__
    return ErrorId.ACTIVITY_FAILED, message


def _root_cause(error: BaseException) -> BaseException:
    seen = {id(error)}
    while (cause := error.__cause__) is not None and id(cause) not in seen:
        seen.add(id(cause))
        error = cause
    return error


def crashed(ended: Exit) -> Verdict:
    """The verdict of an attempt whose process left no result."""
    code = ended.code
    if ended.lost:
        return INTERRUPTED
    if code is None:
        reason = ended.error or "its end was not seen"
        return failed(ErrorId.INTERNAL, f"the attempt's process could not be run: {reason}")
    if ended.oom and code == -9:
        message = f"the attempt was ended by the system's out-of-memory killer ({ended.usage})"
        return failed(ErrorId.OUT_OF_MEMORY, message)
    if code < 0:
        killer = f"signal {-code} ({signal_name(-code)})"
        message = f"the attempt's process was killed by {killer}; {ended.usage}"
        return failed(ErrorId.KILLED_BY_SIGNAL, message)
    message = (
        f"the attempt's process ended with exit code {code} and left no result ({ended.usage})"
    )
    return failed(ErrorId.INTERNAL, message)


def with_bounds_met(verdict: Verdict, used: Used | None, usage: Usage) -> Verdict:
    """A failed attempt's verdict, which says too which bounds the attempt came up against."""
    if verdict.status != "FAILED" or used is None:
        return verdict
    met = []
    if used.oom_kills and verdict.error_id != ErrorId.OUT_OF_MEMORY:
        met.append(f"the out-of-memory killer ended {used.oom_kills} of its processes; {usage}")
    if used.forks_refused:
        met.append("it came to task_processes, the most processes that it may have")
    return replace(verdict, error_message="; ".join([verdict.error_message or "", *met]))


def to_json(verdict: Verdict) -> dict[str, str]:
    """The verdict's fields that are set."""
    return {key: value for key, value in asdict(verdict).items() if value is not None}


def from_json(fields: Mapping[str, object]) -> Verdict:
    """The inverse of `to_json`; raises KeyError when there is no status."""
    text = {key: value for key, value in fields.items() if isinstance(value, str)}
    return Verdict(
        status=text["status"],
        error_id=text.get("error_id"),
        error_message=text.get("error_message"),
        error_stack_trace=text.get("error_stack_trace"),
    )

"""What an activity or a precondition is, and the context that is its whole world.

A plugin is one class with one method. It runs in a child process of its own: it may block, crash
or leak without harm to the agent. It fails by raising: TaskError (or any exception) fails the
attempt, PermanentTaskError says that trying again would give the same. docs/plugins.md is the
guide; the names in `__all__` are stable within a version of the plugin API.
"""

from __future__ import annotations

import logging
import signal as signals
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, Self

from taskrunner.data.files import WorkFiles
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, PermanentTaskError, TaskError
from taskrunner.host.process import signal_name
from taskrunner.model.catalog.types import FieldGroup, FieldSpec, Slot
from taskrunner.model.task import Task, TaskObject
from taskrunner.plugins.discovery import API_VERSION

__all__ = [
    "API_VERSION",
    "Activity",
    "Canceled",
    "CommandResult",
    "Context",
    "ErrorId",
    "FieldGroup",
    "FieldSpec",
    "PermanentTaskError",
    "Precondition",
    "Slot",
    "Task",
    "TaskError",
    "TaskObject",
    "WorkFiles",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class CommandResult(int):
    """How a command ended. As a number it is the exit code, which is all that it once was."""

    #: Minus the signal's number if a signal ended it.
    exit_code: int
    #: The system's out-of-memory killer ended it.
    out_of_memory: bool = False
    #: The last lines of its error output, joined by ` | `.
    stderr_tail: str = ""
    #: Bytes of memory that all processes of the attempt together had at most so far; None where
    #: nobody counts.
    peak_memory: int | None = None
    #: The most bytes of memory that any one process of the attempt's commands had so far.
    largest_process: int = 0
    #: What else explains a failure; it stands at the end of the error's message.
    remark: str = ""

    def __new__(cls, *, exit_code: int, **_: object) -> Self:
        """The exit code as a number."""
        return super().__new__(cls, exit_code)

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, int]]:
        """So that it can be copied, and sent to another process."""
        return (), {"exit_code": self.exit_code}

    def __str__(self) -> str:
        return str(self.exit_code)

    @property
    def signal(self) -> int | None:
        """The signal that ended it, or the last program in it (128 + n, as shells say it)."""
        if self.exit_code < 0:
            return -self.exit_code
        number = self.exit_code - 128
        return number if number in set(signals.Signals) else None

    def error(self) -> TaskError:
        """What to raise where this is a failure: the cause, and the end of the error output."""
        tail = f": {self.stderr_tail}" if self.stderr_tail else ""
        tail += f"; {self.remark}" if self.remark else ""
        if self.out_of_memory and self.signal == signals.SIGKILL:
            message = f"command was ended by the system's out-of-memory killer ({self._peak}){tail}"
            return TaskError(message, error_id=ErrorId.OUT_OF_MEMORY)
        if self.signal == signals.SIGXFSZ:
            message = f"command wrote a file larger than the agent's task_file_size{tail}"
            return TaskError(message, error_id=ErrorId.FILE_TOO_LARGE)
        if self.exit_code < 0:
            number = -self.exit_code
            message = f"command was killed by signal {number} ({signal_name(number)}){tail}"
            return TaskError(message, error_id=ErrorId.KILLED_BY_SIGNAL)
        hint = f" ({signal_name(self.signal)} in the command)" if self.signal else ""
        message = f"command exited with {self.exit_code}{hint}{tail}"
        return TaskError(message, error_id=ErrorId.COMMAND_FAILED)

    @property
    def _peak(self) -> str:
        if self.peak_memory is not None:
            return f"peak memory of the attempt {self.peak_memory / (1 << 20):.0f} MB"
        return f"peak memory of its largest process {self.largest_process / (1 << 20):.0f} MB"


class Context(Protocol):
    """Everything that a running attempt may touch."""

    @property
    def task(self) -> Task:
        """The attempt's object and those it refers to, expressions evaluated."""
        ...

    @property
    def log(self) -> logging.Logger:
        """Writes to the attempt's Activity.log."""
        ...

    @property
    def work_dir(self) -> Path:
        """A private, empty folder for the plugin itself, removed after the attempt.

        Commands may not get there: they may run as another user. What is for them, or comes from
        them, goes through `files`.
        """
        ...

    @property
    def files(self) -> WorkFiles:
        """The folder that commands start in, handled with the rights of their user."""
        ...

    @property
    def stdout_path(self) -> Path:
        """The attempt's StdOutput file; commands append to it."""
        ...

    @property
    def stderr_path(self) -> Path:
        """The attempt's StdError file; commands append to it."""
        ...

    @property
    def objects(self) -> ObjectStore:
        """Objects by URI (S3 or what stands for it, and local files)."""
        ...

    @property
    def data(self) -> DataSettings:
        """The data plane's settings, database redirections included."""
        ...

    def progress(self, **fields: str | int) -> None:
        """Say what has been done so far (rows=..., bytes=..., percent=...); cheap, call often."""
        ...

    def check_canceled(self) -> None:
        """Raise Canceled when the attempt must stop; call between batches."""
        ...

    def run_command(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> CommandResult:
        """Run a command to its end; any way to end is a result, for the caller to judge.

        Raises TaskError when it cannot be started. Output goes to StdOutput and StdError. `env` is
        added to the task's clean environment, `cwd` defaults to the folder of `files`. The whole
        process tree ends with the attempt.
        """
        ...

    def copy_output(self, path: Path, uri: str) -> None:
        """Copy StdOutput or StdError, as it is by now, into an object.

        Raises PermanentTaskError, and writes nothing, when `max_log_size` left some of it out.
        """
        ...


class Activity(ABC):
    """One object type that does work; the entry-point name is its type."""

    #: The object type, as it stands in the field `type`.
    type: ClassVar[str]
    #: Whether `stage: true` copies S3 inputs to local folders before, and outputs back after.
    stages: ClassVar[bool] = False
    #: The fields that definitions may set besides those that every activity has; None: any, and
    #: none is checked.
    fields: ClassVar[Sequence[FieldSpec] | None] = None
    #: The version of the plugin API that it was written for.
    api_version: ClassVar[int] = API_VERSION

    @abstractmethod
    def run(self, ctx: Context) -> None:
        """Do the work; returning means FINISHED, raising means FAILED."""


class Precondition(ABC):
    """One object type that asks whether something is so; the entry-point name is its type."""

    type: ClassVar[str]
    fields: ClassVar[Sequence[FieldSpec] | None] = None
    api_version: ClassVar[int] = API_VERSION

    @abstractmethod
    def check(self, ctx: Context) -> bool:
        """Whether the condition holds now; raising counts as a failed attempt."""

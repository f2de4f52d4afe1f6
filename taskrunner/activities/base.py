"""What an activity or a precondition is, and the context that is its whole world.

A plugin is one class with one method. It runs in a child process of its own: it may block, crash
or leak without harm to the agent. It fails by raising: TaskError (or any exception) fails the
attempt, PermanentTaskError says that trying again would give the same. docs/plugins.md is the
guide; the names in `__all__` are stable within a version of the plugin API.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from taskrunner.data.files import WorkFiles
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, PermanentTaskError, TaskError
from taskrunner.model.catalog.types import FieldGroup, FieldSpec, Slot
from taskrunner.model.task import Task, TaskObject
from taskrunner.plugins.discovery import API_VERSION

__all__ = [
    "API_VERSION",
    "Activity",
    "Canceled",
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
    ) -> int:
        """Run a command to its end; returns its exit code (minus the signal's number if killed).

        Output goes to StdOutput and StdError. `env` is added to the task's clean environment,
        `cwd` defaults to the folder of `files`. The whole process tree ends with the attempt.
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

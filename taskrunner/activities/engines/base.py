"""What an engine is, and which steps it is given.

An engine says before anything starts what it cannot do, and why; then it does one step after the
other. Those that are there: `command` (the programs of this host), `emr` (steps of a cluster, by
EMR's API), `emr-serverless` (jobs of applications), `spark` (this host's Spark for another master)
and `local` (Spark and Hadoop of the extra `spark`, in this attempt).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from taskrunner.errors import PathNotAllowed, PermanentTaskError, TaskError
from taskrunner.model.steps.works import Step, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One step of a plan, as an engine gets it."""

    step: Step
    #: Which of how many it is, counted from 1.
    number: int = 1
    count: int = 1
    #: The queue of Hadoop's scheduler.
    queue: str | None = None

    @property
    def where(self) -> str:
        """What messages call it."""
        name = str(self.step.work)
        return f"step {self.number} of {self.count} ({name})" if self.count > 1 else name

    def failed(self, error: TaskError) -> TaskError:
        """The same failure, told of this step."""
        if isinstance(error, PathNotAllowed):
            return error  # it is told with the object and the field that name the file
        kind = PermanentTaskError if isinstance(error, PermanentTaskError) else TaskError
        return kind(f"{self.where}: {error}", error_id=error.error_id)


class Engine(Protocol):
    """One way to carry out steps."""

    @property
    def name(self) -> str:
        """What the setting emr_engine calls it."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether commands run on another host than this one."""
        ...

    def objection(self, work: Work) -> str | None:
        """Why it cannot do this, as a part of a sentence; None if it can. Starts nothing."""
        ...

    def run(self, call: Call) -> None:
        """Do one step to its end; raises TaskError."""
        ...

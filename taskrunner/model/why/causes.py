"""What can be the cause of a wait or an end, each told as a code, a sentence and a command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """The kind of a cause: stable, for programs. What each means stands in docs/why.md."""

    # Of a pipeline
    PIPELINE_NOT_FOUND = "PIPELINE_NOT_FOUND"
    PIPELINE_DELETED = "PIPELINE_DELETED"
    NO_DEFINITION = "NO_DEFINITION"
    DEFINITION_HAS_ERRORS = "DEFINITION_HAS_ERRORS"
    NOT_ACTIVATED = "NOT_ACTIVATED"
    CHANGE_NOT_ACTIVATED = "CHANGE_NOT_ACTIVATED"
    INACTIVE = "INACTIVE"
    DEACTIVATING = "DEACTIVATING"
    PIPELINE_FINISHED = "PIPELINE_FINISHED"
    NEXT_RUN = "NEXT_RUN"
    # Of an instance that has not begun
    SCHEDULE = "SCHEDULE"
    PAUSED = "PAUSED"
    RUN_WAITS = "RUN_WAITS"
    MAX_ACTIVE_INSTANCES = "MAX_ACTIVE_INSTANCES"
    DEPENDENCY_NOT_FINISHED = "DEPENDENCY_NOT_FINISHED"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    DEPENDENCY_SKIPPED = "DEPENDENCY_SKIPPED"
    DEPENDENCY_MISSING = "DEPENDENCY_MISSING"
    PRECONDITION_NOT_MET = "PRECONDITION_NOT_MET"
    RETRY_LATER = "RETRY_LATER"
    ABOUT_TO_BEGIN = "ABOUT_TO_BEGIN"
    # Of the runners of its worker group
    NO_RUNNER = "NO_RUNNER"
    RUNNER_OF_OTHER_NAME = "RUNNER_OF_OTHER_NAME"
    RUNNER_OF_OTHER_ACCOUNT = "RUNNER_OF_OTHER_ACCOUNT"
    RUNNER_REFUSED = "RUNNER_REFUSED"
    RUNNER_SILENT = "RUNNER_SILENT"
    RUNNERS_PAUSED = "RUNNERS_PAUSED"
    RUNNERS_BUSY = "RUNNERS_BUSY"
    IN_QUEUE = "IN_QUEUE"
    RUNNERS_NOT_KNOWN = "RUNNERS_NOT_KNOWN"
    HANDED_OUT = "HANDED_OUT"
    # Of a resource
    RESOURCE_NO_RULE = "RESOURCE_NO_RULE"
    RESOURCE_AWAITED = "RESOURCE_AWAITED"
    RESOURCE_LAUNCH_FAILED = "RESOURCE_LAUNCH_FAILED"
    RESOURCE_CREATING = "RESOURCE_CREATING"
    RESOURCE_STARTING = "RESOURCE_STARTING"
    RESOURCE_NOT_NEEDED = "RESOURCE_NOT_NEEDED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    # Of what has begun, or ended
    RUNNING = "RUNNING"
    RUNNER_NOT_REPORTING = "RUNNER_NOT_REPORTING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"
    CANCELED = "CANCELED"
    CASCADE_FAILED = "CASCADE_FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One reason, and what is behind it."""

    code: Code
    #: What it is about: an instance, a component, a worker group or the pipeline.
    object_id: str
    #: One sentence for a person, without its full stop.
    says: str
    #: One command that mends it, or shows what does; for one of a chain, that of its root.
    command: str
    #: Where the command is to be given, if not here.
    where: str = ""
    #: Why that is so in turn; the first is the one to look at.
    because: tuple[Cause, ...] = ()

    @property
    def root(self) -> Cause:
        """The last of the chain: what is to be mended."""
        return self.because[0].root if self.because else self

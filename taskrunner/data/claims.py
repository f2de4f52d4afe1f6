"""Who moves data: an attempt of an instance. What it leaves says so, and later ones can tell.

A database has it in a row beside what was loaded, an object in its metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from taskrunner.model.task import Task


class Verdict(Enum):
    """What an attempt may do where an earlier one may have been."""

    LOAD = "load"
    #: This run of the instance has been loaded.
    LOADED = "loaded"
    #: A later attempt has been applied.
    SUPERSEDED = "superseded"
    #: An earlier attempt has been applied, and whether this one is a rerun cannot be told.
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who moves data: an attempt of an instance, in one run of it, by one hand-out."""

    pipeline: str
    instance: str
    #: When the run began; empty where the service does not say.
    run: str
    attempt: int
    handout: str

    def judge(self, run: str, attempt: int, *, repeatable: bool) -> Verdict:
        """What this attempt may do where one has been applied (0: none has).

        `repeatable`: doing it again gives the same.
        """
        if attempt == 0:
            return Verdict.LOAD
        if attempt > self.attempt:
            return Verdict.SUPERSEDED
        if attempt == self.attempt or (self.run and run == self.run):
            return Verdict.LOADED
        return Verdict.LOAD if self.run or repeatable else Verdict.UNCLEAR

    @property
    def owner(self) -> str:
        """The instance, by a name that is safe anywhere and the same for each of its attempts."""
        return digest_of(f"{self.pipeline}\0{self.instance}")

    @property
    def mark(self) -> str:
        """What this attempt leaves on what it writes."""
        return f"{self.owner}/{self.attempt}/{self.handout}"

    def is_superseded_by(self, mark: str | None) -> bool:
        """Whether a later attempt of the same instance has left this mark."""
        owner, _, rest = (mark or "").partition("/")
        attempt = rest.partition("/")[0]
        return owner == self.owner and attempt.isdecimal() and int(attempt) > self.attempt

    def owns(self, mark: str | None) -> bool:
        """Whether an attempt of the same instance has left this mark."""
        return (mark or "").partition("/")[0] == self.owner


def claim_of(task: Task, handout: str | None = None) -> Claim:
    """The claim of a task; the hand-out's id itself is a secret of its runner's.

    `handout` is `handout_of` the task, where somebody has asked for that already.
    """
    number = task.attempt_id.rpartition("_Attempt=")[2]
    return Claim(
        pipeline=task.pipeline_id,
        instance=task.instance_id,
        run=task.main.get("@runStartTime", "") or "",
        attempt=int(number) if number.isdigit() else 1,
        handout=handout or handout_of(task),
    )


def handout_of(task: Task) -> str:
    """What the hand-out is called in what it leaves."""
    return digest_of(task.task_id)


def digest_of(text: str) -> str:
    """A name of 40 characters for a text of any length."""
    # Here, because it loads OpenSSL, of which the fork server has no need.
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40]

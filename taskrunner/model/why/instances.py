"""Why an instance has not begun, is not done, or how it ended; step by step to the root of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category, Dependency, DependencyKind
from taskrunner.model.rows import AttemptRow
from taskrunner.model.states import (
    ATTEMPT_TERMINAL,
    INSTANCE_FAILED,
    INSTANCE_TERMINAL,
    STARTING,
    InstanceStatus,
)
from taskrunner.model.why import remedies
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.endings import ended, handed_out, running
from taskrunner.model.why.facts import Facts, Known, Pause, Place
from taskrunner.model.why.groups import group_causes
from taskrunner.model.why.resources import shutting_down, starting_causes
from taskrunner.model.why.words import ago, ahead, at, quoted, several

_I = InstanceStatus
#: Longer chains are cut: the first of them are what somebody can do something about.
MOST_LINKS = 25
_MOST_NAMED = 3
#: Of what an instance waits for, as much as is told.
_MOST_UNMET = 20


def explain(facts: Facts, instance_id: str) -> tuple[Cause, ...]:
    """The causes of one instance that stands in the facts, the one to look at first."""
    return _Explaining(facts).of(facts.instances[instance_id])


def pause_cause(pipeline_id: str, pause: Pause, what: str) -> Cause:
    """Somebody has paused it, its component or its pipeline."""
    by = f" by {pause.by!r}" if pause.by else ""
    since = f" since {at(pause.at)}" if pause.at else ""
    return Cause(
        code=Code.PAUSED,
        object_id=pause.object_id,
        says=f"{what} is paused{by}{since}",
        command=remedies.resume(pipeline_id, pause.object_id),
    )


@dataclass(frozen=True, slots=True)
class _Explaining:
    """One walk from an instance to the root of its wait."""

    facts: Facts
    #: The instances from which the walk came here.
    above: tuple[str, ...] = field(default=())

    @property
    def _pipeline_id(self) -> str:
        return self.facts.pipeline.pipeline_id

    def of(self, known: Known) -> tuple[Cause, ...]:
        """The causes of one instance."""
        if known.row.status in INSTANCE_TERMINAL:
            return (ended(known, self.facts.now, self._drawn_by(known)),)
        if known.row.status is _I.WAITING_FOR_RUNNER and known.is_looked_at:
            return (self._precondition(known),)
        return _BY_STATUS[known.row.status](self, known)

    def behind(self, instance_id: str | None) -> tuple[Cause, ...]:
        """The causes of another instance that holds back the one that is looked at."""
        known = self.facts.instances.get(instance_id or "")
        if known is None or instance_id in self.above or len(self.above) >= MOST_LINKS:
            return ()
        return _Explaining(self.facts, (*self.above, instance_id or "")).of(known)

    def _drawn_by(self, known: Known) -> tuple[Cause, ...]:
        return self.behind(known.row.cause)

    # -- not begun --------------------------------------------------------------------------

    def waiting(self, known: Known) -> tuple[Cause, ...]:
        """In the order in which the planner asks: pause, time, run, what is before it, place."""
        row, now = known.row, self.facts.now
        if known.pause is not None:
            return (self._paused(known, known.pause),)
        if now < row.not_before:
            return (self._scheduled(known),)
        if known.runs_before:
            return (self._run_waits(known),)
        if known.place is not None:
            return (self._no_place(known, known.place),)
        if row.category == Category.RESOURCE:
            return (self._not_needed(known),)
        unmet = self._in_order(known)[:_MOST_UNMET]
        return tuple(self._unmet(known, d) for d in unmet) or (self._about_to_begin(known),)

    def paused(self, known: Known) -> tuple[Cause, ...]:
        """It stands still, or is about to go on."""
        if known.pause is not None:
            return (self._paused(known, known.pause),)
        return self.waiting(known)

    def _paused(self, known: Known, pause: Pause) -> Cause:
        row = known.row
        names = {row.instance_id: row.instance_id, row.component_id: repr(row.component_id)}
        if row.backfill_id is not None and row.backfill_id == pause.object_id:
            what, command = "its backfill", remedies.resume_backfill(pause.object_id)
            return replace(pause_cause(self._pipeline_id, pause, what), command=command)
        what = names.get(pause.object_id, "the pipeline")
        return pause_cause(self._pipeline_id, pause, what)

    def _scheduled(self, known: Known) -> Cause:
        row = known.row
        is_end = row.not_before == row.scheduled_end != row.scheduled_start
        told = " (scheduleType timeseries: at the end of its period)" if is_end else ""
        return Cause(
            code=Code.SCHEDULE,
            object_id=row.instance_id,
            says=f"its time has not come: it begins at {ahead(row.not_before, self.facts.now)}"
            f"{told}",
            command=remedies.schedule(),
        )

    def _run_waits(self, known: Known) -> Cause:
        starts = several([at(start) for start in known.runs_before], _MOST_NAMED)
        behind = self._first_that_waits(known.left_of_run)
        return Cause(
            code=Code.RUN_WAITS,
            object_id=known.row.instance_id,
            says="its run waits for its turn: maxActiveInstances of Default lets "
            f"{len(known.runs_before)} at a time run, and the runs of {starts} have not ended",
            command=behind[0].root.command if behind else remedies.why(self._pipeline_id),
            where=behind[0].root.where if behind else "",
            because=behind,
        )

    def _first_that_waits(self, instance_ids: Sequence[str]) -> tuple[Cause, ...]:
        """The causes of the first of these that is not simply at work: of that is no fault."""
        for key in instance_ids:
            found = self.behind(key)
            if found and found[0].root.code is not Code.RUNNING:
                return found
        return ()

    def _not_needed(self, known: Known) -> Cause:
        users = several(list(known.users), _MOST_NAMED)
        behind = next((found for key in known.users if (found := self.behind(key))), ())
        return Cause(
            code=Code.RESOURCE_NOT_NEEDED,
            object_id=known.row.instance_id,
            says="it is launched when an activity is ready that runs on it"
            + (f": {users}" if users else ", and there is none yet"),
            command=behind[0].root.command if behind else remedies.why(self._pipeline_id),
            where=behind[0].root.where if behind else "",
            because=behind,
        )

    def _in_order(self, known: Known) -> list[Dependency]:
        """What is before it; what has failed first, for nothing else will help."""
        return sorted(known.unmet, key=lambda d: not self._is_lost(d))

    def _is_lost(self, dependency: Dependency) -> bool:
        other = self.facts.instances.get(dependency.instance_id)
        return other is not None and other.row.status in INSTANCE_FAILED

    def _unmet(self, known: Known, dependency: Dependency) -> Cause:
        if dependency.instance_id in known.missing:
            return self._missing(dependency)
        other = self.facts.instances.get(dependency.instance_id)
        if other is None:
            return self._unfinished(dependency, "has not finished")
        status = other.row.status
        if status in INSTANCE_FAILED:
            return self._lost(dependency, other)
        if status is _I.SKIPPED:
            return self._skipped(dependency)
        if dependency.kind is DependencyKind.PRECONDITION:
            return self._precondition(other)
        return self._unfinished(dependency, f"is {status}")

    def _unfinished(self, dependency: Dependency, how: str) -> Cause:
        behind = self.behind(dependency.instance_id)
        return Cause(
            code=Code.DEPENDENCY_NOT_FINISHED,
            object_id=dependency.instance_id,
            says=f"it waits for {dependency.instance_id} ({_KINDS[dependency.kind]}), which {how}",
            command=behind[0].root.command if behind else remedies.why(self._pipeline_id),
            where=behind[0].root.where if behind else "",
            because=behind,
        )

    def _missing(self, dependency: Dependency) -> Cause:
        return Cause(
            code=Code.DEPENDENCY_MISSING,
            object_id=dependency.instance_id,
            says=f"it waits for {dependency.instance_id} ({_KINDS[dependency.kind]}), which has "
            "not been made: its schedule has no such period, or has not come to it yet",
            command=remedies.schedule(),
        )

    def _lost(self, dependency: Dependency, other: Known) -> Cause:
        behind = self.behind(dependency.instance_id)
        return Cause(
            code=Code.DEPENDENCY_FAILED,
            object_id=dependency.instance_id,
            says=f"it waits for {dependency.instance_id} ({_KINDS[dependency.kind]}), which is "
            f"{other.row.status} and will not finish by itself",
            command=behind[0].root.command
            if behind
            else remedies.rerun(self._pipeline_id, dependency.instance_id),
            where=behind[0].root.where if behind else "",
            because=behind,
        )

    def _skipped(self, dependency: Dependency) -> Cause:
        return Cause(
            code=Code.DEPENDENCY_SKIPPED,
            object_id=dependency.instance_id,
            says=f"it waits for {dependency.instance_id} ({_KINDS[dependency.kind]}), which was "
            "skipped when the pipeline was activated again",
            command=remedies.finish(self._pipeline_id, dependency.instance_id),
        )

    def _precondition(self, check: Known) -> Cause:
        """Which one, what it said last, when it is asked again and for how long."""
        row, now = check.row, self.facts.now
        if not check.is_looked_at:
            behind = self.behind(row.instance_id)
            return Cause(
                code=Code.DEPENDENCY_NOT_FINISHED,
                object_id=row.instance_id,
                says=f"it waits for the precondition {row.component_id!r} ({row.type}), which has "
                "not been looked at yet",
                command=behind[0].root.command if behind else remedies.why(self._pipeline_id),
                where=behind[0].root.where if behind else "",
                because=behind,
            )
        count, last = check.looks or (0, now)
        head, timeout = check.head, check.policy.precondition_timeout
        answer = f": {quoted(head.error_message)}" if head and head.error_message else ""
        again = head.ready_at if head else now
        then = f"the next look is at {ahead(again, now)}" if again > now else "a look is due"
        if not self.facts.whole:
            then = "when it is looked at again is not told"
        ends = ""
        if timeout is not None and row.actual_start is not None:
            ends = f"; it fails at {ahead(row.actual_start + timeout, now)} (preconditionTimeout)"
        # Whoever is to look may be gone since.
        behind = self._overdue(check) if again <= now and self.facts.whole else ()
        return Cause(
            code=Code.PRECONDITION_NOT_MET,
            object_id=row.instance_id,
            says=f"the precondition {row.component_id!r} ({row.type}) does not hold: looked at "
            f"{'once' if count == 1 else f'{count} times'}, last {ago(last, now)}{answer}; "
            f"{then}{ends}",
            command=behind[0].root.command
            if behind
            else remedies.finish(self._pipeline_id, row.instance_id),
            where=behind[0].root.where if behind else "to go on without it",
            because=behind,
        )

    def _overdue(self, check: Known) -> tuple[Cause, ...]:
        found = self.queued(check)
        return () if found and found[0].code in {Code.IN_QUEUE, Code.HANDED_OUT} else found

    def _no_place(self, known: Known, place: Place) -> Cause:
        held = place.held_by
        told = self._first_that_waits(held)
        return Cause(
            code=Code.MAX_ACTIVE_INSTANCES,
            object_id=known.row.component_id,
            says=f"{len(held)} of {place.limit} instances of "
            f"{known.row.component_id!r} that may be active at once (maxActiveInstances) are: "
            f"{several(list(held), _MOST_NAMED)}",
            command=told[0].root.command if told else remedies.put(self._pipeline_id),
            where=told[0].root.where
            if told
            else "with a higher maxActiveInstances, for later ones",
            because=told,
        )

    def _about_to_begin(self, known: Known) -> Cause:
        if not self.facts.whole:
            return Cause(
                code=Code.ABOUT_TO_BEGIN,
                object_id=known.row.instance_id,
                says=f"nothing that this service tells holds {known.row.instance_id} back; "
                "maxActiveInstances may, which it does not tell",
                command=remedies.runs(self._pipeline_id),
            )
        return Cause(
            code=Code.ABOUT_TO_BEGIN,
            object_id=known.row.instance_id,
            says=f"nothing holds {known.row.instance_id} back: it begins within seconds while the "
            "service runs",
            command=remedies.service_log(self._pipeline_id),
            where="on the service's host, if it stays so",
        )

    # -- in the queue -----------------------------------------------------------------------

    def queued(self, known: Known) -> tuple[Cause, ...]:
        """Its time to be tried again, its resource, or the runners of its group."""
        head, now = known.head, self.facts.now
        if known.pause is not None:
            return (self._paused(known, known.pause),)
        if (given := handed_out(known, now)) is not None:
            return (given,)
        retried = len(known.attempts) > 1 and known.attempts[-2].status in ATTEMPT_TERMINAL
        if head is not None and head.queue == Queue.READY and retried and self._rests(head):
            return (self._retry(known),)
        for dependency in known.unmet:
            other = self.facts.instances.get(dependency.instance_id)
            if other is not None and dependency.kind is DependencyKind.RESOURCE:
                if other.row.status in STARTING or other.row.status is _I.SHUTTING_DOWN:
                    return self.behind(dependency.instance_id)
                if other.row.status is _I.WAITING_ON_DEPENDENCIES and other.place is not None:
                    return self.behind(dependency.instance_id)
        name = (head.worker_group if head else None) or known.row.worker_group or ""
        return group_causes(self.facts.groups.get(name), name, known, now)

    def _logs(self, attempt_id: str) -> str:
        """What shows the log of an attempt; AWS's service keeps none."""
        if self.facts.whole:
            return remedies.logs(self._pipeline_id, attempt_id)
        return remedies.runs(self._pipeline_id)

    def _rests(self, head: AttemptRow) -> bool:
        """Whether its time has not come; AWS's API does not tell when it comes."""
        return head.ready_at > self.facts.now or not self.facts.whole

    def _retry(self, known: Known) -> Cause:
        head, before = known.attempts[-1], known.attempts[-2]
        error = f"{before.error_id}: " if before.error_id else ""
        then = f"is at {ahead(head.ready_at, self.facts.now)} (retryDelay), {_tries(known)}"
        if not self.facts.whole:
            then = "waits for its time (retryDelay), or then for a runner"
        return Cause(
            code=Code.RETRY_LATER,
            object_id=known.row.instance_id,
            says=f"attempt {before.number} of {known.row.instance_id} failed ({error}"
            f"{quoted(before.error_message)}); the next {then}",
            command=self._logs(before.attempt_id),
        )

    # -- begun ------------------------------------------------------------------------------

    def running(self, known: Known) -> tuple[Cause, ...]:
        """It is at work; of a precondition: it is being asked."""
        cause = running(known, self.facts.now)
        is_told = cause.code is not Code.RUNNING or self.facts.whole
        return (cause if is_told else replace(cause, command=remedies.runs(self._pipeline_id)),)

    def starting(self, known: Known) -> tuple[Cause, ...]:
        """A resource that is not up."""
        found = starting_causes(known, self.facts.now)
        if found[0].code not in {Code.RESOURCE_AWAITED, Code.RESOURCE_NO_RULE}:
            return found
        # An agent may have been started for it, and still be refused or have another name.
        group = self.facts.groups.get(known.row.worker_group or "")
        tried = group_causes(group, group.name, known, self.facts.now) if group else ()
        near = {Code.RUNNER_REFUSED, Code.RUNNER_OF_OTHER_NAME}
        return (*(cause for cause in tried if cause.code in near), *found)

    def shutting_down(self, known: Known) -> tuple[Cause, ...]:
        """A resource on its way out."""
        return (shutting_down(known, self.facts.now),)


def _tries(known: Known) -> str:
    left = 1 + known.policy.maximum_retries - known.row.failures
    return "the last try" if left <= 1 else f"{left} tries are left"


_KINDS: Mapping[DependencyKind, str] = {
    DependencyKind.INPUT: "its input",
    DependencyKind.DEPENDS_ON: "dependsOn",
    DependencyKind.PRECONDITION: "its precondition",
    DependencyKind.PRODUCER: "which writes it",
    DependencyKind.RESOURCE: "runsOn",
}
_BY_STATUS: Mapping[InstanceStatus, Callable[[_Explaining, Known], tuple[Cause, ...]]] = {
    _I.WAITING_ON_DEPENDENCIES: _Explaining.waiting,
    _I.PAUSED: _Explaining.paused,
    _I.WAITING_FOR_RUNNER: _Explaining.queued,
    _I.CREATING: _Explaining.starting,
    _I.ACTIVATING: _Explaining.starting,
    _I.RUNNING: _Explaining.running,
    _I.SHUTTING_DOWN: _Explaining.shutting_down,
}

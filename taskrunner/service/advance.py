"""One round of scheduling: load what is known of the due instances, decide, apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType

from sqlalchemy.engine import Connection

from taskrunner.model.decisions import Become, Decision, DependencyView, View, active_statuses
from taskrunner.model.instances import Category, Dependency, DependencyKind
from taskrunner.model.planner import LOST_RUNNER, decide
from taskrunner.model.policy import Policy
from taskrunner.model.resource_planner import has_timed_out
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.runs import RunState
from taskrunner.model.states import INSTANCE_TERMINAL, InstanceStatus, PipelineState
from taskrunner.service.alike import Alike
from taskrunner.service.apply import SchedulingTransaction, apply
from taskrunner.service.definitions import Load, LoadedDefinition, Moment
from taskrunner.service.pauses import is_paused
from taskrunner.service.runs import take_turns
from taskrunner.service.savepoint import TROUBLE_PAUSE, in_savepoint
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import due as due_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import runs as run_store
from taskrunner.service.tasks import Concluded

#: How soon a resource is looked at again whose activities are still being made.
LAG = timedelta(seconds=1)


#: By instances: all of their attempts, where they are known without asking the store.
Attempts = Mapping[str, list[AttemptRow]]


def advance_instances(
    transaction: SchedulingTransaction,
    rows: Iterable[InstanceRow],
    load: Load,
    known: Attempts = MappingProxyType({}),
) -> None:
    """Decide about each of these instances and carry it out."""
    by_pipeline: dict[str, list[InstanceRow]] = {}
    for row in rows:
        by_pipeline.setdefault(row.pipeline_id, []).append(row)
    for pipeline_id, members in by_pipeline.items():
        step = partial(_advance, transaction, pipeline_id, members, load, known)
        if not in_savepoint(transaction.conn, pipeline_id, step):
            transaction.wake_none(pipeline_id)
            ids = [row.instance_id for row in members]
            instance_store.put_off(
                transaction.conn, pipeline_id, ids, transaction.now + TROUBLE_PAUSE
            )
    finish_pipelines(transaction.conn, transaction.ended, load, transaction.now)


def advance_concluded(transaction: SchedulingTransaction, concluded: Concluded, load: Load) -> None:
    """Decide at once about an instance of which an attempt was concluded in this transaction.

    Unless somebody else decides about its pipeline just now: then it is due, and its turn comes.
    """
    conn, row = transaction.conn, concluded.instance
    if row.status not in INSTANCE_TERMINAL and due_store.claim_pipeline(conn, row.pipeline_id):
        attempt = concluded.attempt
        known = {row.instance_id: [attempt]} if row.attempt_count == attempt.number == 1 else {}
        advance_instances(transaction, [row], load, known)
    else:
        instance_store.wake(conn, row.pipeline_id, [row.instance_id], transaction.now)


def _advance(
    transaction: SchedulingTransaction,
    pipeline_id: str,
    rows: Sequence[InstanceRow],
    load: Load,
    known: Attempts,
) -> None:
    conn, is_alone = transaction.conn, len(rows) == 1
    sleep = _Sleep(conn, pipeline_id, [row.instance_id for row in rows])
    offered = {row.instance_id for row in rows if row.place_wanted}
    rows = [replace(row, place_wanted=False) if row.place_wanted else row for row in rows]
    active = ActiveCounts(conn, rows)
    alike = Alike(transaction)
    for loaded, view in build_views(transaction, pipeline_id, rows, load, active, known):
        decisions = decide(view, transaction.now)
        row, wanted = view.instance, False
        status = alike.take(view, decisions)
        if status is None:
            # One that ends is put to sleep by that; of several others are still due.
            if not is_alone or row.instance_id in offered or not _ends(decisions):
                sleep.begin()
            after = apply(transaction, loaded, view, decisions)
            status, wanted = after.status, after.place_wanted
        active.moved(loaded, row, status)
        unused = not wanted and status not in active_statuses(row.category)
        if row.instance_id in offered and unused:
            # It cannot use the place that it was woken for: somebody else may.
            sleep.begin()
            instance_store.wake_siblings(conn, row, transaction.now)
    alike.carry_out(are_due=not sleep.begun)
    transaction.wake_up(pipeline_id)


@dataclass(slots=True)
class _Sleep:
    """That the instances of a round are not due any more, which is written before any wakes others.

    So a wake-up by a neighbour in this round is not undone. Where none does, `Alike` writes it with
    the rest, and each instance is written once.
    """

    conn: Connection
    pipeline_id: str
    instance_ids: Sequence[str]
    begun: bool = False

    def begin(self) -> None:
        """Write it, the first time."""
        if not self.begun:
            instance_store.put_off(self.conn, self.pipeline_id, self.instance_ids, None)
            self.begun = True


def _ends(decisions: Sequence[Decision]) -> bool:
    """Whether an instance comes to its end, which puts it to sleep for good."""
    return any(isinstance(one, Become) and one.status in INSTANCE_TERMINAL for one in decisions)


@dataclass
class ActiveCounts:
    """What is active of a pipeline and its components, kept true within a round."""

    conn: Connection
    #: What the round is about: components that are counted together.
    rows: Sequence[InstanceRow]
    counts: dict[tuple[str, str, bool], int] = field(default_factory=dict)
    #: Of each pipeline, the runs on demand that are in its line, by their starts.
    lines: dict[str, Mapping[datetime, RunState]] = field(default_factory=dict)

    def of(self, loaded: LoadedDefinition, row: InstanceRow, policy: Policy) -> int:
        """How many of the row's component are active; not counted where there is no limit."""
        if policy.max_active is None or not self._counts(loaded, row):
            return 0
        key = (row.pipeline_id, row.component_id, loaded.on_demand)
        if key not in self.counts:
            self._count(row, on_demand=loaded.on_demand)
        return self.counts[key]

    def _count(self, row: InstanceRow, *, on_demand: bool) -> None:
        """Count the row's component, and at once all of the round that are to be counted so."""
        pipeline_id, places = row.pipeline_id, active_statuses(row.category)
        runs = self._active_runs(pipeline_id) if on_demand else None
        new = {
            other.component_id
            for other in self.rows
            if active_statuses(other.category) == places
            and (pipeline_id, other.component_id, on_demand) not in self.counts
        }
        found = instance_store.count_with_place(self.conn, pipeline_id, sorted(new), places, runs)
        for component_id in new:
            self.counts[pipeline_id, component_id, on_demand] = found.get(component_id, 0)

    def run_waits(self, loaded: LoadedDefinition, row: InstanceRow) -> bool:
        """Whether the row's run on demand is not to begin yet."""
        if row.status is not InstanceStatus.WAITING_ON_DEPENDENCIES or not loaded.on_demand:
            return False
        return self._line(row.pipeline_id).get(row.scheduled_start) is RunState.WAITING

    def moved(self, loaded: LoadedDefinition, before: InstanceRow, status: InstanceStatus) -> None:
        """Take note of a change that this round made."""
        key = (before.pipeline_id, before.component_id, loaded.on_demand)
        if key in self.counts and self._counts(loaded, before):
            places = active_statuses(before.category)
            self.counts[key] += (status in places) - (before.status in places)

    def _counts(self, loaded: LoadedDefinition, row: InstanceRow) -> bool:
        """What somebody has rerun neither counts nor has to wait, nor has a run that is over."""
        if row.reruns:
            return False
        return not loaded.on_demand or row.scheduled_start in self._active_runs(row.pipeline_id)

    def _active_runs(self, pipeline_id: str) -> list[datetime]:
        line = self._line(pipeline_id)
        return [start for start, state in line.items() if state is RunState.ACTIVE]

    def _line(self, pipeline_id: str) -> Mapping[datetime, RunState]:
        if pipeline_id not in self.lines:
            found = run_store.load_runs(self.conn, pipeline_id)
            self.lines[pipeline_id] = {run.start: run.state for run in found}
        return self.lines[pipeline_id]


def build_views(
    transaction: SchedulingTransaction,
    pipeline_id: str,
    rows: Sequence[InstanceRow],
    load: Load,
    active: ActiveCounts,
    attempts: Attempts = MappingProxyType({}),
) -> Iterable[tuple[LoadedDefinition, View]]:
    """What the planner is to be shown of each instance; counts are taken when it is reached."""
    known = _Known.load(transaction.conn, pipeline_id, rows, attempts)
    hold = pause_store.load_hold(transaction.conn, pipeline_id)
    # The oldest period first: it is the one to get the last place under maxActiveInstances.
    for row in sorted(rows, key=lambda row: row.scheduled_start):
        loaded = load(pipeline_id, row.version)
        policy = loaded.policy(
            row.component_id, Moment(start=row.scheduled_start, end=row.scheduled_end)
        )
        yield (
            loaded,
            View(
                instance=row,
                policy=policy,
                dependencies=known.dependencies_of(row),
                head=known.head_of(row),
                stalls=known.stalls_of(row),
                node=known.statuses.get(row.node_id) if row.node_id else None,
                run_waits=active.run_waits(loaded, row),
                paused=is_paused(row, hold.paused),
                deactivating=hold.deactivating,
                active_siblings=active.of(loaded, row, policy),
                users=known.users_of(row),
                more_users_until=None
                if hold.deactivating
                else _more_users_until(transaction, loaded, row),
            ),
        )


@dataclass(frozen=True)
class _Known:
    """Statements' worth of context for a batch, loaded at once."""

    attempts: Attempts
    waits_for: dict[str, list[Dependency]]
    waited_by: dict[str, list[Dependency]]
    statuses: dict[str, InstanceStatus]

    @classmethod
    def load(
        cls, conn: Connection, pipeline_id: str, rows: Sequence[InstanceRow], attempts: Attempts
    ) -> _Known:
        ids = [row.instance_id for row in rows]
        started = [row.instance_id for row in rows if row.attempt_count]
        started = [instance_id for instance_id in started if instance_id not in attempts]
        resources = [row.instance_id for row in rows if row.category == Category.RESOURCE]
        if started:
            attempts = {**attempts, **attempt_store.attempts_of(conn, pipeline_id, started)}
        waits_for = links.dependencies_of(conn, pipeline_id, ids)
        waited_by = links.dependents_of(conn, pipeline_id, resources) if resources else {}
        others = {d.instance_id for found in waits_for.values() for d in found}
        others |= {d.instance_id for found in waited_by.values() for d in found}
        others |= {row.node_id for row in rows if row.node_id}
        statuses = instance_store.statuses(conn, pipeline_id, sorted(others)) if others else {}
        statuses.update(_timed_out(conn, pipeline_id, waits_for, statuses))
        return cls(attempts, waits_for, waited_by, statuses)

    def head_of(self, row: InstanceRow) -> AttemptRow | None:
        found = self.attempts.get(row.instance_id)
        return found[-1] if found else None

    def stalls_of(self, row: InstanceRow) -> int:
        # A rerun moves the beginning: what the run before it lost is not held against this one.
        return sum(
            attempt.error_id in LOST_RUNNER and attempt.created_at >= row.not_before
            for attempt in self.attempts.get(row.instance_id, ())[:-1]
        )

    def dependencies_of(self, row: InstanceRow) -> tuple[DependencyView, ...]:
        return tuple(
            DependencyView(d.instance_id, d.kind, self.statuses.get(d.instance_id))
            for d in self.waits_for.get(row.instance_id, ())
        )

    def users_of(self, row: InstanceRow) -> tuple[InstanceStatus, ...]:
        return tuple(
            self.statuses[d.instance_id]
            for d in self.waited_by.get(row.instance_id, ())
            if d.kind is DependencyKind.RESOURCE and d.instance_id in self.statuses
        )


def _timed_out(
    conn: Connection,
    pipeline_id: str,
    waits_for: Mapping[str, Sequence[Dependency]],
    statuses: Mapping[str, InstanceStatus],
) -> dict[str, InstanceStatus]:
    """The resources that terminateAfter is ending: to those who run on them they have ended."""
    ending = {
        d.instance_id
        for found in waits_for.values()
        for d in found
        if d.kind is DependencyKind.RESOURCE
        and statuses.get(d.instance_id) is InstanceStatus.SHUTTING_DOWN
    }
    if not ending:
        return {}
    rows = instance_store.load_instances(conn, pipeline_id, sorted(ending))
    return {row.instance_id: InstanceStatus.TIMEDOUT for row in rows if has_timed_out(row)}


def _more_users_until(
    transaction: SchedulingTransaction, loaded: LoadedDefinition, row: InstanceRow
) -> datetime | None:
    """A resource with a schedule of its own may get more activities until its period ends."""
    if row.category != Category.RESOURCE or transaction.settings.selection is not None:
        return None
    components, on_demand = loaded.components, loaded.on_demand
    own = components.schedule_id(row.component_id, on_demand=on_demand)
    others = {
        components.schedule_id(user, on_demand=on_demand)
        for user in components.used_by(row.component_id)
    } - {own}
    if not others:
        return None
    # In a backfill the users' schedule may lag behind the resource's: the period has ended, but
    # not all of its activities have been made.
    schedules = pipeline_store.load_schedules(transaction.conn, row.pipeline_id)
    behind = any(
        s.schedule_id in others and s.next_at is not None and s.next_at < row.scheduled_end
        for s in schedules
    )
    return max(row.scheduled_end, transaction.now + LAG) if behind else row.scheduled_end


def finish_pipelines(
    conn: Connection, pipeline_ids: Iterable[str], load: Load, now: datetime
) -> None:
    """Go on where instances have ended: with the next run on demand, or the pipeline's own end.

    Those that have nothing left to do are FINISHED, or INACTIVE on request.
    """
    for pipeline_id in pipeline_ids:
        run_waits, unfinished = run_store.what_is_left(conn, pipeline_id)
        if run_waits:
            take_turns(conn, pipeline_id, load, now)
        if unfinished:
            continue
        row = pipeline_store.load_pipeline(conn, pipeline_id)
        schedules = pipeline_store.load_schedules(conn, pipeline_id)
        if row.state is PipelineState.DEACTIVATING:
            pipeline_store.update_pipeline(conn, pipeline_id, state=PipelineState.INACTIVE)
        elif row.state is PipelineState.SCHEDULED and not any(s.next_at for s in schedules):
            pipeline_store.update_pipeline(conn, pipeline_id, state=PipelineState.FINISHED)

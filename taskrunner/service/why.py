"""Why does it wait? Gathers from the store what `model.why` is to know, a few rows at a time.

From the instances in question it goes on to what holds each back, level by level, until nothing
new comes up or enough is known: what it costs does not grow with the number of instances.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import InvalidRequest
from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category, Dependency, DependencyKind
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.runs import RunState
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, STARTING, InstanceStatus
from taskrunner.model.why.facts import Facts, Group, Known, Pause, Pipeline, Place
from taskrunner.model.why.instances import MOST_LINKS, explain
from taskrunner.model.why.pipelines import Sample, Why, explain_all
from taskrunner.service.definitions import Load, LoadedDefinition, Moment
from taskrunner.service.rerun import in_portions
from taskrunner.service.resources.placing import is_awaited
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import latest, links, queues
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import runs as run_store
from taskrunner.service.store.queues import MOST_ALIKE
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.why_groups import load_group

_I = InstanceStatus
#: Instances that one answer looks at, groups that it asks about, and tasks whose place in the
#: queue it counts.
MOST_INSTANCES = 400
MOST_GROUPS = 20
MOST_PLACES = 20
#: Of what has a place, or waits for a resource, those whose own causes are looked at.
_MOST_FOLLOWED = 3
_LIVE = tuple(status for status in InstanceStatus if status not in INSTANCE_TERMINAL)


def why(
    conn: Connection,
    pipeline: PipelineRow,
    load: Load,
    now: datetime,
    about: str | None = None,
) -> Why:
    """The answer about a pipeline, or about one instance, attempt or component of it.

    Raises InvalidRequest for one that is not there.
    """
    samples = tuple(_samples_of(conn, pipeline, load, about))
    gathering = Gathering(conn, pipeline, load, now)
    return explain_all(gathering.facts([s.instance_id for s in samples]), samples)


def _samples_of(
    conn: Connection, pipeline: PipelineRow, load: Load, about: str | None
) -> Iterable[Sample]:
    pipeline_id = pipeline.pipeline_id
    if about is None:
        for component_id in queues.components(conn, pipeline_id):
            yield from _samples(conn, pipeline_id, component_id)
        return
    instance_id = about.rsplit("_Attempt=", 1)[0]
    if instance_store.load_instances(conn, pipeline_id, [instance_id]):
        yield Sample(instance_id=instance_id)
        return
    version = pipeline.active_version or pipeline.latest_version
    if version == 0 or about not in load(pipeline_id, version).objects:
        raise InvalidRequest(f"pipeline {pipeline_id} has no object {about!r}")
    found = list(_samples(conn, pipeline_id, about))
    last = None if found else latest.last_ended(conn, pipeline_id, about)
    yield from found or ([Sample(instance_id=last.instance_id)] if last else [])


def waits(
    conn: Connection,
    pipeline: PipelineRow,
    load: Load,
    now: datetime,
    rows: Sequence[InstanceRow],
) -> dict[str, str]:
    """Of those of these instances that wait, the first cause, without what is behind it."""
    ids = [row.instance_id for row in rows if row.status in _LIVE and row.status is not _I.RUNNING]
    if not ids:
        return {}
    facts = Gathering(conn, pipeline, load, now).facts(ids, levels=2)
    return {key: explain(facts, key)[0].says for key in ids if key in facts.instances}


def _samples(conn: Connection, pipeline_id: str, component_id: str) -> Iterable[Sample]:
    """The oldest instance in each status before its end, and the last one if that failed."""
    for status in _LIVE:
        found = queues.oldest(conn, pipeline_id, component_id, status)
        if found is not None:
            row, count = found
            yield Sample(instance_id=row.instance_id, count=count, more=count == MOST_ALIKE)
    last = latest.last_ended(conn, pipeline_id, component_id)
    if last is not None and last.status in INSTANCE_FAILED:
        yield Sample(instance_id=last.instance_id)


@dataclass(slots=True)
class Gathering:
    """One answer's facts, within one transaction."""

    conn: Connection
    pipeline: PipelineRow
    load: Load
    now: datetime
    _known: dict[str, Known] = field(default_factory=dict)
    _groups: dict[str, Group] = field(default_factory=dict)
    _pauses: Mapping[str, Pause] = field(default_factory=dict)
    _runs: Mapping[datetime, RunState] = field(default_factory=dict)
    _placed: int = 0

    @property
    def _id(self) -> str:
        return self.pipeline.pipeline_id

    def facts(self, instance_ids: Sequence[str], *, levels: int = MOST_LINKS) -> Facts:
        """What is to be known of these instances; of what holds them back, so many levels."""
        rows = pause_store.load_pauses(self.conn, self._id)
        self._pauses = {
            row.object_id: Pause(object_id=row.object_id, at=row.paused_at, by=row.paused_by)
            for row in rows
        }
        self._runs = {run.start: run.state for run in run_store.load_runs(self.conn, self._id)}
        frontier = list(dict.fromkeys(instance_ids))
        for _ in range(levels):
            if not frontier or len(self._known) >= MOST_INSTANCES:
                break
            frontier = self._look_at(frontier[:MOST_INSTANCES])
        return Facts(
            now=self.now,
            pipeline=self._pipeline(),
            instances=self._known,
            groups=self._groups,
        )

    def _look_at(self, ids: Sequence[str]) -> list[str]:
        """Take note of these instances; returns what may hold them back and is not known yet."""
        rows = [
            row
            for some in in_portions(ids)
            for row in instance_store.load_instances(self.conn, self._id, some)
        ]
        level = _Level.load(self.conn, self._id, rows)
        following: list[str] = []
        for row in rows:
            known = self._instance(row, level)
            self._known[row.instance_id] = known
            self._note_group(known)
            following += _followed(known)
        return [key for key in dict.fromkeys(following) if key not in self._known]

    def _instance(self, row: InstanceRow, level: _Level) -> Known:
        loaded = self.load(self._id, row.version)
        moment = Moment(start=row.scheduled_start, end=row.scheduled_end)
        policy = loaded.policy(row.component_id, moment)
        attempts = level.attempts.get(row.instance_id, ())
        unmet = tuple(level.unmet(row))
        is_resource = row.category == Category.RESOURCE
        awaited = is_resource and row.status in STARTING and is_awaited(row.resource_handle)
        place = None
        if row.place_wanted and policy.max_active is not None:
            held = latest.active_ids(self.conn, self._id, row.component_id, Category(row.category))
            place = Place(limit=policy.max_active, held_by=tuple(held))
        return Known(
            row=row,
            policy=policy,
            unmet=unmet,
            missing=frozenset(d.instance_id for d in unmet if d.instance_id not in level.statuses),
            waited_for=tuple(self._waited_for(row, level)),
            attempts=tuple(attempts),
            looks=self._looks(row, attempts),
            pause=self._pause(row),
            place=place,
            runs_before=(before := self._runs_before(row, loaded)),
            left_of_run=tuple(self._left_of_run(before)),
            users=tuple(level.users(row)),
            ahead=self._ahead(row, attempts),
            # A rule that says who waits also says since when.
            awaited=row.actual_start is not None if awaited else None,
        )

    def _waited_for(self, row: InstanceRow, level: _Level) -> Iterable[str]:
        """Of one that has finished, what it had to wait for: not data that nobody writes."""
        if row.status is not _I.FINISHED:
            return
        found = [
            d
            for d in level.waits_for.get(row.instance_id, ())
            if d.kind is not DependencyKind.RESOURCE
        ]
        read = [d.instance_id for d in found if d.kind is DependencyKind.INPUT]
        written = links.dependencies_of(self.conn, self._id, read) if read else {}
        for dependency in found:
            if dependency.kind is not DependencyKind.INPUT or dependency.instance_id in written:
                yield dependency.instance_id

    def _pause(self, row: InstanceRow) -> Pause | None:
        if row.status in INSTANCE_TERMINAL or row.status is _I.RUNNING:
            return None
        held = (row.pipeline_id, row.component_id, row.backfill_id, row.instance_id)
        return next((self._pauses[key] for key in held if key and key in self._pauses), None)

    def _looks(
        self, row: InstanceRow, attempts: Sequence[AttemptRow]
    ) -> tuple[int, datetime] | None:
        if row.category != Category.PRECONDITION or not attempts:
            return None
        head = attempts[-1].attempt_id
        return latest.looks_of(self.conn, self._id, [head]).get(head)

    def _runs_before(self, row: InstanceRow, loaded: LoadedDefinition) -> tuple[datetime, ...]:
        if row.status is not _I.WAITING_ON_DEPENDENCIES or not loaded.on_demand:
            return ()
        if self._runs.get(row.scheduled_start) is not RunState.WAITING:
            return ()
        return tuple(start for start, state in self._runs.items() if state is RunState.ACTIVE)

    def _left_of_run(self, starts: Sequence[datetime]) -> Iterable[str]:
        """Of the first of these runs, what has not ended."""
        rows = run_store.load_run(self.conn, self._id, starts[0]) if starts else []
        return (row.instance_id for row in rows if row.status not in INSTANCE_TERMINAL)

    def _ahead(self, row: InstanceRow, attempts: Sequence[AttemptRow]) -> int | None:
        waits = row.status is _I.WAITING_FOR_RUNNER and attempts
        if not waits or attempts[-1].queue != Queue.READY or self._placed >= MOST_PLACES:
            return None
        self._placed += 1
        return queues.ahead_of(self.conn, self.pipeline.account, attempts[-1])

    def _note_group(self, known: Known) -> None:
        row, head = known.row, known.head
        if row.status is _I.WAITING_FOR_RUNNER:
            name = (head.worker_group if head else None) or row.worker_group
        else:
            name = row.worker_group if known.awaited is not None else None
        if name and name not in self._groups and len(self._groups) < MOST_GROUPS:
            self._groups[name] = load_group(self.conn, self.pipeline.account, name, self.now)

    def _pipeline(self) -> Pipeline:
        row = self.pipeline
        loaded = self.load(self._id, row.latest_version) if row.latest_version else None
        schedules = pipeline_store.load_schedules(self.conn, self._id)
        is_new = row.latest_version != row.active_version
        return Pipeline(
            pipeline_id=row.pipeline_id,
            name=row.name,
            state=str(row.state),
            latest=row.latest_version,
            active=row.active_version,
            mistakes=loaded.mistakes if loaded and is_new else {},
            pause=self._pauses.get(row.pipeline_id),
            stopped_at=row.last_deactivated_at,
            next_run=min((s.next_at for s in schedules if s.next_at), default=None),
            on_demand=loaded.on_demand if loaded else False,
        )


@dataclass(frozen=True, slots=True)
class _Level:
    """Statements' worth of context of some instances, loaded at once."""

    attempts: Mapping[str, Sequence[AttemptRow]]
    waits_for: Mapping[str, Sequence[Dependency]]
    waited_by: Mapping[str, Sequence[Dependency]]
    statuses: Mapping[str, InstanceStatus]

    @classmethod
    def load(cls, conn: Connection, pipeline_id: str, rows: Sequence[InstanceRow]) -> _Level:
        ids = [row.instance_id for row in rows]
        tried = [row.instance_id for row in rows if row.attempt_count]
        idle = [row.instance_id for row in rows if _is_idle_resource(row)]
        waits_for = links.dependencies_of(conn, pipeline_id, ids)
        waited_by = links.dependents_of(conn, pipeline_id, idle) if idle else {}
        others = sorted(
            {d.instance_id for found in (*waits_for.values(), *waited_by.values()) for d in found}
        )
        statuses: dict[str, InstanceStatus] = {}
        for some in in_portions(others):
            statuses.update(instance_store.statuses(conn, pipeline_id, some))
        attempts = attempt_store.attempts_of(conn, pipeline_id, tried) if tried else {}
        return cls(attempts, waits_for, waited_by, statuses)

    def unmet(self, row: InstanceRow) -> Iterable[Dependency]:
        """What has not finished; the resource only of one that waits for it."""
        if row.status in INSTANCE_TERMINAL:
            return
        waits_for_runner = row.status is _I.WAITING_FOR_RUNNER
        for dependency in self.waits_for.get(row.instance_id, ()):
            is_resource = dependency.kind is DependencyKind.RESOURCE
            unfinished = self.statuses.get(dependency.instance_id) is not _I.FINISHED
            if is_resource is waits_for_runner and unfinished:
                yield dependency

    def users(self, row: InstanceRow) -> Iterable[str]:
        """Of a resource that is not needed yet, who is to run on it."""
        for user in self.waited_by.get(row.instance_id, ()):
            live = self.statuses.get(user.instance_id) not in INSTANCE_TERMINAL
            if user.kind is DependencyKind.RESOURCE and live:
                yield user.instance_id


def _is_idle_resource(row: InstanceRow) -> bool:
    waits = row.status in {_I.WAITING_ON_DEPENDENCIES, _I.PAUSED}
    return waits and row.category == Category.RESOURCE


def _followed(known: Known) -> Iterable[str]:
    """The instances whose own causes may be those of this one."""
    yield from (dependency.instance_id for dependency in known.unmet)
    yield from known.users[:_MOST_FOLLOWED]
    yield from known.left_of_run[:_MOST_FOLLOWED]
    if known.place is not None:
        yield from known.place.held_by[:_MOST_FOLLOWED]
    if known.row.cause is not None:
        yield known.row.cause

"""Backfill: running periods of a schedule that lie in the past.

What has instances begins again, as far as it is wanted; periods that have none, since an activation
began after them or they are not kept any more, get them. Either way they wait for a place under
maxActiveInstances as any others do. Each period is a transaction of its own: a backfill that is cut
short has done whole periods, and the same one goes on with the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from sqlalchemy.engine import Connection

from taskrunner.clock import Clock
from taskrunner.errors import DefinitionError, InvalidRequest, TaskrunnerError
from taskrunner.model.instances import Category, InstanceSpec
from taskrunner.model.rows import InstanceRow
from taskrunner.model.schedule import Occurrence, Schedule
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, InstanceStatus
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.rerun import in_portions
from taskrunner.service.schedule_expander import ScheduleExpander
from taskrunner.service.set_status import begin_again, set_going
from taskrunner.service.store import audit
from taskrunner.service.store import backfills as backfill_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.backfills import BackfillRow, BackfillStage
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import PipelineRow

#: Periods of one backfill.
MOST_PERIODS = 1000
#: Which instances that have ended begin again, by the word that asks for it.
REDO: Mapping[str, Collection[InstanceStatus]] = {
    "missing": {InstanceStatus.SKIPPED},
    "failed": {InstanceStatus.SKIPPED, *INSTANCE_FAILED},
    "all": INSTANCE_TERMINAL,
}
#: Where data nodes say what they stand for; the first that is set counts.
_PLACES = ("filePath", "directoryPath", "table", "tableName")


class Surroundings(Protocol):
    """What a backfill needs of the service."""

    @property
    def store(self) -> Store:
        """Where all of it is kept."""
        ...

    @property
    def clock(self) -> Clock:
        """The time."""
        ...

    def loaded(self, pipeline_id: str, version: int) -> LoadedDefinition:
        """A version of a definition."""
        ...

    def transaction(self) -> AbstractContextManager[SchedulingTransaction]:
        """All of it, or nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What a backfill does about one period of a schedule."""

    schedule_id: str
    occurrence: Occurrence
    #: What is there, and of that what begins again.
    found: tuple[InstanceRow, ...]
    again: tuple[InstanceRow, ...]
    #: What is made.
    made: tuple[InstanceSpec, ...]

    @property
    def component_ids(self) -> tuple[str, ...]:
        """The components that run."""
        again = [row.component_id for row in self.again]
        return tuple(dict.fromkeys([*again, *(spec.component_id for spec in self.made)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to run of which periods."""

    first: datetime
    last: datetime
    #: Instances that have ended so begin again.
    redo: Collection[InstanceStatus]
    #: Only these components; empty: all.
    components: frozenset[str]


def plan(service: Surroundings, row: PipelineRow, wanted: Wanted) -> list[Period]:
    """Every period, oldest first. Raises InvalidRequest for what cannot be backfilled."""
    if not row.active_version:
        raise InvalidRequest(
            f"pipeline {row.pipeline_id} was never activated: ActivatePipeline first"
        )
    loaded = service.loaded(row.pipeline_id, row.active_version)
    if loaded.on_demand:
        raise InvalidRequest(
            f"pipeline {row.pipeline_id} runs on demand and has no periods: activate it, or rerun"
        )
    now = service.clock.now()
    if wanted.last > now:
        raise InvalidRequest(f"last: {wanted.last:%Y-%m-%dT%H:%M:%SZ} is in the future")
    expander = ScheduleExpander(row, loaded)
    with service.store.read() as conn:
        planner = _Planner(conn, row, loaded, expander, wanted, now)
        periods = planner.periods()
    if not periods:
        raise InvalidRequest("no period of any schedule of the pipeline starts in that time")
    return periods


@dataclass(frozen=True, slots=True)
class _Planner:
    conn: Connection
    row: PipelineRow
    loaded: LoadedDefinition
    expander: ScheduleExpander
    wanted: Wanted
    now: datetime

    def periods(self) -> list[Period]:
        unknown = sorted(self.wanted.components - self.loaded.components.runnable.keys())
        if unknown:
            raise InvalidRequest(f"component: nothing of the pipeline that runs is {unknown[0]!r}")
        try:
            schedules = self.loaded.schedules(self.row.first_activated_at or self.now)
        except DefinitionError as error:
            raise InvalidRequest(str(error)) from error
        progress = {
            known.schedule_id: known
            for known in pipeline_store.load_schedules(self.conn, self.row.pipeline_id)
        }
        found: list[tuple[str, Occurrence]] = []
        for schedule_id, schedule in schedules.items():
            at = progress.get(schedule_id)
            stop = at.next_index if at is not None and at.next_at is not None else None
            found += [(schedule_id, of) for of in self._occurrences(schedule, stop)]
            if len(found) > MOST_PERIODS:
                raise InvalidRequest(f"that are more than {MOST_PERIODS} periods: wanted fewer")
        found.sort(key=lambda pair: (pair[1].start, pair[0]))
        return [self._period(schedule_id, occurrence) for schedule_id, occurrence in found]

    def _occurrences(self, schedule: Schedule, stop: int | None) -> Iterable[Occurrence]:
        """Its periods in the time that is wanted, to which the schedule has come."""
        begin = schedule.index_from(self.wanted.first)
        if begin is None:
            return
        for number, occurrence in enumerate(schedule.iterate(begin, stop)):
            if occurrence.start > self.wanted.last or number > MOST_PERIODS:
                return
            yield occurrence

    def _period(self, schedule_id: str, occurrence: Occurrence) -> Period:
        specs = self.expander.specs(schedule_id, occurrence, self.now)
        ids = [spec.instance_id for spec in specs]
        found = instance_store.load_instances(self.conn, self.row.pipeline_id, ids)
        there = {row.instance_id for row in found}
        made = tuple(spec for spec in specs if spec.instance_id not in there)
        if made and self.wanted.components:
            raise InvalidRequest(
                f"the period that starts at {occurrence.start:%Y-%m-%dT%H:%M:%SZ} has no instance "
                f"of {made[0].component_id!r} yet: it can only be made whole, without `component`"
            )
        again = tuple(
            row
            for row in found
            if row.status in INSTANCE_TERMINAL
            and row.status in self.wanted.redo
            and (not self.wanted.components or row.component_id in self.wanted.components)
        )
        return Period(
            schedule_id=schedule_id,
            occurrence=occurrence,
            found=tuple(found),
            again=again,
            made=made,
        )


def carry_out(service: Surroundings, backfill: BackfillRow, periods: Sequence[Period]) -> bool:
    """Have the periods run, or with a limit the first of them; whether there is any that does.

    The backfill is there with its first period. Raises InvalidRequest when the pipeline is being
    deactivated: what was begun before goes on.
    """
    wanted = _in_order(backfill, periods)
    backfill = replace(backfill, periods=len(wanted))
    begun = 0
    try:
        for period in wanted[: backfill.at_once]:
            if not _run(service, replace(backfill, begun=begun), period):
                break  # it was canceled meanwhile
            begun += 1
    except TaskrunnerError:
        if begun:
            with service.store.write() as conn:
                backfill_store.update(conn, backfill.backfill_id, periods=begun)
        raise
    return bool(wanted)


def go_on(service: Surroundings, backfill: BackfillRow) -> bool:
    """Set the next periods of a backfill with a limit going; whether anything was done.

    What is to run is looked for anew: of what others have run meanwhile, nothing more is made.
    """
    with service.store.read() as conn:
        free = (backfill.at_once or 0) - backfill_store.at_work(conn, backfill)
        pipeline = pipeline_store.load_pipeline(conn, backfill.pipeline_id)
    if free <= 0:
        return False
    wanted = Wanted(
        first=backfill.first,
        last=backfill.last,
        redo=REDO[backfill.redo],
        components=frozenset(backfill.components),
    )
    left = [
        period
        for period in _in_order(backfill, plan(service, pipeline, wanted))
        if _is_beyond(period, backfill)
    ]
    for number, period in enumerate(left[:free]):
        if not _run(service, replace(backfill, begun=backfill.begun + number), period):
            return number > 0  # it was canceled, or another process goes on with it
    if len(left) <= free:
        give_up_the_rest(service, backfill)
    return True


def give_up_the_rest(service: Surroundings, backfill: BackfillRow) -> None:
    """Have a backfill be those periods that were set going, and no more."""
    with service.store.write() as conn:
        pipeline_store.load_pipeline(conn, backfill.pipeline_id, lock=True)
        now = backfill_store.load(conn, backfill.backfill_id)
        if now is not None:
            backfill_store.update(conn, backfill.backfill_id, periods=now.begun)


def _in_order(backfill: BackfillRow, periods: Sequence[Period]) -> list[Period]:
    """The periods that run, as they are set going."""
    wanted = [period for period in periods if period.again or period.made]
    return wanted[::-1] if backfill.newest_first else wanted


def _is_beyond(period: Period, backfill: BackfillRow) -> bool:
    """Whether a period comes behind the one that was set going last."""
    if backfill.came_to is None:
        return True
    place = (period.occurrence.start, period.schedule_id)
    last = (backfill.came_to, backfill.came_to_schedule or "")
    return place < last if backfill.newest_first else place > last


def _run(service: Surroundings, backfill: BackfillRow, period: Period) -> bool:
    """Have the next period of a backfill run; false when it is to have no more."""
    pipeline_id, key = backfill.pipeline_id, backfill.backfill_id
    with service.transaction() as transaction:
        conn = transaction.conn
        row = pipeline_store.load_pipeline(conn, pipeline_id, lock=True)
        if not backfill.begun:
            backfill_store.insert(conn, backfill)
            told = f"{backfill.first:%Y-%m-%dT%H:%M:%SZ} to {backfill.last:%Y-%m-%dT%H:%M:%SZ}"
            audit.note(conn, pipeline_id, objects=[key], after=f"backfill from {told}")
        now = backfill_store.load(conn, key)
        if now is None or now.stage is not BackfillStage.GOING or now.begun != backfill.begun:
            return False
        set_going(transaction, row)
        backfill_store.update(
            conn,
            key,
            begun=backfill.begun + 1,
            came_to=period.occurrence.start,
            came_to_schedule=period.schedule_id,
        )
        version = row.active_version
        instance_store.insert_instances(
            conn, pipeline_id, version, period.made, transaction.now, backfill_id=key
        )
        ids = [of.instance_id for of in period.again]
        rows = instance_store.load_instances(conn, pipeline_id, ids, lock=True) if ids else []
        ended = [of for of in rows if of.status in INSTANCE_TERMINAL]
        if ended:
            begun = begin_again(transaction, row, ended, by_hand=False)
            for some in in_portions([of.instance_id for of in begun]):
                backfill_store.mark(conn, pipeline_id, some, key)
    return True


def overwritten(loaded: LoadedDefinition, period: Period) -> list[tuple[str, str, str]]:
    """What the activities of a period write: activity, data node, and what that stands for."""
    shown = loaded.for_eyes
    moment = Moment(start=period.occurrence.start, end=period.occurrence.end)
    return [
        (component_id, ref.id, _place(shown, ref.id, moment))
        for component_id in period.component_ids
        if loaded.components.runnable.get(component_id) is Category.ACTIVITY
        for ref in loaded.objects[component_id].refs("output")
        if ref.id in loaded.objects
    ]


def _place(shown: LoadedDefinition, node_id: str, moment: Moment) -> str:
    texts: Collection[str | None] = [shown.text(node_id, key, moment) for key in _PLACES]
    return next((text for text in texts if text), "")

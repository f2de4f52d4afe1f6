"""Turning schedules into instances: at activation, and as each period's time comes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from taskrunner.model.instances import Category, DependencyKind, InstanceSpec, expand
from taskrunner.model.schedule import FIRST_ACTIVATION, ON_DEMAND_ID, Occurrence, Schedule
from taskrunner.model.selection import ScheduleUse, Selection, overlapping
from taskrunner.model.states import InstanceStatus
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.runs import queue_run
from taskrunner.service.settings import CHECKS_GROUP
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow, ScheduleRow

#: A transaction makes no more instances than this and those of one period: others wait for it.
INSTANCES_AT_ONCE = 400
#: Of the periods that an activation skips, the newest that are recorded as SKIPPED.
MOST_SKIPPED = 1000


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What the instances of one period see of the others."""

    loaded: LoadedDefinition
    schedules: Mapping[str, Schedule]
    #: The only periods that are to run, where a selection was made.
    selected: Mapping[str, list[Occurrence]] | None = None

    def overlapping(self, schedule_id: str, start: datetime, end: datetime) -> list[Occurrence]:
        schedule = self.schedules.get(schedule_id)
        if schedule is None:
            return []
        found = overlapping(schedule, start, end)
        if self.selected is None:
            return found
        return [occurrence for occurrence in found if occurrence in self.selected[schedule_id]]

    def text(self, component_id: str, field: str, occurrence: Occurrence) -> str | None:
        moment = Moment(start=occurrence.start, end=occurrence.end)
        return self.loaded.text(component_id, field, moment)


@dataclass(frozen=True, slots=True)
class ScheduleExpander:
    """Makes the instances of one pipeline's active definition."""

    pipeline: PipelineRow
    loaded: LoadedDefinition
    #: The definition that was active before.
    before: LoadedDefinition | None = None
    #: The types of preconditions that the service checks itself.
    checks: frozenset[str] = frozenset()

    def activate(
        self,
        conn: Connection,
        now: datetime,
        *,
        start: datetime | None = None,
        selection: Selection | None = None,
    ) -> datetime | None:
        """Begin (or begin again): set each schedule going from `start` or where it had come to.

        Returns the start of the run that was made, on demand. Raises UsageError when a selection
        selects nothing, DefinitionError for a bad schedule.
        """
        if self.loaded.on_demand:
            # Ids count in seconds: two activations within one are still two runs.
            newest = instance_store.newest_start(conn, self.pipeline.pipeline_id)
            begun = now if newest is None else max(now, newest + timedelta(seconds=1))
            schedules = self.loaded.schedules(begun)
            self._make(conn, schedules, dict.fromkeys(schedules), now)
            start_of_run = schedules[ON_DEMAND_ID].start
            queue_run(conn, self.pipeline.pipeline_id, start_of_run, self.pipeline.active_version)
            return start_of_run
        if selection is not None:
            schedules = self._schedules(now)
            self._make(conn, schedules, selection.pick(self._uses(schedules), now), now)
            return None
        held = pipeline_store.load_schedules(conn, self.pipeline.pipeline_id)
        rows = self.begun(held, now, start)
        pipeline_store.replace_schedules(conn, self.pipeline.pipeline_id, rows)
        return None

    def begun(
        self, held: Iterable[ScheduleRow], now: datetime, start: datetime | None = None
    ) -> list[ScheduleRow]:
        """Where an activation has each schedule go on; `held`: how far they have come.

        Raises DefinitionError for a bad schedule.
        """
        known = {row.schedule_id: row.next_index for row in held}
        return [
            self._row(schedule, self._come_to(schedule, known.get(schedule_id), now), start)
            for schedule_id, schedule in self._schedules(now).items()
        ]

    def advance(self, conn: Connection, row: ScheduleRow, now: datetime, most: int) -> int:
        """Make the instances of the periods of one schedule that have begun by now.

        After the period in which they become `most`, the rest is left for the next time. Returns
        how many were made.
        """
        schedules = self._schedules(now)
        schedule = schedules.get(row.schedule_id)
        index, specs = row.next_index, list[InstanceSpec]()
        surroundings = _Surroundings(self.loaded, schedules)
        occurrence = schedule.occurrence(index) if schedule else None
        skipped = list[InstanceSpec]()
        while (
            occurrence is not None and occurrence.start <= now and len(specs) + len(skipped) < most
        ):
            skips = row.skip_before is not None and occurrence.start < row.skip_before
            found = skipped if skips else specs
            found += self._expand(row.schedule_id, occurrence, surroundings)
            index += 1
            occurrence = schedule.occurrence(index) if schedule else None
        self._insert(conn, specs, now)
        self._insert(conn, skipped, now, InstanceStatus.SKIPPED)
        pipeline_store.set_schedule(conn, row, index, occurrence.start if occurrence else None)
        pipeline_store.update_pipeline(conn, self.pipeline.pipeline_id, latest_run_at=now)
        return len(specs) + len(skipped)

    def specs(self, schedule_id: str, occurrence: Occurrence, now: datetime) -> list[InstanceSpec]:
        """The instances that a period of a schedule has, whether they were made or not."""
        return self._expand(
            schedule_id, occurrence, _Surroundings(self.loaded, self._schedules(now))
        )

    def _schedules(self, activated_at: datetime) -> dict[str, Schedule]:
        return self.loaded.schedules(self.pipeline.first_activated_at or activated_at)

    def _come_to(self, schedule: Schedule, known: int | None, now: datetime) -> int | None:
        """Which period of a schedule is to be made next; None: it has made none yet.

        Where start or period were changed, it goes on at the moment to which the old one had come.
        """
        old = self.before and self.before.schedules(self.pipeline.first_activated_at or now).get(
            schedule.id
        )
        if not known or not old or (old.start, old.period) == (schedule.start, schedule.period):
            return known
        last = old.occurrence(known - 1)
        return known if last is None else _index_from(schedule, last.end)

    def _row(self, schedule: Schedule, known: int | None, start: datetime | None) -> ScheduleRow:
        index, skip_before = known or 0, None
        if start is not None:
            index = _index_from(schedule, start)
            if known is not None and known < index:
                index, skip_before = max(known, index - MOST_SKIPPED), start
        occurrence = schedule.occurrence(index)
        return ScheduleRow(
            pipeline_id=self.pipeline.pipeline_id,
            schedule_id=schedule.id,
            next_index=index,
            next_at=occurrence.start if occurrence else None,
            skip_before=skip_before,
        )

    def _uses(self, schedules: Mapping[str, Schedule]) -> dict[str, ScheduleUse]:
        components = self.loaded.components
        with_activities = {
            components.schedule_id(component_id, on_demand=False)
            for component_id, category in components.runnable.items()
            if category is Category.ACTIVITY
        }
        return {
            schedule_id: ScheduleUse(
                schedule=schedule,
                styles=frozenset(self.loaded.styles(schedule_id)),
                has_activities=schedule_id in with_activities,
                starts_at_activation=self._starts_at_activation(schedule_id),
            )
            for schedule_id, schedule in schedules.items()
        }

    def _starts_at_activation(self, schedule_id: str) -> bool:
        obj = self.loaded.objects[schedule_id]
        return obj.string("startAt") == FIRST_ACTIVATION and not obj.has("startDateTime")

    def _make(
        self,
        conn: Connection,
        schedules: Mapping[str, Schedule],
        picked: Mapping[str, list[Occurrence] | None],
        now: datetime,
    ) -> None:
        """Make instances at once; those of a selection do not wait for their own time."""
        chosen = {
            schedule_id: list(schedules[schedule_id].iterate(0, 1)) if found is None else found
            for schedule_id, found in picked.items()
        }
        surroundings = _Surroundings(self.loaded, schedules, chosen)
        specs = [
            replace(spec, not_before=now)
            for schedule_id, found in chosen.items()
            for occurrence in found
            for spec in self._expand(schedule_id, occurrence, surroundings)
        ]
        self._insert(conn, specs, now)
        pipeline_store.replace_schedules(conn, self.pipeline.pipeline_id, [])
        pipeline_store.update_pipeline(conn, self.pipeline.pipeline_id, latest_run_at=now)

    def _expand(
        self, schedule_id: str, occurrence: Occurrence, surroundings: _Surroundings
    ) -> list[InstanceSpec]:
        components = self.loaded.components
        found = expand(self.pipeline.pipeline_id, components, schedule_id, occurrence, surroundings)
        return [self._placed(spec) for spec in found]

    def _placed(self, spec: InstanceSpec) -> InstanceSpec:
        """A precondition that the service checks needs neither a worker group nor a resource."""
        if spec.category is not Category.PRECONDITION or spec.type not in self.checks:
            return spec
        kept = (d for d in spec.dependencies if d.kind is not DependencyKind.RESOURCE)
        return replace(spec, worker_group=CHECKS_GROUP, dependencies=tuple(kept))

    def _insert(
        self,
        conn: Connection,
        specs: list[InstanceSpec],
        now: datetime,
        status: InstanceStatus = InstanceStatus.WAITING_ON_DEPENDENCIES,
    ) -> None:
        pipeline_id, version = self.pipeline.pipeline_id, self.pipeline.active_version
        instance_store.insert_instances(conn, pipeline_id, version, specs, now, status)


def _index_from(schedule: Schedule, moment: datetime) -> int:
    """The first period that starts at this moment or later; behind the last if none does."""
    index = schedule.index_from(moment)
    return (schedule.count or 0) if index is None else index

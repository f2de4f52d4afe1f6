"""When a pipeline runs: the periods that come, and those of the past of which nothing ran."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError
from taskrunner.model.schedule import Occurrence, Schedule, ScheduleType, runs_at
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.callers import Caller
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.engine import Service
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import summaries
from taskrunner.service.store.rows import PipelineRow, ScheduleRow
from taskrunner.service.v1.requests import ShowSchedule
from taskrunner.service.v1.schedule_shapes import (
    NotRun,
    PastPeriod,
    Planned,
    PlannedPeriod,
    ScheduleOverview,
    ScheduleSummary,
)
from taskrunner.service.v1.scope import looking_at


def show_schedule(service: Service, caller: Caller, request: ShowSchedule) -> ScheduleOverview:
    """What comes next of a pipeline's schedules, and what did not run."""
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        version, now = row.active_version or row.latest_version, service.clock.now()
        active = row.state is PipelineState.SCHEDULED
        if not version:
            return ScheduleOverview(version=0, active=False, on_demand=False)
        loaded = service.loaded(row.pipeline_id, version)
        if loaded.on_demand:
            return ScheduleOverview(version=version, active=active, on_demand=True)
        try:
            schedules = loaded.schedules(row.first_activated_at or now)
            styles = {key: loaded.styles(key) for key in schedules}
        except DefinitionError as error:
            problem = str(error)
            return ScheduleOverview(
                version=version, active=active, on_demand=False, problem=problem
            )
        progress = {
            known.schedule_id: known
            for known in pipeline_store.load_schedules(conn, row.pipeline_id)
        }
        planned = _merged(
            _planned(schedule, styles[key], _come_to(row, progress.get(key)), now)
            for key, schedule in schedules.items()
        )
        return ScheduleOverview(
            version=version,
            active=active,
            on_demand=False,
            schedules=tuple(map(_summary, schedules.values())),
            planned=tuple(islice(planned, request.n)),
            not_run=_not_run(conn, row, schedules, progress, request.n),
        )


def planned_periods(
    row: PipelineRow,
    loaded: LoadedDefinition,
    progress: Iterable[ScheduleRow],
    now: datetime,
    most: int,
) -> tuple[PlannedPeriod, ...]:
    """The next periods of a definition whose schedules have come so far. Raises DefinitionError."""
    schedules = loaded.schedules(row.first_activated_at or now)
    found = _merged(
        _planned(schedules[known.schedule_id], loaded.styles(known.schedule_id), known, now)
        for known in progress
        if known.schedule_id in schedules
    )
    return tuple(islice(found, most))


def _merged(parts: Iterable[Iterator[PlannedPeriod]]) -> Iterator[PlannedPeriod]:
    return heapq.merge(*parts, key=lambda period: (period.start, period.schedule_id))


def _come_to(row: PipelineRow, known: ScheduleRow | None) -> ScheduleRow | None:
    """How far a schedule has come; of what was never activated, to its beginning."""
    if known is not None or row.active_version:
        return known
    return ScheduleRow(pipeline_id=row.pipeline_id, schedule_id="", next_index=0, next_at=None)


def _planned(
    schedule: Schedule, styles: set[ScheduleType], known: ScheduleRow | None, now: datetime
) -> Iterator[PlannedPeriod]:
    """The periods that have not been made, perhaps for ever; a schedule that is over has none."""
    if known is None:
        return
    for occurrence in schedule.iterate(known.next_index):
        state = Planned.DUE if occurrence.start <= now else Planned.COMES
        if known.skip_before is not None and occurrence.start < known.skip_before:
            state = Planned.SKIPPED
        yield PlannedPeriod(
            schedule_id=schedule.id,
            start=occurrence.start,
            end=occurrence.end,
            runs_at=min((runs_at(occurrence, style) for style in styles), default=occurrence.start),
            state=state,
        )


def _summary(schedule: Schedule) -> ScheduleSummary:
    return ScheduleSummary(
        id=schedule.id,
        start=schedule.start,
        period=str(schedule.period),
        until=schedule.until,
        occurrences=schedule.occurrences,
    )


def _not_run(
    conn: Connection,
    row: PipelineRow,
    schedules: Mapping[str, Schedule],
    progress: Mapping[str, ScheduleRow],
    most: int,
) -> tuple[PastPeriod, ...]:
    """Of the last periods of each schedule those of which nothing ran."""
    past: list[tuple[str, Occurrence]] = []
    for key, known in progress.items():
        if key in schedules:
            first = max(0, known.next_index - most)
            past += [(key, of) for of in schedules[key].iterate(first, known.next_index)]
    if not past:
        return ()
    starts = [occurrence.start for _, occurrence in past]
    found: dict[datetime, set[InstanceStatus]] = {}
    for part in summaries.runs_between(conn, row.pipeline_id, min(starts), max(starts)):
        found.setdefault(part.start, set()).add(part.status)
    past.sort(key=lambda pair: (pair[1].start, pair[0]), reverse=True)
    return tuple(
        PastPeriod(
            schedule_id=key,
            start=occurrence.start,
            end=occurrence.end,
            why=NotRun.SKIPPED if statuses else NotRun.MISSING,
        )
        for key, occurrence in past
        if not (statuses := found.get(occurrence.start, set())) - {InstanceStatus.SKIPPED}
    )[:most]

"""The periods of a span of time: those that have come, with their runs, and those to come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError, InvalidRequest
from taskrunner.model.run_status import RunStatus
from taskrunner.model.schedule import Schedule
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.rows import PipelineRow, ScheduleRow
from taskrunner.service.store.summaries import runs_between
from taskrunner.service.v1.calendar_shapes import (
    Calendar,
    CalendarPeriod,
    ListPeriods,
    PeriodState,
)
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.runs import runs_of
from taskrunner.service.v1.scope import looking_at
from taskrunner.service.v1.shapes import Run

_MOST = 5000
_LONGEST = timedelta(days=100)


def list_periods(service: Service, caller: Caller, request: ListPeriods) -> Calendar:
    """Every period that starts in a span."""
    first, last = request.first, request.last
    if not first <= last <= first + _LONGEST:
        raise InvalidRequest(f"last: wanted up to {_LONGEST.days} days after first")
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        key, now = row.pipeline_id, service.clock.now()
        runs = {run.start: run for run in runs_of(runs_between(conn, key, first, last))}
        found: list[CalendarPeriod] = []
        for schedule, known in _schedules(service, conn, row, now):
            periods = _periods(schedule, known, runs, first, last, now)
            found += islice(periods, _MOST + 1)
    of_schedules = {one.start for one in found}
    found += [
        CalendarPeriod(start=run.start, end=run.end, state=PeriodState.RAN, status=run.status)
        for run in runs.values()
        if run.start not in of_schedules
    ]
    found.sort(key=lambda one: (one.start, one.schedule_id or ""))
    return Calendar(periods=tuple(found[:_MOST]), more=len(found) > _MOST)


def _schedules(
    service: Service, conn: Connection, row: PipelineRow, now: datetime
) -> Iterator[tuple[Schedule, ScheduleRow]]:
    """The schedules of the active definition, and how far each has come."""
    version = row.active_version or row.latest_version
    loaded = service.loaded(row.pipeline_id, version) if version else None
    if loaded is None or loaded.on_demand:
        return
    try:
        schedules = loaded.schedules(row.first_activated_at or now)
    except DefinitionError:
        return  # told beside the schedule (show_schedule)
    held = pipeline_store.load_schedules(conn, row.pipeline_id)
    progress = {known.schedule_id: known for known in held}
    for key, schedule in schedules.items():
        if key in progress:
            yield schedule, progress[key]
        elif not row.active_version:
            # To its beginning: it was never activated.
            yield (
                schedule,
                ScheduleRow(
                    pipeline_id=row.pipeline_id, schedule_id=key, next_index=0, next_at=None
                ),
            )


def _periods(
    schedule: Schedule,
    known: ScheduleRow,
    runs: Mapping[datetime, Run],
    first: datetime,
    last: datetime,
    now: datetime,
) -> Iterator[CalendarPeriod]:
    begin = schedule.index_from(first)
    if begin is None:
        return
    for occurrence in schedule.iterate(begin):
        if occurrence.start > last:
            return
        run = runs.get(occurrence.start)
        state = PeriodState.COMES
        if run is not None:
            state = PeriodState.SKIPPED if run.status is RunStatus.SKIPPED else PeriodState.RAN
        elif occurrence.index < known.next_index:
            state = PeriodState.MISSING
        elif known.skip_before is not None and occurrence.start < known.skip_before:
            state = PeriodState.SKIPPED
        elif occurrence.start <= now:
            state = PeriodState.DUE
        yield CalendarPeriod(
            start=occurrence.start,
            end=occurrence.end,
            state=state,
            schedule_id=schedule.id,
            status=run.status if run else None,
        )


CALENDAR_ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/pipelines/{pipeline_id}/periods",
        action="DescribePipelines",
        request=ListPeriods,
        reply=Calendar,
        handler=list_periods,
        summary="The periods of a span of time: those that ran and how, and those that come.",
    ),
)

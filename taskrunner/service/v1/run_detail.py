"""One run: its critical path, what it has written, and the alarms that it has raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.model.critical_path import Span, critical_path
from taskrunner.model.instances import Category, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.rerun import in_portions
from taskrunner.service.runs import waiting_starts
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import links, summaries
from taskrunner.service.store.tables import instances
from taskrunner.service.v1.alarms import alarm_of
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.route import Route
from taskrunner.service.v1.run_shapes import CriticalStep, RunDetail, ShowRun, WrittenBy
from taskrunner.service.v1.runs import runs_of
from taskrunner.service.v1.scope import looking_at

#: Instances of a run that are looked at, and alarms that are told.
_MOST, _MOST_ALARMS = 5000, 100
#: What activities call what they count (`ctx.progress`).
_COUNTS: Mapping[str, Sequence[str]] = {
    "rows": ("rows", "items"),
    "bytes": ("bytes",),
    "files": ("files",),
}


def show_run(service: Service, caller: Caller, request: ShowRun) -> RunDetail:
    """A run of a pipeline. Raises NotFound."""
    with looking_at(service, caller, request.pipeline_id) as (conn, pipeline, _):
        key, start = pipeline.pipeline_id, request.start
        parts = summaries.runs_between(conn, key, start, start)
        if not parts:
            raise NotFound(f"no run of {key} starts at {start:%Y-%m-%dT%H:%M:%SZ}")
        where = [instances.c.scheduled_start == start]
        rows = summaries.page_of_instances(conn, key, _MOST, where=where)
        written = tuple(_written(conn, key, rows))
        return RunDetail(
            run=runs_of(parts, waiting_starts(conn, key))[0],
            critical_path=_path(conn, key, rows, service.clock.now()),
            written=written,
            total=_total(written),
            alarms=tuple(
                alarm_of(row) for row in alarm_store.of_run(conn, key, start, _MOST_ALARMS)
            ),
        )


def _path(
    conn: Connection, pipeline_id: str, rows: Sequence[InstanceRow], now: datetime
) -> tuple[CriticalStep, ...]:
    begun = {row.instance_id: row for row in rows if row.actual_start is not None}
    # A resource is there as long as what runs on it: it says nothing of what waited for what.
    steps = {key: row for key, row in begun.items() if row.category != Category.RESOURCE}
    spans = {
        key: Span(row.actual_start, row.actual_end)
        for key, row in steps.items()
        if row.actual_start is not None
    }
    waited_for = {
        key: [of.instance_id for of in found if of.kind is not DependencyKind.RESOURCE]
        for some in in_portions(sorted(spans))
        for key, found in links.dependencies_of(conn, pipeline_id, some).items()
    }
    return tuple(
        CriticalStep(
            instance_id=key,
            component_id=steps[key].component_id,
            began=spans[key].began,
            ended=spans[key].ended,
        )
        for key in critical_path(spans, waited_for, now)
    )


def _written(
    conn: Connection, pipeline_id: str, rows: Sequence[InstanceRow]
) -> Iterator[WrittenBy]:
    activities = {row.instance_id: row for row in rows if row.category == Category.ACTIVITY}
    for some in in_portions(sorted(activities)):
        for key, attempt in attempt_store.head_attempts(conn, pipeline_id, some).items():
            counts = {name: _count(attempt.progress, keys) for name, keys in _COUNTS.items()}
            if any(count is not None for count in counts.values()):
                component_id = activities[key].component_id
                yield WrittenBy(instance_id=key, component_id=component_id, **counts)


def _count(progress: Mapping[str, object], keys: Sequence[str]) -> int | None:
    """A number that a runner has reported, which may report anything."""
    for key in keys:
        text = str(progress.get(key, ""))
        if text.isascii() and text.isdecimal():
            return int(text[:18])
    return None


def _total(written: Sequence[WrittenBy]) -> Mapping[str, int]:
    found = {name: [getattr(one, name) for one in written] for name in _COUNTS}
    return {
        name: sum(count for count in counts if count is not None)
        for name, counts in found.items()
        if any(count is not None for count in counts)
    }


RUN_ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/pipelines/{pipeline_id}/runs/{start}",
        action="QueryObjects",
        request=ShowRun,
        reply=RunDetail,
        handler=show_run,
        summary="One run: its critical path, what it has written, and the alarms of it.",
    ),
)

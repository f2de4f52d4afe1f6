"""Runs of a pipeline: as a list, and as a grid of components by runs.

The grid's structure is asked for once, the states of its cells again and again: then only what may
have changed since is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from taskrunner.model.catalog import category_of
from taskrunner.model.document import Definition
from taskrunner.model.graph import Graph
from taskrunner.model.run_status import run_status
from taskrunner.model.states import INSTANCE_TERMINAL
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.runs import waiting_starts
from taskrunner.service.store import summaries
from taskrunner.service.store.summaries import CellRow, RunPart
from taskrunner.service.v1.requests import ListRuns, ShowGrid, ShowStates
from taskrunner.service.v1.scope import from_marker, looking_at, to_marker
from taskrunner.service.v1.shapes import Cell, Component, Edge, Grid, Run, RunList, States

#: What was written by a transaction that began before a marker may be seen only after it.
_OVERLAP = timedelta(seconds=30)


def list_runs(service: Service, caller: Caller, request: ListRuns) -> RunList:
    """A page of a pipeline's runs."""
    before = from_marker(request.marker, datetime)[0] if request.marker else None
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        starts, more = _page(conn, row.pipeline_id, request.limit, before)
        return RunList(
            runs=_runs(conn, row.pipeline_id, starts),
            marker=to_marker(starts[-1]) if more else None,
        )


def show_grid(service: Service, caller: Caller, request: ShowGrid) -> Grid:
    """Components by runs, without their states."""
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        starts, more = _page(conn, row.pipeline_id, request.n, request.until)
        version = row.active_version or row.latest_version
        loaded = service.loaded(row.pipeline_id, version) if version else None
        objects = loaded.objects if loaded else {}
        parents = _parents(loaded.definition) if loaded else {}
        graph = Graph.of(objects, category_of)
        return Grid(
            version=version,
            components=tuple(
                Component(
                    id=node.id,
                    name=objects[node.id].name,
                    type=node.type,
                    category=node.category,
                    stage=node.stage,
                    where=node.where,
                    parent=parents.get(node.id),
                )
                for node in graph.nodes
            ),
            edges=tuple(Edge(source=e.source, target=e.target, kind=e.kind) for e in graph.edges),
            runs=_runs(conn, row.pipeline_id, starts),
            older=starts[-1] if more else None,
        )


def show_states(service: Service, caller: Caller, request: ShowStates) -> States:
    """The states of the cells of a grid, or what may have changed of them since a marker."""
    since, digest = from_marker(request.since, datetime, str) if request.since else (None, None)
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        next_since = service.clock.now() - _OVERLAP
        rows = summaries.cells_between(
            conn, row.pipeline_id, request.first, request.last, changed_since=since
        )
    return States(
        # All that go on are told, unless everything is as it was when the marker was given.
        cells=() if digest and digest == _digest(rows) else tuple(map(_cell, rows)),
        marker=to_marker(next_since, _digest(_changing(rows, next_since))),
        delta=since is not None,
    )


def _parents(definition: Definition) -> Mapping[str, str]:
    """The parents of objects by their ids: what they have taken from them says no more whence."""
    found = {item.id: item.ref("parent") for item in definition.objects}
    return {key: ref.id for key, ref in found.items() if ref is not None}


def _changing(rows: Iterable[CellRow], since: datetime) -> list[CellRow]:
    """What an answer to a marker of this moment will tell of, if nothing changes."""
    return [
        row
        for row in rows
        if row.status not in INSTANCE_TERMINAL
        or (row.actual_end is not None and row.actual_end >= since)
    ]


def _digest(rows: Iterable[CellRow]) -> str:
    told = [repr(_cell(row)) for row in rows]
    return hashlib.sha256("\n".join(told).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _cell(row: CellRow) -> Cell:
    return Cell(
        instance_id=row.instance_id,
        component_id=row.component_id,
        start=row.scheduled_start,
        status=row.status,
        attempts=row.attempt_count,
        began=row.actual_start,
        ended=row.actual_end,
        error_id=row.error_id,
        cause=row.cause,
        late=row.late_fired,
    )


def _page(
    conn: Connection, pipeline_id: str, limit: int, before: datetime | None
) -> tuple[list[datetime], bool]:
    starts = summaries.run_starts(conn, pipeline_id, limit + 1, before=before)
    return starts[:limit], len(starts) > limit


def _runs(conn: Connection, pipeline_id: str, starts: Sequence[datetime]) -> tuple[Run, ...]:
    if not starts:
        return ()
    parts = summaries.runs_between(conn, pipeline_id, starts[-1], starts[0])
    return runs_of(parts, waiting_starts(conn, pipeline_id))


def runs_of(parts: Iterable[RunPart], waiting: Collection[datetime] = ()) -> tuple[Run, ...]:
    """The runs that these are parts of, in their order."""
    by_start: dict[datetime, list[RunPart]] = {}
    for part in parts:
        by_start.setdefault(part.start, []).append(part)
    return tuple(_run(of_run, waiting) for of_run in by_start.values())


def _run(parts: Sequence[RunPart], waiting: Collection[datetime]) -> Run:
    start = parts[0].start
    over = all(part.status in INSTANCE_TERMINAL for part in parts)
    ended = _known(part.ended for part in parts)
    return Run(
        start=start,
        end=max(part.end for part in parts),
        status=run_status({part.status: part.count for part in parts}),
        counts={str(part.status): part.count for part in parts},
        began=min(_known(part.began for part in parts), default=None),
        ended=max(ended, default=None) if over else None,
        waits_for_turn=start in waiting,
    )


def _known(moments: Iterable[datetime | None]) -> list[datetime]:
    return [moment for moment in moments if moment is not None]

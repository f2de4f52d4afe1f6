"""The grid of a pipeline: components by runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import moment, took
from taskrunner.console.views.words import Sign, sign
from taskrunner.service.v1.shapes import Cell, Component, Grid, Run

#: Of the bars above the columns, in pixels.
BAR_HEIGHT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A run."""

    start: datetime
    address: str
    sign: Sign
    #: What is said of it in words.
    title: str
    #: How high its bar is, in pixels: the longest run's is as high as there is room.
    bar: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A component in a run."""

    address: str
    sign: Sign
    title: str
    attempts: int
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOfGrid:
    """A component, with a box a column; None where it did not run."""

    component: Component
    boxes: Sequence[Box | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPage:
    """The grid."""

    columns: Sequence[Column]
    rows: Sequence[RowOfGrid]
    #: Addresses of older and newer runs, or nothing.
    older: str
    newer: str
    version: int


def grid_page(
    pipeline_id: str,
    grid: Grid,
    cells: Sequence[Cell],
    *,
    now: datetime,
    query: Mapping[str, list[str]],
) -> GridPage:
    """The grid of runs and their cells, the newest at the right."""
    runs = list(reversed(grid.runs))
    by_place = {(cell.component_id, cell.start): cell for cell in cells}
    longest = max((_length(run, now) for run in runs), default=0.0)
    path = addresses.pipeline(pipeline_id, "grid")
    return GridPage(
        columns=[_column(pipeline_id, run, now, longest) for run in runs],
        rows=[
            RowOfGrid(
                component=component,
                boxes=[
                    _box(pipeline_id, component, by_place.get((component.id, run.start)), now)
                    for run in runs
                ],
            )
            for component in _shown(grid.components, cells)
        ],
        older=addresses.with_query(path, query, until=grid.older.isoformat()) if grid.older else "",
        newer=addresses.with_query(path, query, until=None) if query.get("until") else "",
        version=grid.version,
    )


def _shown(components: Sequence[Component], cells: Sequence[Cell]) -> Sequence[Component]:
    """Those of the definition, and those of earlier versions that these runs still had."""
    known = {component.id for component in components}
    gone = dict.fromkeys(cell.component_id for cell in cells if cell.component_id not in known)
    return [
        *components,
        *(
            Component(id=key, name=key, type="of an earlier version", category="", stage=0)
            for key in gone
        ),
    ]


def _length(run: Run, now: datetime) -> float:
    if run.began is None:
        return 0.0
    return max(((run.ended or now) - run.began).total_seconds(), 0.0)


def _column(pipeline_id: str, run: Run, now: datetime, longest: float) -> Column:
    shown, length = sign(run.status), _length(run, now)
    word = f", {'took' if run.ended else 'for'} {took(length)}" if run.began else ""
    return Column(
        start=run.start,
        address=addresses.run(pipeline_id, run.start),
        sign=shown,
        title=f"Run of {moment(run.start)}: {shown.word}{word}",
        bar=round(BAR_HEIGHT * length / longest) if longest else 0,
    )


def _box(pipeline_id: str, component: Component, cell: Cell | None, now: datetime) -> Box | None:
    if cell is None:
        return None
    shown = sign(cell.status)
    said = [f"{component.id}, {moment(cell.start)}: {shown.word}"]
    if cell.began:
        said.append(took((cell.ended or now) - cell.began))
    if cell.attempts > 1:
        said.append(f"{cell.attempts} attempts")
    if cell.error_id:
        said.append(cell.error_id)
    if cell.cause:
        said.append(f"because of {cell.cause}")
    if cell.late:
        said.append("late")
    return Box(
        address=addresses.instance(pipeline_id, cell.instance_id),
        sign=shown,
        title=", ".join(said),
        attempts=cell.attempts,
        late=cell.late,
    )

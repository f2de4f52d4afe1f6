"""The grid of a pipeline: components by runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from taskrunner.console.views import addresses
from taskrunner.console.views.moments import moment, took
from taskrunner.console.views.words import Sign, plural, sign
from taskrunner.model.run_status import run_status
from taskrunner.service.v1.shapes import Cell, Component, Grid, Run

#: Of the bars above the columns, in pixels.
BAR_HEIGHT = 40
#: What rows can be collapsed by.
BY: Mapping[str, Callable[[Component], str | None]] = {
    "parent": lambda component: component.parent,
    "resource": lambda component: component.where,
}
#: The group of those that have none.
_ALONE = "(without one)"


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


class Box(NamedTuple):
    """A component in a run: a grid may have tens of thousands."""

    address: str
    sign: Sign
    title: str
    attempts: int
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOfGrid:
    """A component or a group of them, with a box a column; None where it did not run."""

    name: str
    type: str
    boxes: Sequence[Box | None]
    #: Of a group: the address that opens or closes it.
    toggle: str = ""
    is_open: bool = False
    #: It stands below the row of its group.
    inner: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPage:
    """The grid."""

    columns: Sequence[Column]
    rows: Sequence[RowOfGrid]
    #: Addresses of older and newer runs, or nothing.
    older: str
    newer: str
    version: int
    #: What rows are collapsed by: nothing, or one of BY.
    by: str


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
    by = (query.get("by") or [""])[0]
    by = by if by in BY else ""
    components = _shown(grid.components, cells)
    rows = [
        RowOfGrid(
            name=component.id,
            type=component.type,
            boxes=[
                _box(pipeline_id, component, by_place.get((component.id, run.start)), now)
                for run in runs
            ],
            inner=bool(by),
        )
        for component in components
    ]
    return GridPage(
        columns=[_column(pipeline_id, run, now, longest) for run in runs],
        rows=rows if not by else list(_grouped(components, rows, by, runs, by_place, path, query)),
        older=addresses.with_query(path, query, until=grid.older.isoformat()) if grid.older else "",
        newer=addresses.with_query(path, query, until=None) if query.get("until") else "",
        version=grid.version,
        by=by,
    )


def _grouped(
    components: Sequence[Component],
    rows: Sequence[RowOfGrid],
    by: str,
    runs: Sequence[Run],
    by_place: Mapping[tuple[str, datetime], Cell],
    path: str,
    query: Mapping[str, Sequence[str]],
) -> Iterator[RowOfGrid]:
    """Groups where their first component stands, and below those that are open their rows."""
    groups: dict[str, list[tuple[Component, RowOfGrid]]] = {}
    for component, row in zip(components, rows, strict=True):
        groups.setdefault(BY[by](component) or _ALONE, []).append((component, row))
    opened = query.get("open") or ()
    for name, found in groups.items():
        is_open = name in opened
        wanted = [one for one in opened if one != name] if is_open else [*opened, name]
        toggle = addresses.with_query(path, {**query, "open": wanted})
        ids = [component.id for component, _ in found]
        yield RowOfGrid(
            name=name,
            type=plural(len(found), "component"),
            boxes=[_sum(name, ids, run.start, by_place, toggle) for run in runs],
            toggle=toggle,
            is_open=is_open,
        )
        if is_open:
            yield from (row for _, row in found)


def _sum(
    name: str,
    ids: Sequence[str],
    start: datetime,
    by_place: Mapping[tuple[str, datetime], Cell],
    address: str,
) -> Box | None:
    """What is said of a group in a run: of all that is told of its cells, what matters most."""
    cells = [cell for key in ids if (cell := by_place.get((key, start))) is not None]
    if not cells:
        return None
    counts = Counter(cell.status for cell in cells)
    told = ", ".join(f"{count} {sign(status).word}" for status, count in counts.most_common())
    return Box(
        address=address,
        sign=sign(run_status(counts)),
        title=f"{name}, {moment(start)}: {told}",
        attempts=0,
        late=any(cell.late for cell in cells),
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

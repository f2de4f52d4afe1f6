"""The instances of a run as a table that fits its terminal: the most useful columns first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table
from rich.text import Text

from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.model.times import format_datetime
from taskrunner.plain import cells, distinct, shortened, visible

_STYLES: Mapping[InstanceStatus, str] = {
    InstanceStatus.FINISHED: "green",
    InstanceStatus.RUNNING: "cyan",
    InstanceStatus.CREATING: "cyan",
    InstanceStatus.ACTIVATING: "cyan",
    InstanceStatus.SHUTTING_DOWN: "cyan",
    InstanceStatus.WAITING_FOR_RUNNER: "yellow",
    InstanceStatus.FAILED: "bold red",
    InstanceStatus.TIMEDOUT: "bold red",
    InstanceStatus.CASCADE_FAILED: "red",
    InstanceStatus.CANCELED: "magenta",
}

#: Between two columns.
_GAP = 2
#: From this width on columns have their long names, and periods are whole.
WIDE = 110
#: Component and Progress: the least that is of use, what is better, what is good, and the most.
_COMPONENT = (9, 16, 24, 40)
_PROGRESS = (14, 20, 30, 60)


@dataclass(slots=True, kw_only=True)
class _Column:
    name: str
    texts: list[str]
    #: The least width that it can be shown in.
    least: int
    right: bool = False
    width: int = 0

    @property
    def natural(self) -> int:
        return max(cells(visible(text)) for text in (self.name, *self.texts))


def instance_table(snapshot: Snapshot, rows: Sequence[InstanceRow], width: int) -> Table:
    """The instances in no more columns than fit; Status is never cut, and nothing is wrapped."""
    columns = _chosen(snapshot, rows, width)
    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns.values():
        table.add_column(
            column.name,
            width=column.width,
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if column.right else "left",
        )
    for index, row in enumerate(rows):
        # Text, so that brackets of ids and messages are not taken for markup.
        style = _STYLES.get(row.status, "")
        table.add_row(
            *(
                Text(column.texts[index], style=style if key == "status" else "")
                for key, column in columns.items()
            )
        )
    return table


def _chosen(snapshot: Snapshot, rows: Sequence[InstanceRow], width: int) -> dict[str, _Column]:
    """The columns that fit, in the order of the table, with their widths."""
    columns = _columns(snapshot, rows, width)
    several = len({row.scheduled_start for row in rows}) > 1
    useful = ["component", "status", "elapsed", "attempt", "progress"]
    nice = ["period", "type"]
    if several:
        # Then rows can be told apart by nothing else.
        nice.remove("period")
        useful.insert(2, "period")
    chosen: list[str] = []
    left = width + _GAP
    for key in useful + nice:
        needed = columns[key].least + _GAP
        if key in nice:
            # Not at the cost of ids and progress.
            needed += _wanted(columns)
        if needed > left and len(chosen) >= 2:
            # What comes later is of less use, and must not take its place.
            break
        chosen.append(key)
        left -= columns[key].least + _GAP
    for key in chosen:
        columns[key].width = columns[key].least
    _share(left, columns, chosen)
    shown = {key: column for key, column in columns.items() if key in chosen}
    _fill(shown)
    return shown


def _wanted(columns: Mapping[str, _Column]) -> int:
    """What ids and progress want beyond the least."""
    return sum(
        max(0, min(columns[key].natural, most) - columns[key].least)
        for key, most in (("component", _COMPONENT[3]), ("progress", _PROGRESS[2]))
    )


def _columns(snapshot: Snapshot, rows: Sequence[InstanceRow], width: int) -> dict[str, _Column]:
    periods = _periods([row.scheduled_start for row in rows], whole=width >= WIDE)
    texts: dict[str, list[str]] = {
        "component": [row.component_id for row in rows],  # made visible when they are cut
        "period": periods,
        "type": [visible(row.type) for row in rows],
        "status": [str(row.status) for row in rows],
        "attempt": [str(row.attempt_count) if row.attempt_count else "" for row in rows],
        "elapsed": [_elapsed(snapshot, row) for row in rows],
        "progress": [visible(snapshot.progress(row)) for row in rows],
    }
    names = {key: key.capitalize() for key in texts}
    if width < WIDE:
        names["attempt"] = "Try"
    columns = {
        key: _Column(name=names[key], texts=found, least=0, right=key in {"attempt", "elapsed"})
        for key, found in texts.items()
    }
    for key in ("period", "type", "status", "attempt"):
        columns[key].least = columns[key].natural
    # Steady while seconds become minutes.
    columns["elapsed"].least = max(9, columns["elapsed"].natural)
    columns["component"].least = _COMPONENT[0]
    # Its name alone, while nothing has anything to say.
    columns["progress"].least = _PROGRESS[0] if any(texts["progress"]) else len(names["progress"])
    return columns


def _share(left: int, columns: Mapping[str, _Column], chosen: Sequence[str]) -> None:
    """Give what is left to ids and progress: first what is good, then what they need."""
    for step in (1, 2, 3):
        for key, sizes in (("component", _COMPONENT), ("progress", _PROGRESS)):
            if key in chosen:
                column = columns[key]
                more = min(left, max(0, min(column.natural, sizes[step]) - column.width))
                column.width += more
                left -= more


def _fill(columns: Mapping[str, _Column]) -> None:
    """Cut texts to their column's width, ids so that no two look the same."""
    component = columns["component"]
    labels = distinct(dict.fromkeys(component.texts), component.width)
    component.texts = [labels[text] for text in component.texts]
    if progress := columns.get("progress"):
        progress.texts = [shortened(text, progress.width, tail=0) for text in progress.texts]


def _periods(starts: Sequence[datetime], *, whole: bool) -> list[str]:
    """When periods begin, without what all of them share where room is short."""
    if whole or not starts:
        return [format_datetime(start) for start in starts]
    form = "%m-%d" if len({start.year for start in starts}) == 1 else "%Y-%m-%d"
    if any((start.hour, start.minute) != (0, 0) for start in starts):
        form += " %H:%M"
    if any(start.second for start in starts):
        form += ":%S"
    return [start.strftime(form) for start in starts]


def _elapsed(snapshot: Snapshot, row: InstanceRow) -> str:
    elapsed = snapshot.elapsed_s(row)
    return duration(elapsed) if elapsed is not None and row.attempt_count else ""


def duration(seconds: float) -> str:
    """A duration in two units at most: 0.4 s, 12 s, 3 m 5 s, 2 h 10 m."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} m"

"""Showing a run while it goes on: a table redrawn in place, or a line for each change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import IO, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from taskrunner.cli.plain import visible
from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, InstanceStatus
from taskrunner.model.times import format_datetime

_STYLES: Mapping[InstanceStatus, str] = {
    InstanceStatus.FINISHED: "green",
    InstanceStatus.RUNNING: "cyan",
    InstanceStatus.CREATING: "cyan",
    InstanceStatus.SHUTTING_DOWN: "cyan",
    InstanceStatus.WAITING_FOR_RUNNER: "yellow",
    InstanceStatus.FAILED: "bold red",
    InstanceStatus.TIMEDOUT: "bold red",
    InstanceStatus.CASCADE_FAILED: "red",
    InstanceStatus.CANCELED: "magenta",
}


#: Characters of the first and the last column at most.
COMPONENT_WIDTH = 40
PROGRESS_WIDTH = 60
#: How an instance begins: nothing has happened yet that were worth a line.
_UNSEEN = (InstanceStatus.WAITING_ON_DEPENDENCIES, 0)


class Follower(Protocol):
    """Is shown every snapshot of a run."""

    def show(self, snapshot: Snapshot) -> None:
        """Show how things stand."""
        ...

    def say(self, text: str) -> None:
        """Tell the person who watches."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class SilentFollower:
    """Shows nothing: the result alone matters."""

    def show(self, snapshot: Snapshot) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class LineFollower:
    """A line whenever an instance changes its status or begins another attempt."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._seen: dict[str, tuple[InstanceStatus, int]] = {}
        self._alarms = 0

    def show(self, snapshot: Snapshot) -> None:
        """Print what has changed since the last time."""
        for row in snapshot.instances:
            state = (row.status, row.attempt_count)
            if self._seen.get(row.instance_id, _UNSEEN) != state:
                self._seen[row.instance_id] = state
                self._print(snapshot, row)
        for alarm in snapshot.alarms[self._alarms :]:
            print(f"  ALARM {visible(f'{alarm.subject}: {alarm.message}')}", file=self._out)
        self._alarms = len(snapshot.alarms)
        self._out.flush()

    def say(self, text: str) -> None:
        """Print it."""
        print(text, file=self._out, flush=True)

    def close(self) -> None:
        """Nothing to leave."""

    def _print(self, snapshot: Snapshot, row: InstanceRow) -> None:
        if row.category == Category.DATANODE and row.status is InstanceStatus.FINISHED:
            return
        attempt = f" attempt {row.attempt_count}" if row.attempt_count > 1 else ""
        note = snapshot.progress(row)
        told = f"  {visible(note)}" if note else ""
        moment = snapshot.now.astimezone().strftime("%H:%M:%S")
        print(f"{moment} {visible(row.instance_id)} {row.status}{attempt}{told}", file=self._out)


class TableFollower:
    """The instances as a table that is redrawn in place."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def say(self, text: str) -> None:
        """Say it in place of the title."""
        self._title = text

    def show(self, snapshot: Snapshot) -> None:
        """Redraw."""
        room = max(4, self._console.size.height - 8)
        rows, left_out = _choose(snapshot, room)
        table = instance_table(snapshot, rows, self._console.width)
        table.title = self._title
        lines = [f"{count} more {what}" for what, count in left_out.items() if count]
        note = Text("  " + ", ".join(lines), style="dim") if lines else Text("")
        self._live.update(Group(table, note), refresh=True)

    def close(self) -> None:
        """Take the table away; the closing report stands in its place."""
        self._live.stop()


def _choose(snapshot: Snapshot, room: int) -> tuple[list[InstanceRow], dict[str, int]]:
    """The rows that fit: what moves first, then what failed, what waits, what is done."""
    rows = list(snapshot.instances)
    if len(rows) <= room:
        return rows, {}
    ranked = sorted(rows, key=_rank)
    chosen = {row.instance_id for row in ranked[:room]}
    hidden = [row for row in rows if row.instance_id not in chosen]
    done = sum(row.status in INSTANCE_TERMINAL for row in hidden)
    kept = [row for row in rows if row.instance_id in chosen]
    return kept, {"at their end": done, "waiting": len(hidden) - done}


def _rank(row: InstanceRow) -> int:
    if row.status not in INSTANCE_TERMINAL:
        return 2 if row.status is InstanceStatus.WAITING_ON_DEPENDENCIES else 0
    return 3 if row.status is InstanceStatus.FINISHED else 1


#: Terminals narrower than this are not shown the types, than that not the periods either.
WIDE, MEDIUM = 110, 84


def instance_table(snapshot: Snapshot, rows: list[InstanceRow], width: int) -> Table:
    """The instances as a table for a terminal of this width; Status is never cut."""
    table = Table(title_justify="left", header_style="bold", box=None, pad_edge=False)
    table.add_column(
        "Component", no_wrap=True, min_width=9, max_width=_component_width(rows, width)
    )
    if width >= MEDIUM:
        table.add_column("Period", no_wrap=True, min_width=19)
    if width >= WIDE:
        table.add_column("Type", no_wrap=True)
    status = max((len(row.status) for row in rows), default=0)
    table.add_column("Status", no_wrap=True, min_width=status)
    table.add_column("Attempt", justify="right", min_width=7)
    table.add_column("Elapsed", justify="right", no_wrap=True, min_width=9)
    # The one column that gives way when the terminal is narrow.
    table.add_column("Progress", overflow="ellipsis", max_width=PROGRESS_WIDTH)
    for row in rows:
        table.add_row(*_cells(snapshot, row, width))
    return table


def _component_width(rows: list[InstanceRow], width: int) -> int:
    """What the other columns leave of the terminal, as far as it is needed."""
    others = [max((len(row.status) for row in rows), default=0), 7, 9, 3]
    if width >= MEDIUM:
        others.append(19)
    if width >= WIDE:
        others.append(max((len(row.type) for row in rows), default=0))
    left = width - sum(others) - 2 * len(others)
    longest = max((len(visible(row.component_id)) for row in rows), default=0)
    return max(9, min(longest, COMPONENT_WIDTH, left))


def _cells(snapshot: Snapshot, row: InstanceRow, width: int) -> Iterator[str | Text]:
    elapsed = snapshot.elapsed_s(row)
    # Text, so that brackets of ids and messages are not taken for markup.
    yield Text(visible(row.component_id))
    if width >= MEDIUM:
        yield format_datetime(row.scheduled_start)
    if width >= WIDE:
        yield row.type
    yield Text(str(row.status), style=_STYLES.get(row.status, ""))
    yield str(row.attempt_count) if row.attempt_count else ""
    yield duration(elapsed) if elapsed is not None and row.attempt_count else ""
    note = textwrap.shorten(visible(snapshot.progress(row)), PROGRESS_WIDTH, placeholder=" …")
    yield Text(note, no_wrap=True, overflow="ellipsis")


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

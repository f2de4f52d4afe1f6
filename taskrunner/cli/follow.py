"""Showing a run while it goes on: a table redrawn in place, or a line for each change."""

from __future__ import annotations

from typing import IO, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from taskrunner.cli.snapshot import Snapshot
from taskrunner.cli.table import instance_table
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, AlarmStatus, InstanceStatus
from taskrunner.plain import shortened, visible
from taskrunner.service.store.rows import AlarmRow

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

    def untold(self, snapshot: Snapshot) -> tuple[AlarmRow, ...]:
        """The alarms that have not been shown yet."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def alarm_line(alarm: AlarmRow) -> str:
    """An alarm, and whether it was published."""
    told = alarm.status in {AlarmStatus.SENT, AlarmStatus.LOGGED}
    sent = "" if told else f" (not published: {alarm.error or 'not yet'})"
    return f"Alarm{sent}: {alarm.subject}: {alarm.message}"


class SilentFollower:
    """Shows nothing, as the result alone matters; what is said goes to standard error."""

    def __init__(self, err: IO[str]) -> None:
        self._err = err

    def show(self, snapshot: Snapshot) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Print it."""
        print(text, file=self._err, flush=True)

    def untold(self, snapshot: Snapshot) -> tuple[AlarmRow, ...]:
        """All of them."""
        return snapshot.alarms

    def close(self) -> None:
        """Nothing."""


class LineFollower:
    """A line whenever an instance changes its status or begins another attempt."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._seen: dict[str, tuple[InstanceStatus, int]] = {}
        self._told: set[str] = set()

    def show(self, snapshot: Snapshot) -> None:
        """Print what has changed since the last time."""
        for row in snapshot.instances:
            state = (row.status, row.attempt_count)
            if self._seen.get(row.instance_id, _UNSEEN) != state:
                self._seen[row.instance_id] = state
                self._print(snapshot, row)
        for alarm in self.untold(snapshot):
            # Once it has been tried it can be said whether it was published.
            if alarm.tries:
                self._told.add(alarm.alarm_id)
                print(f"  {visible(alarm_line(alarm))}", file=self._out)
        self._out.flush()

    def say(self, text: str) -> None:
        """Print it."""
        print(text, file=self._out, flush=True)

    def untold(self, snapshot: Snapshot) -> tuple[AlarmRow, ...]:
        """Those that no line has told."""
        return tuple(alarm for alarm in snapshot.alarms if alarm.alarm_id not in self._told)

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
        """Print it above the table, where it stays."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, snapshot: Snapshot) -> None:
        """Redraw."""
        room = max(4, self._console.size.height - 8)
        rows, left_out = _choose(snapshot, room)
        table = instance_table(snapshot, rows, self._console.width)
        title = Text(shortened(visible(self._title), self._console.width), style="italic")
        lines = [f"{count} more {what}" for what, count in left_out.items() if count]
        left = shortened("  " + ", ".join(lines), self._console.width, tail=0)
        note = Text(left, style="dim") if lines else Text("")
        self._live.update(Group(title, table, note), refresh=True)

    def untold(self, snapshot: Snapshot) -> tuple[AlarmRow, ...]:
        """All of them: the table has no place for alarms."""
        return snapshot.alarms

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

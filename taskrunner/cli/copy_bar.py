"""The bar of a copy that somebody watches."""

from __future__ import annotations

from types import TracebackType
from typing import IO, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from taskrunner.cli.copy_progress import duration, size_of


class Bar:
    """A line that is drawn anew: percent, rows, bytes, rate, time left."""

    def __init__(self, err: IO[str], *, rows: int | None) -> None:
        """`rows`: about how many there are, where that is known."""
        console = Console(file=err, highlight=False)
        self._rows = rows
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.fields[done]}"),
            _Rate(),
            TimeElapsedColumn(),
            _Left(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task("copy", total=None, done="", rows=0, bytes=0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    @property
    def tasks(self) -> list[Task]:
        """What is drawn."""
        return self._progress.tasks

    def progress(self, **fields: str | int) -> None:
        """Draw how far it is, by the percentage, or by rows where there are about so many."""
        rows, size = int(fields.get("rows", 0)), int(fields.get("bytes", 0))
        total, completed = None, float(rows or size)
        if "percent" in fields:
            total, completed = 100.0, float(fields["percent"])
        elif self._rows and rows <= self._rows:
            total, completed = float(self._rows), float(rows)
        parts = [f"{rows:,} rows"] if rows else []
        parts += [size_of(size)] if size else []
        self._progress.update(
            self._task,
            total=total,
            completed=completed,
            done=", ".join(parts),
            rows=rows,
            bytes=size,
        )


class _Rate(ProgressColumn):
    """Rows a second, or bytes where no rows are counted."""

    def render(self, task: Task) -> Text:
        """The rate since the beginning."""
        seconds = task.elapsed or 0
        if seconds < 1:
            return Text("")
        rows, size = task.fields["rows"], task.fields["bytes"]
        parts = [f"{rows / seconds:,.0f} rows/s"] if rows else []
        parts += [f"{size_of(size / seconds)}/s"] if size else []
        return Text(", ".join(parts))


class _Left(ProgressColumn):
    """The time left, where there is a total."""

    def render(self, task: Task) -> Text:
        """By the rate since the beginning: what is read in bursts has no steadier one."""
        if not task.total or not task.completed or not task.elapsed:
            return Text("")
        left = task.elapsed * (task.total - task.completed) / task.completed
        return Text(f"about {duration(left)} left")

"""Answers as tables that fit their terminal, as lines for other programs, and as JSON.

On a terminal long cells are cut, and then the columns that matter least are left out; elsewhere
(`| awk`) nothing is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import click

from taskrunner.plain import aligned, cells, distinct, shortened, visible

_GAP = 2
#: What statuses and states look like; others stay as they are.
_STYLES: Mapping[str, str] = {
    "FINISHED": "green",
    "HEALTHY": "green",
    "RUNNING": "cyan",
    "CREATING": "cyan",
    "ACTIVATING": "cyan",
    "WAITING_FOR_RUNNER": "yellow",
    "PAUSED": "yellow",
    "FAILED": "bold red",
    "TIMEDOUT": "bold red",
    "ERROR": "bold red",
    "CASCADE_FAILED": "red",
    "CANCELED": "magenta",
}
#: A run in one letter, where the terminal has no better.
_GLYPHS: Mapping[str, tuple[str, str]] = {
    "FINISHED": ("✓", "."),
    "FAILED": ("✕", "F"),
    "RUNNING": ("▶", "R"),
    "WAITING": ("…", "w"),
    "PAUSED": ("⏸", "P"),
    "CANCELED": ("⊘", "C"),
    "SKIPPED": ("-", "-"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table."""

    name: str
    cell: Callable[[Any], str]
    #: Cells that are longer than this may be cut to it; None: they never are.
    least: int | None = None
    #: What is left out first where there is no room; 0: never.
    drop: int = 0
    right: bool = False
    #: Ids and names, of which no two may look the same.
    distinct: bool = False


def show(rows: Sequence[Any], columns: Sequence[Column], *, nothing: str) -> None:
    """Print rows; `nothing` where there are none."""
    if not rows:
        click.echo(nothing, err=True)
        return
    if not sys.stdout.isatty():
        click.echo(aligned([c.name for c in columns], [[c.cell(r) for c in columns] for r in rows]))
        return
    from rich.console import Console

    console = Console(highlight=False)
    chosen, texts = fitted(rows, columns, console.width)
    _print(console, chosen, texts)


def fitted(
    rows: Sequence[Any], columns: Sequence[Column], width: int
) -> tuple[list[Column], list[list[str]]]:
    """The columns that fit, and the cells of each row in them."""
    texts = {c.name: [visible(c.cell(row)) for row in rows] for c in columns}
    # A column that has nothing to say takes no room.
    chosen = [c for c in columns if not c.drop or any(texts[c.name])]

    def natural(column: Column) -> int:
        return max(cells(text) for text in (column.name, *texts[column.name]))

    def least(column: Column) -> int:
        if column.least is None:
            return natural(column)
        return max(cells(column.name), min(column.least, natural(column)))

    def needed() -> int:
        return sum(least(c) for c in chosen) + _GAP * (len(chosen) - 1)

    while needed() > width and any(c.drop for c in chosen):
        chosen.remove(max(chosen, key=lambda c: c.drop))
    widths = {c.name: least(c) for c in chosen}
    left = max(0, width - needed())
    for column in chosen:
        more = min(left, natural(column) - widths[column.name])
        widths[column.name] += more
        left -= more
    cut = {c.name: _cut(texts[c.name], widths[c.name], c) for c in chosen}
    return chosen, [[cut[c.name][at] for c in chosen] for at in range(len(rows))]


def _cut(texts: Sequence[str], width: int, column: Column) -> list[str]:
    if column.distinct:
        labels = distinct(dict.fromkeys(texts), width)
        return [labels[text] for text in texts]
    return [shortened(text, width, tail=0) for text in texts]


def _print(console: Any, columns: Sequence[Column], texts: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.name, no_wrap=True, justify="right" if column.right else "left")
    for row in texts:
        # Text, so that brackets of ids and messages are not taken for markup.
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    console.print(table)


def show_json(found: Any) -> None:
    """Print what was found for programs."""
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))


def lines_of(pairs: Sequence[tuple[str, str | None]]) -> None:
    """Print facts, each with its name; those that are not known are left out."""
    known = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name:<{width}}  {visible(value)}")


# -- cells --------------------------------------------------------------------------------------


def text_of(key: str) -> Callable[[Any], str]:
    """A cell with the text of a member."""
    return lambda row: str(row.get(key) if row.get(key) is not None else "")


def when(moment: str | None, now: datetime) -> str:
    """A moment without what it shares with the present one."""
    if not moment:
        return ""
    found = datetime.fromisoformat(moment)
    if abs(found - now) < timedelta(hours=20) and found.date() == now.date():
        return found.strftime("%H:%M:%S") if found.second else found.strftime("%H:%M")
    return found.strftime("%m-%d %H:%M" if found.year == now.year else "%Y-%m-%d %H:%M")


def elapsed(began: str | None, ended: str | None, now: datetime) -> str:
    """How long something took, or has taken so far."""
    from taskrunner.cli.table import duration

    if not began:
        return ""
    end = datetime.fromisoformat(ended) if ended else now
    return duration(max(0.0, (end - datetime.fromisoformat(began)).total_seconds()))


def strip(runs: Sequence[Mapping[str, Any]]) -> str:
    """The last runs, oldest first, a sign for each."""
    column = 0 if _writes_signs() else 1
    return "".join(_GLYPHS.get(run["status"], ("?", "?"))[column] for run in reversed(list(runs)))


def _writes_signs() -> bool:
    try:
        "".join(sign for sign, _ in _GLYPHS.values()).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def counted(counts: Mapping[str, int], at_least: Collection[str] = ()) -> str:
    """Counts by status, in a few words; `at_least` are those that were not counted to the end."""
    short = {
        "WAITING_ON_DEPENDENCIES": "waiting",
        "WAITING_FOR_RUNNER": "ready",
        "CASCADE_FAILED": "cascaded",
    }
    return ", ".join(
        f"{count}{'+' if status in at_least else ''} {short.get(status, status.lower())}"
        for status, count in sorted(counts.items(), key=lambda pair: _ORDER.get(pair[0], 9))
    )


_ORDER = {"FAILED": 0, "TIMEDOUT": 1, "RUNNING": 2, "WAITING_FOR_RUNNER": 3, "CASCADE_FAILED": 5}

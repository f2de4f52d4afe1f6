"""How far a copy is: a bar with rate and time left on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import IO, Protocol

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000
_MINUTE, _HOUR = 60, 3600


class Shown(Protocol):
    """Is told how far a copy is."""

    def progress(self, **fields: str | int) -> None:
        """Take what has been done so far."""
        ...


class Quiet(AbstractContextManager["Quiet"]):
    """Shows nothing."""

    def __exit__(self, *exception: object) -> None:
        """Nothing."""

    def progress(self, **fields: str | int) -> None:
        """Nothing."""


def progress_on(err: IO[str], *, rows: int | None, quiet: bool) -> AbstractContextManager[Shown]:
    """A bar where somebody watches; else what draws it is not even loaded."""
    if quiet or not err.isatty():
        return Quiet()
    from taskrunner.cli.copy_bar import Bar

    return Bar(err, rows=rows)


def summary(moved: Mapping[str, str | int]) -> str:
    """What was moved, in words."""
    counts = {name: int(moved.get(name, 0)) for name in ("files", "rows", "bytes")}
    words = [
        f"{count:,} {name if count != 1 else name.removesuffix('s')}"
        for name, count in counts.items()
        if count
    ]
    return ", ".join(words) or "nothing"


def size_of(size: float) -> str:
    """A number of bytes for people."""
    for unit in _UNITS[:-1]:
        if size < _STEP:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} {_UNITS[-1]}"


def duration(seconds: float) -> str:
    """A time span for people."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"

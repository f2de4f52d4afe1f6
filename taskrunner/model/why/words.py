"""Moments, spans and lists as they are told to people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from taskrunner.model.times import format_datetime


def at(moment: datetime) -> str:
    """A moment, in UTC."""
    return f"{format_datetime(moment)} UTC"


def span(length: timedelta) -> str:
    """A length of time, in one unit."""
    seconds = max(0, round(length.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was."""
    return f"{span(now - moment)} ago" if now - moment >= timedelta(seconds=1) else "just now"


def ahead(moment: datetime, now: datetime) -> str:
    """A moment to come, and how long it takes until then."""
    return f"{at(moment)} (in {span(moment - now)})"


def several(names: Sequence[str], most: int) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def quoted(text: str | None) -> str:
    """The first line of somebody else's words, without its full stop."""
    lines = (text or "").strip().splitlines()
    return lines[0].rstrip(".") if lines else "no reason was given"

"""The addresses of pages. Everything that a page shows stands in its address."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, urlencode

#: Characters of ids that mean nothing in a path.
_PLAIN = "@:._-"
_IS_PLAIN = re.compile(rf"[A-Za-z0-9~{_PLAIN}]*")


@lru_cache(maxsize=1024)
def pipeline(pipeline_id: str, tab: str = "") -> str:
    """A pipeline, or one of its tabs."""
    return f"/p/{_part(pipeline_id)}" + (f"/{tab}" if tab else "")


def run(pipeline_id: str, start: datetime) -> str:
    """A run of a pipeline."""
    return f"{pipeline(pipeline_id)}/run/{at(start)}"


def backfill(pipeline_id: str, backfill_id: str) -> str:
    """A backfill of a pipeline."""
    return f"{pipeline(pipeline_id, 'backfills')}/{_part(backfill_id)}"


@lru_cache(maxsize=4096)
def at(start: datetime) -> str:
    """A moment, as addresses have it."""
    return start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instance(pipeline_id: str, instance_id: str, number: int | None = None) -> str:
    """An instance with its last attempt, or another one."""
    path = f"{pipeline(pipeline_id)}/i/{_part(instance_id)}"
    return path if number is None else f"{path}/{number}"


def with_query(path: str, query: Mapping[str, Sequence[str]], **changes: str | None) -> str:
    """An address whose query is changed; None takes a name out."""
    pairs = {key: list(values) for key, values in query.items()}
    for key, value in changes.items():
        if value is None:
            pairs.pop(key, None)
        else:
            pairs[key] = [value]
    text = urlencode(pairs, doseq=True)
    return f"{path}?{text}" if text else path


def local(target: str) -> str:
    """A path of ours; anything else is the first page."""
    if not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    return target if target.isprintable() else "/"


def _part(text: str) -> str:
    # A grid has thousands of ids, most of which need nothing.
    return text if _IS_PLAIN.fullmatch(text) else quote(text, safe=_PLAIN)

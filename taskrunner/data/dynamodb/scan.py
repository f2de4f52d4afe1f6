"""Reading a table in segments, page by page, within its share of the read capacity."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from taskrunner.data.dynamodb.calls import Calls, refusals
from taskrunner.data.dynamodb.items import Item
from taskrunner.data.dynamodb.limiter import CapacityLimiter
from taskrunner.data.dynamodb.table import Table

#: A page ends at a megabyte: so much it costs, read with eventual consistency.
_UNITS_OF_FULL_PAGE = 128.0
_BYTES_OF_UNIT = 8192
#: A page costs half a unit at least, and its last half is rounded up: smaller ones would waste it.
_UNITS_OF_SMALL_PAGE = 2.0
#: Until the first page has said what an item costs, if the table does not.
_FIRST_LIMIT = 100
#: More than one segment pays from here on.
_SEGMENT_BYTES = 8 << 20
#: Threads. One core is busy with four.
WORKERS = 8
#: What each of them costs is an object beside the output.
_MOST_SEGMENTS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items, and the key to go on after; None at the segment's end."""

    items: list[Item]
    next_key: Item | None


def segments_for(table: Table, wanted: int | None) -> int:
    """Into how many segments a table is cut: as many as are wanted, else by its size."""
    if wanted is not None:
        return max(1, min(wanted, _MOST_SEGMENTS))
    # A new table's size is not known for hours.
    return min(1 + table.size_bytes // _SEGMENT_BYTES, WORKERS) if table.size_bytes else WORKERS


class Scanner:
    """Reads segments of one table, several at once, and learns what its items cost."""

    def __init__(
        self, calls: Calls, table: Table, limiter: CapacityLimiter, *, segments: int
    ) -> None:
        self._calls = calls
        self._table = table
        self._limiter = limiter
        self._segments = segments
        self._readers = min(segments, WORKERS)
        self._lock = threading.Lock()
        #: What an item costs: by the last page; before it, by the table's own numbers; 0: unknown.
        self._each = 0.0
        if table.item_count:
            self._each = table.size_bytes / table.item_count / _BYTES_OF_UNIT

    def pages(self, segment: int, start: Item | None, stop: threading.Event) -> Iterator[Page]:
        """The pages of a segment from a key on. Raises TaskError, and Stopped between pages."""
        key, first = start, True
        while first or key is not None:
            first = False
            page = self._page(segment, key, stop)
            key = page.next_key
            yield page

    def _page(self, segment: int, key: Item | None, stop: threading.Event) -> Page:
        limit, estimate = self.plan()
        request: dict[str, Any] = {
            "TableName": self._table.name,
            "ReturnConsumedCapacity": "TOTAL",
            "Segment": segment,
            "TotalSegments": self._segments,
        }
        if limit is not None:
            request["Limit"] = limit
        if key is not None:
            request["ExclusiveStartKey"] = key
        self._limiter.begin(estimate, stop)
        consumed = 0.0
        try:
            with refusals(self._table.named, "read", self._table.region):
                reply = self._calls.call("Scan", request, stop)
            consumed = _consumed(reply)
        finally:
            self._limiter.end(estimate, consumed)
        if (scanned := int(reply.get("ScannedCount", 0))) and consumed:
            with self._lock:
                self._each = consumed / scanned
        return Page(items=reply.get("Items", []), next_key=reply.get("LastEvaluatedKey"))

    def plan(self) -> tuple[int | None, float]:
        """How many items the next page may have (None: a megabyte), and what it may cost."""
        # All readers together spend about a second's worth: little is overdrawn at once.
        units = max(self._limiter.rate / self._readers, _UNITS_OF_SMALL_PAGE)
        if units >= _UNITS_OF_FULL_PAGE:
            return None, _UNITS_OF_FULL_PAGE
        with self._lock:
            each = self._each
        if not each:
            return _FIRST_LIMIT, units
        return max(1, int(units / each)), units


def _consumed(reply: dict[str, Any]) -> float:
    found = reply.get("ConsumedCapacity")
    return float(found["CapacityUnits"]) if found else 0.0

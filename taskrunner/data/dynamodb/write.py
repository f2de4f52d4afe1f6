"""Writing items in batches, within the table's share of the write capacity."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from taskrunner.clock import Clock
from taskrunner.data.dynamodb.calls import Calls, Refused, refusals, told
from taskrunner.data.dynamodb.items import Item
from taskrunner.data.dynamodb.limiter import CapacityLimiter, Stopped
from taskrunner.data.dynamodb.table import Table
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: What one call takes.
_MOST_ITEMS = 25
_MOST_BYTES = 12 << 20
_BYTES_OF_UNIT = 1024
#: What the server does not take of a batch is sent again; so often in a row it may take nothing.
_TRIES = 15
_FIRST_WAIT_S = 0.05
_LONGEST_WAIT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """An item to be written."""

    item: Item
    key: tuple[str, ...]
    #: About how many bytes it is on the wire.
    size: int
    #: Where it is from, for messages.
    origin: str


def batches(puts: Iterable[Put], *, rate: float) -> Iterator[list[Put]]:
    """As many items as one call takes, and as a second may cost; no key twice in one."""
    most = max(1, min(_MOST_ITEMS, int(rate)))
    batch: dict[tuple[str, ...], Put] = {}
    size = 0
    for put in puts:
        if batch and (len(batch) >= most or size + put.size > _MOST_BYTES or put.key in batch):
            yield list(batch.values())
            batch, size = {}, 0
        batch[put.key] = put
        size += put.size
    if batch:
        yield list(batch.values())


class BatchWriter:
    """Puts batches into one table; several threads may do so at once."""

    def __init__(self, calls: Calls, table: Table, limiter: CapacityLimiter, clock: Clock) -> None:
        self._calls = calls
        self._table = table
        self._limiter = limiter
        self._clock = clock

    def write(self, batch: Sequence[Put], stop: threading.Event) -> None:
        """Write a batch, all of it. Raises TaskError, and Stopped between two calls."""
        requests: list[dict[str, Any]] = [{"PutRequest": {"Item": put.item}} for put in batch]
        estimate = float(sum(math.ceil(put.size / _BYTES_OF_UNIT) for put in batch))
        in_vain = 0
        while requests:
            left = self._send(batch, requests, estimate * len(requests) / len(batch), stop)
            in_vain = in_vain + 1 if len(left) == len(requests) else 0
            requests = left
            if in_vain >= _TRIES:
                error = Refused("ProvisionedThroughputExceededException", "")
                raise told(error, self._table.named, "write to", self._table.region)
            if left and self._clock.wait(stop, _pause(in_vain)):
                raise Stopped

    def _send(
        self,
        batch: Sequence[Put],
        requests: list[dict[str, Any]],
        estimate: float,
        stop: threading.Event,
    ) -> list[dict[str, Any]]:
        """Send a batch; returns what was not taken."""
        request = {
            "RequestItems": {self._table.name: requests},
            "ReturnConsumedCapacity": "TOTAL",
        }
        self._limiter.begin(estimate, stop)
        consumed = 0.0
        try:
            with refusals(self._table.named, "write to", self._table.region):
                try:
                    reply = self._calls.call("BatchWriteItem", request, stop)
                except Refused as error:
                    if error.code != "ValidationException":
                        raise
                    consumed = self._one_by_one(batch, stop)
                    return []
            consumed = sum(one["CapacityUnits"] for one in reply.get("ConsumedCapacity") or ())
        finally:
            self._limiter.end(estimate, consumed)
        left = reply.get("UnprocessedItems") or {}
        return [one for some in left.values() for one in some]

    def _one_by_one(self, batch: Sequence[Put], stop: threading.Event) -> float:
        """Find the item that the server will not have, of a batch that it refused as a whole."""
        consumed = 0.0
        for put in batch:
            request = {
                "TableName": self._table.name,
                "Item": put.item,
                "ReturnConsumedCapacity": "TOTAL",
            }
            try:
                reply = self._calls.call("PutItem", request, stop)
            except Refused as error:
                if error.code != "ValidationException":
                    raise
                raise refused_item(self._table, put, error.message) from error
            consumed += float((reply.get("ConsumedCapacity") or {}).get("CapacityUnits", 0))
        return consumed


def refused_item(table: Table, put: Put, problem: str) -> TaskError:
    """The error for an item that DynamoDB does not take."""
    named = {key.name: put.item.get(key.name) for key in table.keys}
    message = (
        f"{put.origin}: the table {table.name!r} does not take the item "
        f"{json.dumps(named, ensure_ascii=False)}: {problem}"
    )
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def _pause(in_vain: int) -> float:
    return float(min(_FIRST_WAIT_S * 2.0**in_vain, _LONGEST_WAIT_S))

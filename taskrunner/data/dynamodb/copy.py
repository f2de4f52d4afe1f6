"""Items of one table into another, of this region or any other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from taskrunner.clock import Clock
from taskrunner.data.dynamodb.calls import Calls
from taskrunner.data.dynamodb.capacity import HeldShare
from taskrunner.data.dynamodb.items import BadItem, Item, to_line
from taskrunner.data.dynamodb.scan import WORKERS, Scanner, segments_for
from taskrunner.data.dynamodb.table import Table
from taskrunner.data.dynamodb.workers import in_parallel
from taskrunner.data.dynamodb.write import BatchWriter, Put, batches
from taskrunner.data.transfer_progress import Monitor, Moved
from taskrunner.errors import ErrorId, PermanentTaskError


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A table, the way to it, and the share of its capacity."""

    calls: Calls
    table: Table
    share: float


class Copier:
    """One copy. Done again it writes the same items again, which changes nothing."""

    def __init__(
        self,
        source: Side,
        target: Side,
        *,
        keep: Callable[[Item], Item | None],
        monitor: Monitor,
        log: logging.Logger,
        clock: Clock,
    ) -> None:
        self._source = source
        self._target = target
        self._keep = keep
        self._monitor = monitor
        self._log = log
        self._segments = segments_for(source.table, None)
        self._reading = HeldShare(
            *(source.calls, source.table, source.share), write=False, log=log, clock=clock
        )
        self._writing = HeldShare(
            *(target.calls, target.table, target.share), write=True, log=log, clock=clock
        )
        self.reads, self.writes = self._reading.limiter, self._writing.limiter
        self._scanner = Scanner(source.calls, source.table, self.reads, segments=self._segments)
        self._writer = BatchWriter(target.calls, target.table, self.writes, clock)
        self._lock = threading.Lock()
        self._moved = Moved()

    def run(self) -> Moved:
        """Copy everything. Raises TaskError."""
        source, target = self._source.table, self._target.table
        self._log.info(
            "Copying table %s (%s) into table %s (%s), at %s and %s",
            *(source.name, source.region, target.name, target.region),
            *(self._reading, self._writing),
        )
        workers = min(self._segments, WORKERS)
        in_parallel(range(self._segments), self._segment, workers=workers, beat=self._beat)
        return self._moved

    def _segment(self, segment: int, stop: threading.Event) -> None:
        for page in self._scanner.pages(segment, None, stop):
            for batch in batches(self._puts(page.items), rate=self.writes.rate):
                self._writer.write(batch, stop)
                with self._lock:
                    self._moved.rows += len(batch)
                    self._moved.bytes += sum(put.size for put in batch)

    def _puts(self, items: Iterable[Item]) -> Iterator[Put]:
        target, origin = self._target.table, self._source.table.named.origin
        for item in items:
            kept = self._keep(item)
            if kept is None:
                continue
            try:
                key = target.key_of(kept)
            except BadItem as error:
                found = self._source.table.key_of(item)
                message = f"{origin}, item {', '.join(found)}: {error}"
                raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
            yield Put(item=kept, key=key, size=len(to_line(kept)), origin=origin)

    def _beat(self) -> None:
        counts = {"items": self._moved.rows, "bytes": self._moved.bytes}
        if total := self._source.table.item_count:
            counts["percent"] = min(100 * self._moved.rows // total, 99)
        self._monitor.progress(**counts)
        self._reading.look_again()
        self._writing.look_again()
        self._monitor.check_canceled()

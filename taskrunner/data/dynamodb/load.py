"""The files of an export into a table.

Every line is looked at before the first is written, so that a file that cannot be imported leaves
the table as it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from taskrunner.clock import Clock
from taskrunner.data.dynamodb.calls import Calls
from taskrunner.data.dynamodb.capacity import HeldShare
from taskrunner.data.dynamodb.export_files import find_files, lines
from taskrunner.data.dynamodb.items import MAX_ITEM_BYTES, BadItem, Item, from_line, size_of
from taskrunner.data.dynamodb.scan import WORKERS
from taskrunner.data.dynamodb.table import Table
from taskrunner.data.dynamodb.workers import in_parallel
from taskrunner.data.dynamodb.write import BatchWriter, Put, batches
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.transfer_progress import Monitor, Moved
from taskrunner.errors import ErrorId, PermanentTaskError

#: After so many lines it is told how far the look at them is.
_EVERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What is to be imported."""

    #: The folder of an export, or one object.
    uri: str
    #: The share of the write capacity, 0.25 for a quarter.
    share: float
    #: Which items are; None: all.
    wants: Callable[[Item], bool] | None = None


class Importer:
    """One import. Done again it writes the same items again, which changes nothing."""

    def __init__(
        self,
        wanted: Import,
        *,
        calls: Calls,
        table: Table,
        objects: ObjectStore,
        monitor: Monitor,
        log: logging.Logger,
        clock: Clock,
    ) -> None:
        self._wanted = wanted
        self._table = table
        self._objects = objects
        self._monitor = monitor
        self._log = log
        self._share = HeldShare(calls, table, wanted.share, write=True, log=log, clock=clock)
        self.limiter = self._share.limiter
        self._writer = BatchWriter(calls, table, self.limiter, clock)
        self._lock = threading.Lock()
        self._moved = Moved()

    def run(self) -> Moved:
        """Look at every line, then write. Raises TaskError that names file and line."""
        files = find_files(self._objects, self._wanted.uri)
        total = self._look(files)
        self._log.info(
            "Importing %d items from %d files of %s into table %s (%s), at %s",
            *(total, len(files), self._wanted.uri, self._table.name, self._table.region),
            self._share,
        )
        self._moved.files = len(files)

        def beat() -> None:
            percent = min(100 * self._moved.rows // total, 100) if total else 100
            counts = {"items": self._moved.rows, "bytes": self._moved.bytes}
            self._monitor.progress(**counts, percent=percent)
            self._share.look_again()
            self._monitor.check_canceled()

        work = batches(self._puts(files), rate=self.limiter.rate)
        in_parallel(work, self._write, workers=WORKERS, beat=beat)
        return self._moved

    def _look(self, files: list[str]) -> int:
        """Take every line apart; returns how many items there are to write."""
        count = 0
        for count, _ in enumerate(self._puts(files), 1):
            if count % _EVERY == 0:
                self._monitor.progress(checked=count)
                self._monitor.check_canceled()
        return count

    def _puts(self, files: list[str]) -> Iterator[Put]:
        wants = self._wanted.wants
        for uri in files:
            for number, line in lines(self._objects, uri):
                origin = f"{uri}, line {number}"
                try:
                    put = self._put(line, origin)
                except BadItem as error:
                    message = f"{origin}: {error}"
                    raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error
                if wants is None or wants(put.item):
                    yield put

    def _put(self, line: bytes, origin: str) -> Put:
        item = from_line(line)
        key = self._table.key_of(item)
        # A line is never shorter than its item.
        if len(line) > MAX_ITEM_BYTES and (size := size_of(item)) > MAX_ITEM_BYTES:
            parts = zip(self._table.keys, key, strict=True)
            named = ", ".join(f"{part.name}={value}" for part, value in parts)
            raise BadItem(
                f"the item {named} has {size} bytes, DynamoDB takes {MAX_ITEM_BYTES}; "
                "take it out of the file, or make it smaller"
            )
        return Put(item=item, key=key, size=len(line), origin=origin)

    def _write(self, batch: list[Put], stop: threading.Event) -> None:
        self._writer.write(batch, stop)
        with self._lock:
            self._moved.rows += len(batch)
            self._moved.bytes += sum(put.size for put in batch)

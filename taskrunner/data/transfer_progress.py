"""How far a transfer is: counted, told, and held to what it may do in a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from taskrunner.data.databases.base import Batch
from taskrunner.data.formats.compression import crc32
from taskrunner.data.rejects import Rejects
from taskrunner.data.throttle import Throttle


class Monitor(Protocol):
    """Who is told how far a transfer is, and may end it by raising."""

    def progress(self, **fields: str | int) -> None:
        """Say what has been done so far."""
        ...

    def check_canceled(self) -> None:
        """Raise when the transfer must stop."""
        ...


@dataclass(slots=True)
class Moved:
    """What a transfer has done so far."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    #: Of what was written of a table, without compression; None: some of it was not seen.
    crc: int | None = 0

    def __str__(self) -> str:
        counts = {"files": self.files, "rows": self.rows, "bytes": self.bytes}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a transfer is held to."""

    #: Takes bad rows; without it the first one is an error.
    rejects: Rejects | None = None
    throttle: Throttle | None = None


class TransferProgress:
    """The counts of one transfer."""

    def __init__(self, monitor: Monitor, bounds: Bounds) -> None:
        self._monitor = monitor
        self._bounds = bounds
        self.moved = Moved()
        #: Bytes of the source files: how many there are (0: not known), how many have been read.
        self.total = 0
        self._read = 0
        #: How many had been read when the throttle was told last.
        self._throttled = 0
        self.check = monitor.check_canceled

    def count_read(self, size: int) -> None:
        """Bytes of source files have been read."""
        self._read += size

    def count_written(self, rows: int, size: int) -> None:
        """Rows have been written as so many bytes; may wait, and may raise."""
        self.moved.bytes += size
        self._count_rows(rows, size)

    def take_over(self, rows: int, size: int) -> None:
        """What an earlier attempt has written counts, but for the pace: it moves no more."""
        self.moved.rows += rows
        self.moved.bytes += size
        self._tell(rows=self.moved.rows)

    def sum_up(self, data: bytes) -> None:
        """These bytes have been written, before they are compressed."""
        self.moved.crc = crc32(data, self.moved.crc or 0)

    def count_loaded(self, rows: int) -> None:
        """Rows have been loaded; may wait, and may raise."""
        self._count_rows(rows, self._read - self._throttled)

    def count_copied(self, size: int) -> None:
        """A file has been copied as it is; may wait."""
        self.moved.bytes += size
        self.moved.files += 1
        self._read = self.moved.bytes
        self._tell(files=self.moved.files)
        self._slow_down(0, size)

    def watched(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Pass batches on; between two of them the transfer may be stopped, and is told."""
        self.check()
        for batch in batches:
            yield batch
            self.count_loaded(len(batch))

    def _count_rows(self, rows: int, size: int) -> None:
        self.moved.rows += rows
        self._tell(rows=self.moved.rows)
        self.check()
        self._slow_down(rows, size)

    def _slow_down(self, rows: int, size: int) -> None:
        self._throttled = self._read
        if self._bounds.throttle is not None:
            self._bounds.throttle.take(rows, size)

    def _tell(self, **counts: int) -> None:
        """How far it is; how far of all, where the source has a size."""
        if self.total:
            counts["percent"] = min(100 * self._read // self.total, 100)
        if self._bounds.rejects is not None:
            counts["rejected"] = self._bounds.rejects.count
        self._monitor.progress(**counts, bytes=self.moved.bytes)

"""A table, or what a filter keeps of it, into the files of an export."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from taskrunner.clock import Clock
from taskrunner.data.dynamodb.calls import Calls
from taskrunner.data.dynamodb.capacity import HeldShare
from taskrunner.data.dynamodb.export_files import read_manifest, write_manifest
from taskrunner.data.dynamodb.items import Item, to_line
from taskrunner.data.dynamodb.scan import WORKERS, Page, Scanner, segments_for
from taskrunner.data.dynamodb.state import ExportState, SegmentState, new_name
from taskrunner.data.dynamodb.table import Table
from taskrunner.data.dynamodb.workers import in_parallel
from taskrunner.data.formats.compression import GzipWriter
from taskrunner.data.objects.base import ObjectStore, ObjectWriter
from taskrunner.data.transfer_progress import Monitor, Moved
from taskrunner.errors import PermanentTaskError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLimits:
    """Where a file ends; what is written of it is lost with the attempt."""

    items: int = 100_000
    bytes: int = 128 << 20
    seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is to be exported, and where to."""

    #: With a slash at its end.
    folder: str
    #: The share of the read capacity, 0.25 for a quarter.
    share: float
    #: None: as many as suit the table.
    segments: int | None = None
    gzip: bool = False
    encrypt: bool | None = None
    #: What becomes of an item; None: it is left out.
    keep: Callable[[Item], Item | None] | None = None
    #: The same for all attempts at one export, and for no other: by it they find what was done.
    owner: str


class Exporter:
    """One export, from its beginning or from where an earlier attempt was."""

    def __init__(
        self,
        export: Export,
        *,
        calls: Calls,
        table: Table,
        objects: ObjectStore,
        monitor: Monitor,
        log: logging.Logger,
        clock: Clock,
        limits: FileLimits | None = None,
    ) -> None:
        self._export = export
        self._limits = limits or FileLimits()
        self._table = table
        self._objects = objects
        self._monitor = monitor
        self._log = log
        self._clock = clock
        owner = f"{export.owner} {table.identity} {'gzip' if export.gzip else 'plain'}"
        self._state = ExportState(objects, export.folder, owner=owner, clock=clock)
        self._suffix = ".gz" if export.gzip else ""
        found = self._state.load(segments=export.segments)
        self._states = dict(found.states) if found else {}
        self._begun = found.begun if found else None
        self._segments = found.segments if found else segments_for(table, export.segments)
        self._share = HeldShare(calls, table, export.share, write=False, log=log, clock=clock)
        self.limiter = self._share.limiter
        self._scanner = Scanner(calls, table, self.limiter, segments=self._segments)
        self._lock = threading.Lock()
        self._moved = Moved(
            rows=sum(state.items for state in self._states.values()),
            bytes=sum(state.bytes for state in self._states.values()),
        )
        self._scanned = 0

    def run(self) -> Moved:
        """Read what is left to read, then make it an export. Raises TaskError."""
        self._announce()
        todo = [n for n in range(self._segments) if not self._of(n).done]
        in_parallel(todo, self._segment, workers=min(len(todo), WORKERS) or 1, beat=self._tell)
        self._publish()
        return self._moved

    def _announce(self) -> None:
        self._log.info(
            "Exporting table %s (%s) to %s in %d segments, at %s",
            *(self._table.name, self._table.region, self._export.folder, self._segments),
            self._share,
        )
        if self._begun is not None:
            done = sum(state.done for state in self._states.values())
            self._log.info(
                "Going on with the export that was begun at %s: %d segments and %d items are there",
                *(f"{self._begun:%Y-%m-%dT%H:%M:%SZ}", done, self._moved.rows),
            )

    def _of(self, segment: int) -> SegmentState:
        return self._states.get(segment) or SegmentState(writing=new_name(self._suffix))

    def _segment(self, segment: int, stop: threading.Event) -> None:
        """Read one segment, file after file; each is written down when it is whole."""
        state = self._of(segment)
        pages = self._scanner.pages(segment, state.next_key, stop)
        while not state.done:
            self._state.save(segment, self._segments, state)
            state = self._file(state, pages)
            with self._lock:
                self._states[segment] = state
        self._state.save(segment, self._segments, state)

    def _file(self, state: SegmentState, pages: Iterator[Page]) -> SegmentState:
        """Write pages until the file has enough, or the segment ends."""
        began, items, size = self._clock.monotonic(), 0, 0
        next_key: Item | None = None
        with ExitStack() as stack:
            sink: ObjectWriter | GzipWriter | None = None
            for page in pages:
                next_key = page.next_key
                lines = self._lines(page)
                if lines and sink is None:
                    sink = self._opened(stack, self._uri(state.writing))
                if sink is not None:
                    size += sink.write(b"".join(lines))
                items += len(lines)
                self._count(page, lines)
                if self._is_full(items, size, self._clock.monotonic() - began):
                    break
            if isinstance(sink, GzipWriter):
                sink.finish()
        return state.after(wrote=sink is not None, items=items, size=size, next_key=next_key)

    def _is_full(self, items: int, size: int, seconds: float) -> bool:
        limits = self._limits
        return items >= limits.items or size >= limits.bytes or seconds >= limits.seconds

    def _opened(self, stack: ExitStack, uri: str) -> ObjectWriter | GzipWriter:
        writer = stack.enter_context(self._objects.open_write(uri, encrypt=self._export.encrypt))
        return GzipWriter(writer) if self._export.gzip else writer

    def _lines(self, page: Page) -> list[bytes]:
        keep = self._export.keep
        if keep is None:
            return [to_line(item) for item in page.items]
        kept = (keep(item) for item in page.items)
        return [to_line(item) for item in kept if item is not None]

    def _count(self, page: Page, lines: list[bytes]) -> None:
        with self._lock:
            self._scanned += len(page.items)
            self._moved.rows += len(lines)
            self._moved.bytes += sum(map(len, lines))

    def _tell(self) -> None:
        done = sum(state.done for state in list(self._states.values()))
        counts = {"items": self._moved.rows, "bytes": self._moved.bytes}
        if total := self._table.item_count:
            # The table's own count is hours old.
            scanned = max(self._scanned, self._moved.rows)
            counts["percent"] = min(100 * scanned // total, 99)
        self._monitor.progress(**counts, segments=f"{done}/{self._segments}")
        self._share.look_again()
        self._monitor.check_canceled()

    def _publish(self) -> None:
        """List the files: what an earlier export left here is then none of it, and goes."""
        names = [name for n in range(self._segments) for name in self._of(n).files]
        # As AWS does it, so that whoever reads them in order spreads over the keys of the table.
        uris = [self._uri(name) for name in sorted(names, key=lambda name: name[::-1])]
        before = set(self._previous()) - set(uris)
        # From the new manifest on nothing names them but this.
        names_before = (uri.removeprefix(self._export.folder) for uri in before)
        self._state.abandon(names_before, self._segments, self._of(0))
        write_manifest(self._objects, self._export.folder, uris)
        left = {self._uri(name) for name in self._state.leftovers} | before
        for uri in sorted(left - set(uris)):
            self._objects.delete(uri)
        self._state.clear()
        self._moved.files = len(uris)

    def _previous(self) -> list[str]:
        """The files of the export that was here before, as far as they lie here."""
        try:
            uris = read_manifest(self._objects, self._export.folder) or []
        except PermanentTaskError as error:
            self._log.warning("Replacing what is no manifest: %s", error)
            return []
        here = [uri for uri in uris if uri.startswith(self._export.folder)]
        if here:
            self._log.info("Replacing the export of %d files that is there", len(here))
        return here

    def _uri(self, name: str) -> str:
        return self._export.folder + name

"""Unloading a table by ranges of its key, so that a later attempt goes on where one was killed.

The table's primary key, if that is one column of whole numbers, is cut into ranges of equal width.
Each is a query of its own, and what it gives ends with a checkpoint of the object: its bytes are in
parts that the store has, and a note says which ranges they are. The next attempt of the same run,
on whatever host, goes on with the next range. All ranges that one attempt reads are of one moment.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass

from taskrunner.data.databases.base import Database
from taskrunner.data.formats.compression import crc32
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.base import CheckpointedWriter, ObjectWriter

_LOG = logging.getLogger(__name__)
#: More ranges lose less when an attempt is killed, and cost a query each.
_RANGES = 64
#: The bounds of all ranges are in each note.
_MOST_RANGES = 4096
#: Tables with fewer rows for certain are read at once.
_FEW_KEYS = 100_000
_WHOLE = re.compile(r"-?[0-9]+")


@dataclass(slots=True)
class Progress:
    """What a note says: how the key is cut, and how far an attempt has come."""

    #: Where each range begins; the last one is the end of all (one behind the largest key).
    bounds: list[int]
    done: int = 0
    rows: int = 0
    bytes: int = 0
    #: Of the bytes without compression; None: an attempt of an older release began.
    crc: int | None = 0

    def to_text(self) -> str:
        """As it stands in a note."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Progress:
        """The inverse of `to_text`."""
        return cls(**{"crc": None, **json.loads(text)})


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """A table with a key that can be cut."""

    database: Database
    #: Its name in SQL, and that of its key.
    table: str
    key: str

    @classmethod
    def find(cls, database: Database, node: TableNode) -> KeyedTable | None:
        """The node's table, if it has such a key; None where it is read at once."""
        if node.select_query:
            return None
        table = database.table(node.table, node.schema)
        key = database.whole_key(table)
        return cls(database, table, key) if key is not None else None

    def cut(self, most_keys: int | None = None) -> Progress | None:
        """The ranges; None for few keys. What is read from here on is of one moment.

        `most_keys`: how many a range may have at most, unless there would be too many ranges.
        """
        self.database.begin_snapshot()
        query = f"SELECT MIN({self.key}), MAX({self.key}) FROM {self.table}"  # noqa: S608  quoted
        with self.database.stream(query) as result:
            [(low, high)] = [row for batch in result.batches for row in batch]
        if not all(text is not None and _WHOLE.fullmatch(text) for text in (low, high)):
            return None
        first, last = int(low or 0), int(high or 0)
        if last - first < _FEW_KEYS:
            return None
        count = last + 1 - first
        width = -(-count // _RANGES)
        if most_keys is not None:
            width = min(width, max(most_keys, -(-count // _MOST_RANGES)))
        return Progress([*range(first, last + 1, width), last + 1])

    def plan(self, target: FileNode) -> str:
        """What must be the same for an attempt that goes on with another's work."""
        table = f"{self.database.spec}/{self.table}/{self.key}"
        return f"{table}/{target.format!r}/{target.compression}"

    def query(self, low: int | None, high: int | None) -> str:
        """The rows of a range; those before the first and behind the last belong to these."""
        bounds = [f"{self.key} >= {low}"] if low is not None else []
        bounds += [f"{self.key} < {high}"] if high is not None else []
        condition = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        return f"SELECT * FROM {self.table}{condition}"  # noqa: S608  quoted, and numbers


#: What each of some queries gives, one after the other: bytes in the target's format, and how many
#: rows they are.
Read = Callable[[Sequence[str]], Iterable[Iterator[tuple[bytes, int]]]]
#: What takes the bytes of a range on their way to the object, as a member or frame of its own.
Compress = Callable[[ObjectWriter], AbstractContextManager[Callable[[bytes], object]]]


def unload_ranges(
    table: KeyedTable,
    progress: Progress,
    writer: CheckpointedWriter,
    *,
    read: Read,
    compress: Compress,
    count: Callable[[int, int], None],
    take_over: Callable[[int, int], None],
) -> int | None:
    """Write what is left of the ranges; `count` is told rows and bytes, and may end it.

    `take_over` is told the same of what is there already.

    Returns the CRC-32 of the whole, without compression; None where it is not known.
    """
    if writer.state is not None:
        progress = Progress.of_text(writer.state)
        _LOG.info(
            "Going on where an earlier attempt of this run was: %d rows, %d bytes and %d of %d "
            "ranges of %s are taken over as it read them, those below %d",
            progress.rows,
            progress.bytes,
            progress.done,
            len(progress.bounds) - 1,
            table.key,
            progress.bounds[progress.done],
        )
        take_over(progress.rows, progress.bytes)
    last = len(progress.bounds) - 2
    numbers = range(progress.done, last + 1)

    def query(number: int) -> str:
        low = progress.bounds[number] if number > 0 else None
        return table.query(low, progress.bounds[number + 1] if number < last else None)

    for number, found in zip(numbers, read([*map(query, numbers)]), strict=True):
        with compress(writer) as put:
            for data, rows in found:
                put(data)
                progress.rows += rows
                progress.bytes += len(data)
                if progress.crc is not None:
                    progress.crc = crc32(data, progress.crc)
                count(rows, len(data))
        progress.done = number + 1
        if number < last:
            writer.checkpoint(progress.to_text())
    return progress.crc

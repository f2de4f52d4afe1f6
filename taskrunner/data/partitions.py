"""Ranges of a table's key, read by several connections that see the same moment.

Each connection has a thread, which reads a range ahead of whoever takes the rows. They are taken in
the order of the ranges, so that the output is the same as by one connection, range for range. What
is read ahead is bounded: of ranges that are larger the reading waits for its turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.registry import open_database
from taskrunner.data.formats.relay import ahead
from taskrunner.data.nodes import TableNode
from taskrunner.data.settings import DataSettings

#: How many keys a range has at most: of usual rows, less than what is read ahead.
KEYS_OF_A_PARTITION = 50_000
#: What all connections together read ahead, in bytes.
_MOST_AHEAD = 24 << 20

#: Some rows: their bytes, and how many they are.
Piece = tuple[bytes, int]
Pieces = Callable[[Database, str], Iterator[Piece]]


@contextmanager
def readers_of(
    database: Database, node: TableNode, table: str, settings: DataSettings, *, count: int
) -> Iterator[list[Database]]:
    """Connections to read a table by; of more than one, all see it as it is now.

    Raises PermanentTaskError where the server cannot do that.
    """
    if count < 2:
        yield [database]
        return
    with ExitStack() as stack:
        others = [stack.enter_context(open_database(node.database, settings)) for _ in range(count)]
        database.share_snapshot(others, table)
        yield others


def in_turns(
    queries: Sequence[str], readers: Sequence[Database], pieces: Pieces
) -> Iterator[Iterator[Piece]]:
    """What each query gives, in their order; each answer is to be taken to its end."""
    if len(readers) < 2:
        for query in queries:
            yield pieces(readers[0], query)
        return
    begun: deque[tuple[AbstractContextManager[Iterator[Piece]], Iterator[Piece]]] = deque()
    most = _MOST_AHEAD // len(readers)

    def begin(number: int) -> None:
        # Its connection has just been read to the end of its last query.
        reader = readers[number % len(readers)]
        opened = ahead(
            pieces(reader, queries[number]),
            name=f"partition-{number % len(readers)}",
            size=lambda piece: len(piece[0]),
            most=most,
        )
        begun.append((opened, opened.__enter__()))

    try:
        for number in range(min(len(readers), len(queries))):
            begin(number)
        for number in range(len(queries)):
            opened, found = begun[0]
            yield found
            begun.popleft()
            opened.__exit__(None, None, None)
            if number + len(readers) < len(queries):
                begin(number + len(readers))
    finally:
        for opened, _ in begun:
            opened.__exit__(None, None, None)

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from taskrunner.data.databases.base import Database
from taskrunner.data.partitions import Piece, in_turns

QUERIES = [f"range {number}" for number in range(7)]


class Reader:
    """A connection, which can do one thing at a time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_busy = False
        self.asked: list[str] = []


def readers(count: int) -> list[Reader]:
    return [Reader(f"reader {number}") for number in range(count)]


def pieces(database: Database, query: str) -> Iterator[Piece]:
    reader = cast(Reader, database)
    assert not reader.is_busy
    reader.is_busy = True
    reader.asked.append(query)
    for number in range(3):
        yield f"{query} {number};".encode(), 1
    reader.is_busy = False


def taken(found: Sequence[Reader], queries: Sequence[str] = QUERIES) -> list[bytes]:
    given = cast(Any, found)
    return [b"".join(data for data, _ in piece) for piece in in_turns(queries, given, pieces)]


WANTED = [f"{query} 0;{query} 1;{query} 2;".encode() for query in QUERIES]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_ranges_come_in_order_however_many_read_them(count: int) -> None:
    found = readers(count)
    assert taken(found) == WANTED
    assert sorted(query for reader in found for query in reader.asked) == QUERIES
    assert sum(1 for reader in found if reader.asked) == min(count, len(QUERIES))


def test_no_ranges_are_read_by_nobody() -> None:
    found = readers(2)
    assert taken(found, []) == []
    assert not found[0].asked


def test_ranges_are_read_at_the_same_time() -> None:
    """The second reader comes to its end before anything of the first one's is taken."""
    second = threading.Event()

    def waiting(database: Database, query: str) -> Iterator[Piece]:
        if query == "range 0":
            assert second.wait(30)
        yield query.encode(), 1
        if query == "range 1":
            second.set()

    found = in_turns(QUERIES[:2], cast(Any, readers(2)), waiting)
    assert [[data for data, _ in piece] for piece in found] == [[b"range 0"], [b"range 1"]]


def test_what_one_range_fails_with_is_raised_in_its_turn() -> None:
    def failing(database: Database, query: str) -> Iterator[Piece]:
        yield query.encode(), 1
        if query == "range 1":
            raise ValueError(query)

    seen: list[bytes] = []

    def take() -> None:
        for piece in in_turns(QUERIES, cast(Any, readers(3)), failing):
            seen.extend(data for data, _ in piece)

    with pytest.raises(ValueError, match="range 1"):
        take()
    assert seen == [b"range 0", b"range 1"]
    assert not [t for t in threading.enumerate() if t.name.startswith("partition-")]


def test_whoever_takes_no_more_ends_the_reading() -> None:
    def endless(database: Database, query: str) -> Iterator[Piece]:
        while True:
            yield bytes(1 << 20), 1

    found = in_turns(QUERIES, cast(Any, readers(2)), endless)
    assert next(next(found))[1] == 1
    found.close()  # type: ignore[attr-defined]  # it is a generator
    assert not [t for t in threading.enumerate() if t.name.startswith("partition-")]

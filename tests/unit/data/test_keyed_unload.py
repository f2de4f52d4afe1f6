from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from taskrunner.data.databases.base import Result
from taskrunner.data.keyed_unload import KeyedTable, Progress, unload_ranges
from taskrunner.data.objects.base import ObjectWriter


class Table:
    """Of the database only what is asked of it."""

    def __init__(self, low: str | None, high: str | None) -> None:
        self._row = (low, high)
        self.snapshots = 0

    def begin_snapshot(self) -> None:
        self.snapshots += 1

    @contextmanager
    def stream(self, _query: str) -> Iterator[Result]:
        yield Result(columns=("a", "b"), batches=iter([[self._row]]))


def table(low: str | None = "1", high: str | None = "640000") -> KeyedTable:
    return KeyedTable(cast(Any, Table(low, high)), '"orders"', '"id"')


@pytest.mark.parametrize(("low", "high"), [("1", "640000"), ("-500000", "500000"), ("7", "123456")])
def test_the_ranges_have_every_key_once(low: str, high: str) -> None:
    progress = table(low, high).cut()
    assert progress is not None
    assert progress.bounds[0] == int(low)
    assert progress.bounds[-1] == int(high) + 1
    assert progress.bounds == sorted(set(progress.bounds))
    assert 60 <= len(progress.bounds) <= 65


def test_ranges_have_so_many_keys_at_most_but_there_are_not_too_many() -> None:
    found = [table("1", high).cut(50_000) for high in ("640000", "64000000", "6400000000000")]
    bounds = [progress.bounds for progress in found if progress is not None]
    assert [bound[1] - bound[0] for bound in bounds] == [10_000, 50_000, 1_562_500_000]
    assert [len(bound) - 1 for bound in bounds] == [64, 1280, 4096]


@pytest.mark.parametrize(
    ("low", "high"), [(None, None), ("1", "1000"), ("a", "b"), ("1.5", "900000.5")]
)
def test_few_keys_and_what_is_no_number_are_read_at_once(low: str | None, high: str | None) -> None:
    assert table(low, high).cut() is None


def test_rows_that_come_meanwhile_belong_to_the_first_and_the_last_range() -> None:
    assert table().query(None, 5) == 'SELECT * FROM "orders" WHERE "id" < 5'
    assert table().query(5, 9) == 'SELECT * FROM "orders" WHERE "id" >= 5 AND "id" < 9'
    assert table().query(9, None) == 'SELECT * FROM "orders" WHERE "id" >= 9'
    assert table().query(None, None) == 'SELECT * FROM "orders"'


class Writer:
    """Keeps what it is given, and each checkpoint."""

    def __init__(self, state: str | None = None) -> None:
        self.state = state
        self.data: list[bytes] = []
        self.checkpoints: list[tuple[int, str]] = []

    def write(self, data: bytes, /) -> int:
        self.data.append(data)
        return len(data)

    def checkpoint(self, state: str) -> None:
        self.checkpoints.append((len(self.data), state))


def unload(
    writer: Writer, counted: list[tuple[int, int]], taken_over: list[tuple[int, int]]
) -> None:
    @contextmanager
    def compress(inner: ObjectWriter) -> Iterator[Callable[[bytes], object]]:
        yield inner.write
        inner.write(b"|")

    def read(queries: Sequence[str]) -> Iterator[Iterator[tuple[bytes, int]]]:
        for query in queries:
            yield iter([(query.partition("WHERE ")[2].encode(), 10)])

    unload_ranges(
        table(),
        Progress([0, 5, 9, 12]),
        writer,
        read=read,
        compress=compress,
        count=lambda rows, size: counted.append((rows, size)),
        take_over=lambda rows, size: taken_over.append((rows, size)),
    )


def test_what_is_left_of_the_ranges_is_written_and_what_is_there_is_counted() -> None:
    counted: list[tuple[int, int]] = []
    taken_over: list[tuple[int, int]] = []
    first = Writer()
    unload(first, counted, taken_over)
    assert not taken_over
    assert first.data == [b'"id" < 5', b"|", b'"id" >= 5 AND "id" < 9', b"|", b'"id" >= 9', b"|"]
    # The end of a range's own bytes is before its checkpoint; behind the last there is none.
    assert [at for at, _ in first.checkpoints] == [2, 4]
    second = Writer(first.checkpoints[1][1])
    counted.clear()
    unload(second, counted, taken_over)
    assert second.data == first.data[4:]
    assert taken_over == [(20, len(b"".join(first.data[:4])) - 2)]
    assert counted == [(10, len(first.data[4]))]

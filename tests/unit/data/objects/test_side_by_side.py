from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from taskrunner.data.objects.side_by_side import side_by_side


def test_results_come_in_the_order_of_the_items() -> None:
    first = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert first.wait(30)
        else:
            first.set()
        return number * 2

    assert list(side_by_side(work, range(50), threads=3)) == [2 * n for n in range(50)]


def test_no_items_give_no_results() -> None:
    assert list(side_by_side(lambda n: n, list[int](), threads=2)) == []


def test_after_a_failure_nothing_more_begins() -> None:
    begun: list[int] = []
    ended = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError(number)
        return number

    with pytest.raises(ValueError, match="3"):
        list(side_by_side(work, range(1000), threads=2, ended=ended))
    assert ended.is_set()
    assert len(begun) < 20


def test_costs_bound_what_is_under_way() -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def work(number: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += number
            most = max(most, under_way)
        with lock:
            under_way -= number
        return number

    costs = [3, 4, 5, 12, 1, 2, 9, 9, 10, 1, 1, 1]
    assert list(side_by_side(work, costs, threads=8, cost=lambda n: n, most=10)) == costs
    assert most <= 12  # one alone may have more


def test_whoever_takes_no_more_results_ends_it() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        yield from range(1000)

    def work(number: int) -> int:
        begun.append(number)
        return number

    results = side_by_side(work, items(), threads=2)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert len(begun) < 20

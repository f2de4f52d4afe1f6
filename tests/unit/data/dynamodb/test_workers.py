"""Threads on one pile of work."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from taskrunner.data.dynamodb.limiter import Stopped
from taskrunner.data.dynamodb.workers import in_parallel
from taskrunner.errors import Canceled


def nothing() -> None:
    """A beat that does nothing."""


def test_each_thing_is_worked_on_once() -> None:
    done: list[int] = []
    in_parallel(iter(range(500)), lambda n, _: done.append(n), workers=4, beat=nothing)
    assert sorted(done) == list(range(500))


def test_nothing_to_do_still_beats() -> None:
    beats: list[int] = []
    in_parallel([], lambda *_: None, workers=2, beat=lambda: beats.append(1))
    assert beats


def test_an_error_stops_the_others_and_is_raised() -> None:
    waiting = threading.Barrier(2)

    def work(thing: str, stop: threading.Event) -> None:
        waiting.wait()
        if thing == "bad":
            raise ValueError("bad thing")
        stop.wait()
        raise Stopped

    with pytest.raises(ValueError, match="bad thing"):
        in_parallel(["good", "bad"], work, workers=2, beat=nothing)


def test_an_error_of_the_pile_is_raised() -> None:
    def pile() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        in_parallel(pile(), lambda *_: None, workers=3, beat=nothing)


def test_a_cancellation_stops_all() -> None:
    stopped: list[bool] = []

    def work(_: int, stop: threading.Event) -> None:
        stopped.append(stop.wait())

    def beat() -> None:
        raise Canceled

    with pytest.raises(Canceled):
        in_parallel(range(100), work, workers=2, beat=beat)
    assert stopped == [True, True]

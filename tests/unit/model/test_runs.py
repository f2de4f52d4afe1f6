from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from taskrunner.model.runs import Run, RunState, turns

START = datetime(2026, 2, 13, 2, tzinfo=UTC)


def line(states: str) -> list[Run]:
    """A run for each letter: A is active, w waits; their versions count from 1."""
    return [
        Run(
            pipeline_id="df-1",
            start=START + timedelta(minutes=number),
            version=number,
            state=RunState.ACTIVE if letter == "A" else RunState.WAITING,
        )
        for number, letter in enumerate(states, 1)
    ]


def decided(states: str, *, limit: int, over: Sequence[int] = ()) -> tuple[list[int], list[int]]:
    """The versions of the runs that are over, and of those that begin."""
    found = turns(line(states), limit=lambda _: limit, is_over=lambda run: run.version in over)
    return [run.version for run in found.over], [run.version for run in found.begin]


@pytest.mark.parametrize(
    ("states", "limit", "over", "ended", "begins"),
    [
        ("", 1, [], [], []),
        ("w", 1, [], [], [1]),
        ("ww", 1, [], [], [1]),
        ("Aw", 1, [], [], []),
        ("Aww", 2, [], [], [2]),
        ("Aww", 3, [], [], [2, 3]),
        ("Aww", 1, [1], [1], [2]),
        ("AAw", 2, [2], [2], [3]),
        ("AAww", 2, [1, 2], [1, 2], [3, 4]),
        # More are active than the limit that was set since: nobody is stopped, nobody begins.
        ("AAAw", 1, [1, 2], [1, 2], []),
        # A run that was canceled while it waited takes nobody's place.
        ("ww", 1, [1], [1], [2]),
    ],
)
def test_the_oldest_begin_as_far_as_there_is_room(
    states: str, limit: int, over: list[int], ended: list[int], begins: list[int]
) -> None:
    assert decided(states, limit=limit, over=over) == (ended, begins)


def test_none_overtakes_one_whose_own_limit_is_lower() -> None:
    limits = {2: 1, 3: 5}
    found = turns(line("Aww"), limit=lambda run: limits[run.version], is_over=lambda _: False)
    assert found.begin == ()


def test_nothing_is_asked_about_those_behind_the_first_that_waits() -> None:
    asked: list[int] = []

    def is_over(run: Run) -> bool:
        asked.append(run.version)
        return False

    turns(line("Awwww"), limit=lambda _: 1, is_over=is_over)
    assert asked == [1]


def test_asked_again_without_a_change_there_is_nothing_new() -> None:
    assert decided("A", limit=1) == ([], [])

from __future__ import annotations

import pytest

from taskrunner.console.pace import Pace


def test_pages_are_told_so_far_apart_that_their_parts_take_a_share_of_a_core() -> None:
    pace = Pace(share=0.1)
    pace.spent("", 0.05)
    turns = [pace.turn("", 100.0) for _ in range(5)]
    assert turns == pytest.approx([100.0, 100.5, 101.0, 101.5, 102.0])
    # Who comes when nobody waits is told at once.
    assert pace.turn("", 200.0) == 200.0


def test_what_parts_cost_is_learned() -> None:
    pace = Pace(share=0.1)
    pace.spent("", 1.0)
    for _ in range(100):
        pace.spent("", 0.01)
    first, second = pace.turn("", 0.0), pace.turn("", 0.0)
    assert second - first == pytest.approx(0.1, rel=0.01)


def test_before_anything_is_known_nobody_waits() -> None:
    pace = Pace()
    assert {pace.turn("", 5.0) for _ in range(3)} == {5.0}


def test_a_dear_page_takes_more_of_the_time_than_a_cheap_one() -> None:
    pace = Pace(share=0.1)
    pace.spent("", 0.4)
    for _ in range(100):
        pace.spent("df-1", 0.01)
    turns = [pace.turn(subject, 0.0) for subject in ("", "", "df-1", "df-1", "")]
    assert turns == pytest.approx([0.0, 4.0, 8.0, 8.1, 8.2])


def test_of_a_subject_that_nobody_knows_the_mean_is_taken() -> None:
    pace = Pace(share=0.1)
    for number in range(1100):
        pace.spent(f"df-{number}", 0.05)
    pace.spent("df-1099", 0.3)
    first = pace.turn("df-0", 0.0)
    assert pace.turn("df-0", 0.0) - first == pytest.approx(0.75)

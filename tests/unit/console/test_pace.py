from __future__ import annotations

import pytest

from taskrunner.console.pace import Pace


def test_pages_are_told_so_far_apart_that_their_parts_take_a_share_of_a_core() -> None:
    pace = Pace(share=0.1)
    pace.spent(0.05)
    turns = [pace.turn(100.0) for _ in range(5)]
    assert turns == pytest.approx([100.0, 100.5, 101.0, 101.5, 102.0])
    # Who comes when nobody waits is told at once.
    assert pace.turn(200.0) == 200.0


def test_what_parts_cost_is_learned() -> None:
    pace = Pace(share=0.1)
    pace.spent(1.0)
    for _ in range(100):
        pace.spent(0.01)
    first, second = pace.turn(0.0), pace.turn(0.0)
    assert second - first == pytest.approx(0.1, rel=0.01)


def test_before_anything_is_known_nobody_waits() -> None:
    pace = Pace()
    assert {pace.turn(5.0) for _ in range(3)} == {5.0}

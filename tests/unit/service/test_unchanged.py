from __future__ import annotations

from datetime import UTC, datetime, timedelta

from taskrunner.service.unchanged import Unchanged

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Counting:
    """A store that says how far it has come, unless it cannot."""

    def __init__(self, mark: int | None = 1) -> None:
        self.came_to = mark

    def mark(self) -> int | None:
        return self.came_to


def test_a_look_is_needed_until_one_has_found_nothing() -> None:
    unchanged = Unchanged(Counting())
    first = unchanged.look(NOW)
    assert first.is_needed
    assert unchanged.look(NOW).is_needed
    unchanged.found_nothing(first, until=None)
    assert not unchanged.look(NOW).is_needed
    assert not unchanged.look(NOW - SECOND).is_needed


def test_it_is_needed_once_anything_was_committed() -> None:
    store = Counting()
    unchanged = Unchanged(store)
    unchanged.found_nothing(unchanged.look(NOW), until=None)
    store.came_to = 2
    assert unchanged.look(NOW).is_needed


def test_what_is_committed_amid_a_look_is_looked_for_the_next_time() -> None:
    store = Counting()
    unchanged = Unchanged(store)
    look = unchanged.look(NOW)
    store.came_to = 2
    unchanged.found_nothing(look, until=None)
    assert unchanged.look(NOW).is_needed


def test_it_is_needed_at_the_moment_at_which_something_is_due() -> None:
    unchanged = Unchanged(Counting())
    unchanged.found_nothing(unchanged.look(NOW), until=NOW + SECOND)
    before = unchanged.look(NOW + SECOND / 2)
    assert (before.is_needed, before.until) == (False, NOW + SECOND)
    assert unchanged.look(NOW + SECOND).is_needed


def test_a_store_that_cannot_tell_is_looked_at_each_time() -> None:
    unchanged = Unchanged(Counting(None))
    unchanged.found_nothing(unchanged.look(NOW), until=None)
    assert unchanged.look(NOW).is_needed

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from taskrunner.model.critical_path import Span, critical_path

AT = datetime(2026, 11, 30, 2, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return AT + timedelta(minutes=minutes)


def span(begin: int, end: int | None) -> Span:
    return Span(at(begin), None if end is None else at(end))


def test_it_leads_back_from_what_ended_last_by_what_was_waited_for_longest() -> None:
    spans = {
        "extract": span(0, 5),
        "slow": span(0, 30),
        "join": span(30, 40),
        "report": span(41, 50),
        "aside": span(40, 42),
    }
    waits = {
        "join": ["extract", "slow"],
        "report": ["join"],
        "aside": ["join"],
    }
    assert critical_path(spans, waits, at(60)) == ["slow", "join", "report"]


def test_what_goes_on_ends_last() -> None:
    spans = {"a": span(0, 5), "b": span(5, None), "c": span(5, 30)}
    assert critical_path(spans, {"b": ["a"], "c": ["a"]}, at(60)) == ["a", "b"]


def test_what_has_not_begun_or_is_of_another_run_is_not_on_it() -> None:
    assert critical_path({}, {"a": ["b"]}, at(0)) == []
    assert critical_path({"a": span(0, 1)}, {"a": ["of another run"]}, at(9)) == ["a"]


def test_a_circle_ends_it() -> None:
    spans = {"a": span(0, 1), "b": span(0, 2)}
    assert critical_path(spans, {"a": ["b"], "b": ["a"]}, at(9)) == ["a", "b"]

"""The page's model of a schedule: what comes, what did not run, and what is to be known of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from taskrunner.console.views.schedule import schedule_page
from taskrunner.service.v1.schedule_shapes import (
    NotRun,
    PastPeriod,
    Planned,
    PlannedPeriod,
    ScheduleOverview,
    ScheduleSummary,
)

START = datetime(2026, 2, 13, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def overview(**fields: Any) -> ScheduleOverview:
    given: dict[str, Any] = {"version": 1, "active": True, "on_demand": False}
    return ScheduleOverview(**{**given, **fields})


def test_periods_have_a_word_for_their_state_and_a_way_to_run_after_all() -> None:
    planned = [
        PlannedPeriod(
            schedule_id="S", start=START, end=START + HOUR, runs_at=START + HOUR, state=state
        )
        for state in Planned
    ]
    past = [PastPeriod(schedule_id="S", start=START - HOUR, end=START, why=why) for why in NotRun]
    page = schedule_page("df-1", overview(planned=tuple(planned), not_run=tuple(past)))
    assert [one.sign.word for one in page.planned] == ["comes", "due", "will be skipped"]
    assert [one.sign.word for one in page.not_run] == ["skipped", "has no instances"]
    moment = "2026-02-13T01%3A00%3A00Z"
    assert page.not_run[0].backfill == (
        f"/p/df-1/backfill?first={moment}&last={moment}&redo=missing"
    )
    assert page.note == page.problem == ""


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"version": 0, "active": False}, "No definition has been put."),
        ({"on_demand": True}, "It runs on demand: once for each activation."),
        (
            {"active": False},
            "Its schedules stand still. These periods come once it is activated.",
        ),
    ],
)
def test_what_holds_for_all_of_it_is_said(fields: dict[str, Any], note: str) -> None:
    assert schedule_page("df-1", overview(**fields)).note == note


def test_a_schedule_is_told_in_a_line() -> None:
    bounded = ScheduleSummary(
        id="S", start=START, period="1 hour", until=START + HOUR, occurrences=7
    )
    page = schedule_page("df-1", overview(schedules=(bounded,)))
    assert page.schedules == [
        "S: every 1 hour from 2026-02-13 02:00 until 2026-02-13 03:00, 7 times at most"
    ]

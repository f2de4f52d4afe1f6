from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskrunner.errors import UsageError
from taskrunner.model.period import Period
from taskrunner.model.schedule import Occurrence, Schedule, ScheduleType
from taskrunner.model.selection import MOST_OCCURRENCES, ScheduleUse, Selection, overlapping

START = datetime(2026, 2, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = START + 10 * DAY + 5 * HOUR
CRON, SERIES = ScheduleType.CRON, ScheduleType.TIMESERIES


def daily(**changes: object) -> Schedule:
    return Schedule(id="S", start=START, period=Period.parse("1 day"), **changes)  # type: ignore[arg-type]


def use(
    schedule: Schedule,
    style: ScheduleType = CRON,
    *,
    has_activities: bool = True,
    first: bool = False,
) -> ScheduleUse:
    return ScheduleUse(
        schedule=schedule,
        styles=frozenset({style}),
        has_activities=has_activities,
        starts_at_activation=first,
    )


def days(found: list[Occurrence]) -> list[int]:
    return [(o.start - START).days for o in found]


def pick(selection: Selection, of: ScheduleUse) -> list[int]:
    return days(selection.pick({"S": of}, NOW)["S"])


def test_a_schedule_with_an_end_runs_whole_without_waiting() -> None:
    assert pick(Selection(), use(daily(occurrences=3))) == [0, 1, 2]
    assert pick(Selection(), use(daily(until=NOW + 5 * DAY))) == list(range(16))


@pytest.mark.parametrize(("style", "day"), [(CRON, 10), (SERIES, 9)])
def test_of_one_without_an_end_the_newest_that_is_due(style: ScheduleType, day: int) -> None:
    assert pick(Selection(), use(daily(), style)) == [day]


def test_of_one_that_starts_at_activation_the_first() -> None:
    assert pick(Selection(), use(daily(), first=True)) == [0]


@pytest.mark.parametrize("at", [START + 4 * DAY, START + 4 * DAY + 23 * HOUR])
def test_at_picks_the_one_that_starts_at_or_holds_the_moment(at: datetime) -> None:
    assert pick(Selection(at=at), use(daily())) == [4]
    assert pick(Selection(at=at + 400 * DAY), use(daily())) == [404]


@pytest.mark.parametrize("at", [START - HOUR, START + 3 * DAY])
def test_at_a_moment_without_an_occurrence_is_an_error(at: datetime) -> None:
    with pytest.raises(UsageError, match="no occurrence of schedule 'S' starts at or contains"):
        pick(Selection(at=at), use(daily(occurrences=3)))


def test_a_range_picks_those_that_start_in_it_ends_included() -> None:
    since, until = START + 2 * DAY, START + 4 * DAY
    assert pick(Selection(since=since, until=until), use(daily())) == [2, 3, 4]
    assert pick(Selection(since=since + HOUR, until=until - HOUR), use(daily())) == [3]
    assert pick(Selection(until=until), use(daily())) == [0, 1, 2, 3, 4]
    assert pick(Selection(since=START + 9 * DAY), use(daily())) == [9, 10]


def test_an_empty_range_is_an_error() -> None:
    empty = Selection(since=START + HOUR, until=START + 2 * HOUR)
    with pytest.raises(UsageError, match="no occurrence of schedule 'S' starts within the range"):
        pick(empty, use(daily()))


def test_nothing_due_yet_is_an_error_that_names_the_start() -> None:
    future = Schedule(id="S", start=NOW + DAY, period=Period.parse("1 day"))
    with pytest.raises(UsageError, match="the first starts at 2026-02-12T05:00:00; pick one with"):
        pick(Selection(), use(future))


def test_too_many_are_refused() -> None:
    assert len(pick(Selection(), use(daily(occurrences=MOST_OCCURRENCES)))) == MOST_OCCURRENCES
    with pytest.raises(UsageError, match="10001 occurrences to run; choose at most 10000"):
        pick(Selection(), use(daily(occurrences=MOST_OCCURRENCES + 1)))


def test_on_demand_there_is_one() -> None:
    selected = Selection(at=START + 99 * DAY).pick({"S": use(Schedule.on_demand(START))}, NOW)
    assert days(selected["S"]) == [0]


def test_schedules_without_activities_follow_those_with() -> None:
    hourly = Schedule(id="H", start=START, period=Period.parse("1 hour"))
    found = Selection(at=START + 2 * DAY).pick(
        {"S": use(daily()), "H": use(hourly, has_activities=False)}, NOW
    )
    assert [o.index for o in found["H"]] == list(range(48, 72))


def test_a_schedule_that_follows_need_not_have_anything_there() -> None:
    ended = Schedule(id="E", start=START, period=Period.parse("1 day"), occurrences=1)
    found = Selection(at=START + 2 * DAY).pick(
        {"S": use(daily()), "E": use(ended, has_activities=False)}, NOW
    )
    assert found["E"] == []


def test_without_any_activity_all_schedules_lead() -> None:
    found = Selection().pick({"S": use(daily(occurrences=2), has_activities=False)}, NOW)
    assert days(found["S"]) == [0, 1]


def test_without_any_schedule_there_is_nothing_to_run() -> None:
    with pytest.raises(UsageError, match="no occurrence of any schedule"):
        Selection().pick({}, NOW)


# -- overlapping ----------------------------------------------------------------------------


def test_periods_overlap_when_they_share_time() -> None:
    hourly = Schedule(id="H", start=START + timedelta(minutes=30), period=Period.parse("1 hour"))
    found = overlapping(hourly, START + HOUR, START + 3 * HOUR)
    assert [o.index for o in found] == [0, 1, 2]


def test_touching_is_not_overlapping() -> None:
    assert days(overlapping(daily(), START + DAY, START + 2 * DAY)) == [1]


def test_before_the_first_there_is_nothing() -> None:
    assert overlapping(daily(), START - DAY, START) == []
    assert days(overlapping(daily(), START - DAY, START + HOUR)) == [0]


def test_a_moment_is_in_the_period_that_holds_it() -> None:
    moment = START + DAY
    assert days(overlapping(daily(), moment, moment)) == [1]
    assert days(overlapping(daily(), moment + HOUR, moment + HOUR)) == [1]

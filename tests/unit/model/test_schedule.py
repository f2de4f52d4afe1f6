from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Field, PipelineObject, Position
from taskrunner.model.period import UNITS, Period
from taskrunner.model.schedule import Occurrence, Schedule, ScheduleType, runs_at

ACTIVATED = datetime(2026, 3, 1, 12, 34, 56, 789, tzinfo=UTC)
CRON, SERIES = ScheduleType.CRON, ScheduleType.TIMESERIES


def schedule(**fields: str) -> Schedule:
    return Schedule.from_object(schedule_object(**fields), activated_at=ACTIVATED)


def schedule_object(**fields: str) -> PipelineObject:
    position = Position(line=3, column=9)
    return PipelineObject(
        id="S", name="S", fields=tuple(Field(k, v, position) for k, v in fields.items())
    )


def starts(of: Schedule, count: int = 10) -> list[str]:
    return [f"{o.start:%Y-%m-%dT%H:%M}" for o in islice(of.iterate(), count)]


def test_the_guides_hourly_month_has_its_hours_and_no_more() -> None:
    hourly = schedule(
        period="1 hours", startDateTime="2012-09-01T00:00:00", endDateTime="2012-10-01T00:00:00"
    )

    assert hourly.count == 30 * 24
    assert hourly.occurrence(0) == Occurrence(
        index=0, start=datetime(2012, 9, 1, tzinfo=UTC), end=datetime(2012, 9, 1, 1, tzinfo=UTC)
    )
    assert hourly.occurrence(719) is not None
    assert hourly.occurrence(720) is None
    assert hourly.occurrence(-1) is None


def test_occurrences_limit_a_schedule() -> None:
    three = schedule(period="1 hours", startDateTime="2014-04-25T22:00:00", occurrences="3")

    assert starts(three) == ["2014-04-25T22:00", "2014-04-25T23:00", "2014-04-26T00:00"]
    assert three.count == 3
    assert three.index_at(datetime(2030, 1, 1, tzinfo=UTC)) == 2


def test_first_activation_starts_at_the_activation_in_whole_seconds() -> None:
    daily = schedule(period="1 Day", startAt="FIRST_ACTIVATION_DATE_TIME", occurrences="1")

    assert daily.start == ACTIVATED.replace(microsecond=0)


def test_start_date_time_wins_over_start_at() -> None:
    daily = schedule(
        period="1 day", startAt="FIRST_ACTIVATION_DATE_TIME", startDateTime="2026-02-13T02:00:00"
    )

    assert daily.start == datetime(2026, 2, 13, 2, tzinfo=UTC)


def test_an_explicit_on_demand_schedule_is_one_moment() -> None:
    once = schedule(period="ONDEMAND_PERIOD", startAt="ONDEMAND_ACTIVATION_TIME")

    assert once == Schedule.on_demand(ACTIVATED, "S")
    assert once.count == 1
    assert [o.start == o.end == once.start for o in once.iterate()] == [True]
    assert once.newest_due(ACTIVATED, ScheduleType.ONDEMAND) == once.occurrence(0)
    assert once.index_at(ACTIVATED - timedelta(days=1)) is None


def test_month_ends_are_counted_from_the_first() -> None:
    monthly = schedule(period="1 month", startDateTime="2021-01-31T00:00:00")

    assert starts(monthly, 4) == [
        "2021-01-31T00:00",
        "2021-02-28T00:00",
        "2021-03-31T00:00",
        "2021-04-30T00:00",
    ]


def test_a_far_occurrence_is_found_without_those_before() -> None:
    quarter_hourly = schedule(period="15 minutes", startDateTime="2026-01-01T00:00:00")

    far = quarter_hourly.occurrence(1_000_000)

    assert far is not None
    assert far.start == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15_000_000)
    assert quarter_hourly.index_at(far.start + timedelta(minutes=14)) == 1_000_000
    assert quarter_hourly.index_from(far.start + timedelta(seconds=1)) == 1_000_001


def test_a_schedule_ends_with_the_calendar() -> None:
    yearly = schedule(period="1 year", startDateTime="9998-01-01T00:00:00")

    assert starts(yearly) == ["9998-01-01T00:00"]
    assert yearly.occurrence(10**12) is None


@pytest.mark.parametrize(
    ("at", "cron", "series"),
    [
        ("2026-01-01T00:59", None, None),
        ("2026-01-01T01:00", 0, None),
        ("2026-01-01T01:59", 0, None),
        ("2026-01-01T02:00", 1, 0),
        ("2026-01-02T00:00", 2, 2),
    ],
)
def test_what_is_due_depends_on_the_style(at: str, cron: int | None, series: int | None) -> None:
    hourly = schedule(period="1 hour", startDateTime="2026-01-01T01:00:00", occurrences="3")
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)

    def due(style: ScheduleType) -> int | None:
        found = hourly.newest_due(moment, style)
        return found.index if found else None

    assert (due(CRON), due(SERIES)) == (cron, series)


def test_an_activity_runs_at_the_start_or_at_the_end() -> None:
    hour = Occurrence(
        index=0, start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 1, 1, tzinfo=UTC)
    )

    assert runs_at(hour, CRON) == hour.start
    assert runs_at(hour, SERIES) == hour.end
    assert runs_at(hour, ScheduleType.ONDEMAND) == hour.start


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"startDateTime": "2026-01-01T00:00:00"}, "period", "needs a period"),
        ({"period": "15 Period", "startDateTime": "2026-01-01"}, "period", "'15 Period'"),
        ({"period": "1 day"}, "startDateTime", "needs startDateTime or startAt"),
        ({"period": "1 day", "startAt": "NOW"}, "startAt", "wanted FIRST_ACTIVATION_DATE_TIME"),
        ({"period": "1 day", "startDateTime": "soon"}, "startDateTime", "found 'soon'"),
        (
            {"period": "1 day", "startDateTime": "2026-01-01", "endDateTime": "x"},
            "endDateTime",
            "x",
        ),
        (
            {"period": "1 day", "startDateTime": "2026-01-01", "occurrences": "0"},
            "occurrences",
            "0",
        ),
        (
            {"period": "1 day", "startDateTime": "2026-01-01", "occurrences": "\u00b2"},
            "occurrences",
            "whole",
        ),
    ],
)
def test_an_unusable_field_is_named(fields: dict[str, str], field: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message) as caught:
        schedule(**fields)

    assert (caught.value.place.object_id, caught.value.place.field) == ("S", field)


def test_the_error_tells_the_line_of_the_field() -> None:
    with pytest.raises(DefinitionError) as caught:
        schedule(period="often", startDateTime="2026-01-01")

    assert (caught.value.place.line, caught.value.place.column) == (3, 9)


def test_schedule_types_are_read_in_any_case_and_time_series_is_the_default() -> None:
    assert ScheduleType.of(schedule_object(scheduleType="CRON")) is CRON
    assert ScheduleType.of(schedule_object()) is SERIES
    with pytest.raises(DefinitionError, match="wanted cron, timeseries or ondemand"):
        ScheduleType.of(schedule_object(scheduleType="weekly"))


def moments(first_year: int, last_year: int) -> st.SearchStrategy[datetime]:
    low, high = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (first_year, last_year))
    return st.integers(low, high).map(lambda s: datetime.fromtimestamp(s, UTC))


SCHEDULES = st.builds(
    Schedule,
    id=st.just("S"),
    start=moments(2000, 2030),
    period=st.builds(
        Period,
        st.integers(1, 14),
        st.sampled_from([u for u in UNITS.values() if u.name != "second"]),
    ),
    until=st.none() | moments(1999, 2032),
    occurrences=st.none() | st.integers(1, 300),
)
#: The oracle counts up, one by one, with dateutil; this is how far.
HORIZON = 120


def by_counting(of: Schedule) -> list[tuple[datetime, datetime]]:
    assert of.period is not None
    step = {f"{of.period.unit.name}s": of.period.count}
    found = []
    for n in range(HORIZON):
        start = of.start + relativedelta(**{k: v * n for k, v in step.items()})
        end = of.start + relativedelta(**{k: v * (n + 1) for k, v in step.items()})
        if (of.until and start >= of.until) or (of.occurrences and n >= of.occurrences):
            break
        found.append((start, end))
    return found


@given(SCHEDULES)
def test_occurrences_agree_with_counting(of: Schedule) -> None:
    expected = by_counting(of)

    assert [(o.start, o.end) for o in of.iterate(0, HORIZON)] == expected
    if len(expected) < HORIZON:
        assert of.count == len(expected)
    else:
        assert of.count is None or of.count >= HORIZON


@given(of=SCHEDULES, nth=st.integers(0, HORIZON - 1), shift=st.integers(-40, 40))
def test_looking_up_a_moment_agrees_with_counting(of: Schedule, nth: int, shift: int) -> None:
    all_of_them = by_counting(of)
    near = all_of_them[min(nth, len(all_of_them) - 1)][0] if all_of_them else of.start
    moment = near + timedelta(hours=shift)
    if len(all_of_them) == HORIZON and moment >= all_of_them[-1][0]:
        return  # the oracle does not see so far

    began = [i for i, (start, _) in enumerate(all_of_them) if start <= moment]
    ended = [i for i, (_, end) in enumerate(all_of_them) if end <= moment]
    later = [i for i, (start, _) in enumerate(all_of_them) if start >= moment]
    due = of.newest_due(moment, SERIES)

    assert of.index_at(moment) == (began[-1] if began else None)
    assert of.index_from(moment) == (later[0] if later else None)
    assert (due.index if due else None) == (ended[-1] if ended else None)


@given(SCHEDULES, st.integers(0, 10**7))
def test_any_occurrence_is_found_at_its_own_start(of: Schedule, index: int) -> None:
    found = of.occurrence(index)

    if found is not None:
        assert of.index_at(found.start) == of.index_from(found.start) == index
        assert of.index_at(found.end - timedelta(seconds=1)) == index

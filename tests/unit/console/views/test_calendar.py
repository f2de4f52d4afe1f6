from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from taskrunner.console.views.calendar import calendar_page, month_of, span_of
from taskrunner.console.views.moments import shown_in
from taskrunner.model.run_status import RunStatus
from taskrunner.service.v1.calendar_shapes import Calendar, CalendarPeriod, PeriodState

NOW = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOVEMBER = date(2026, 11, 1)


def period(start: datetime, state: PeriodState, status: RunStatus | None = None) -> CalendarPeriod:
    return CalendarPeriod(
        start=start, end=start + HOUR, state=state, schedule_id="S", status=status
    )


def test_a_month_is_whole_weeks_with_nothing_on_the_days_around_it() -> None:
    outside = period(datetime(2026, 12, 1, tzinfo=UTC), PeriodState.COMES)
    page = calendar_page("df-1", NOVEMBER, Calendar(periods=(outside,)), NOW)
    assert page.title == "November 2026"
    assert {len(week) for week in page.weeks} == {7}
    days = [day for week in page.weeks for day in week]
    assert [day.number for day in days if not day.is_outside] == list(range(1, 31))
    assert [day.number for day in days if day.is_today] == [30]
    assert not any(day.periods for day in days)
    assert page.before == "/p/df-1/schedule?month=2026-10"
    assert page.after == "/p/df-1/schedule?month=2026-12"


def test_few_periods_of_a_day_are_told_each_and_many_are_counted() -> None:
    few, many = datetime(2026, 11, 2, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
    periods = [
        period(few, PeriodState.RAN, RunStatus.FAILED),
        period(few + HOUR, PeriodState.COMES),
        *(period(many + n * HOUR, PeriodState.RAN, RunStatus.FINISHED) for n in range(20)),
        *(period(many + n * HOUR, PeriodState.MISSING) for n in range(20, 24)),
    ]
    page = calendar_page("df-1", NOVEMBER, Calendar(periods=tuple(periods)), NOW)
    told = {
        day.number: [(one.what, one.sign.word, one.address) for one in day.periods]
        for week in page.weeks
        for day in week
        if day.periods
    }
    assert told == {
        2: [("02:00", "failed", "/p/df-1/run/2026-11-02T02:00:00Z"), ("03:00", "to come", "")],
        3: [
            ("20", "finished", "/p/df-1/grid?until=2026-11-04T00%3A00%3A00Z&n=24"),
            ("4", "did not run", ""),
        ],
    }


def test_days_are_those_of_the_visitors_time_zone() -> None:
    late = Calendar(periods=(period(NOW, PeriodState.COMES),))
    with shown_in("Asia/Tokyo"):
        assert month_of("", NOW) == date(2026, 12, 1)
        assert span_of(NOVEMBER)[0] == datetime(2026, 10, 31, 15, tzinfo=UTC)
        page = calendar_page("df-1", date(2026, 12, 1), late, NOW)
        (first,) = [day for week in page.weeks for day in week if day.periods]
        assert (first.number, first.periods[0].what) == (1, "08:30")
    assert month_of("", NOW) == NOVEMBER


def test_what_is_no_month_is_this_one() -> None:
    for text in ("", "2026", "2026-13", "0000-01", "9999-12", "x", "2026-1"):
        assert month_of(text, NOW) == NOVEMBER
    assert month_of("2024-02", NOW) == date(2024, 2, 1)
    assert span_of(date(2024, 2, 1))[1] == datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)


def test_every_state_of_a_period_has_a_sign() -> None:
    for state in PeriodState:
        status = RunStatus.FINISHED if state is PeriodState.RAN else None
        found = Calendar(periods=(period(datetime(2026, 11, 2, tzinfo=UTC), state, status),))
        page = calendar_page("df-1", NOVEMBER, found, NOW)
        (one,) = [one for week in page.weeks for day in week for one in day.periods]
        assert one.sign.word not in {"nothing yet", ""}

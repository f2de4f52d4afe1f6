from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dateutil.relativedelta import relativedelta  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.period import UNITS, Period, plus_months

JAN_31 = datetime(2021, 1, 31, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("15 minutes", "15 minutes"),
        ("1 hours", "1 hour"),
        ("1 Day", "1 day"),
        ("2 WEEKS", "2 weeks"),
        ("  3   months ", "3 months"),
        ("1 year", "1 year"),
        ("30 seconds", "30 seconds"),
        ("1Day", "1 day"),
    ],
)
def test_periods_are_read_in_any_case_and_number(text: str, written: str) -> None:
    assert str(Period.parse(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "15 Period",
        "0 days",
        "-1 day",
        "day",
        "1.5 hours",
        "1 fortnight",
        "1 dayss",
        "\u0661 day",
    ],
)
def test_other_text_is_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ValueError, match="wanted a number above 0 and minutes"):
        Period.parse(text)


@pytest.mark.parametrize(
    ("text", "times", "expected"),
    [
        ("1 month", 1, datetime(2021, 2, 28, 8, 30, tzinfo=UTC)),
        ("1 month", 2, datetime(2021, 3, 31, 8, 30, tzinfo=UTC)),
        ("1 month", 13, datetime(2022, 2, 28, 8, 30, tzinfo=UTC)),
        ("1 year", 3, datetime(2024, 1, 31, 8, 30, tzinfo=UTC)),
        ("1 month", -2, datetime(2020, 11, 30, 8, 30, tzinfo=UTC)),
        ("90 minutes", 2, datetime(2021, 1, 31, 11, 30, tzinfo=UTC)),
        ("1 week", 1, datetime(2021, 2, 7, 8, 30, tzinfo=UTC)),
    ],
)
def test_adding_counts_from_the_start_so_month_ends_do_not_drift(
    text: str, times: int, expected: datetime
) -> None:
    assert Period.parse(text).add_to(JAN_31, times) == expected


def test_a_month_is_as_long_as_the_calendar_says() -> None:
    assert Period.parse("1 month").timedelta_from(JAN_31) == timedelta(days=28)
    assert Period.parse("1 month").fixed is None
    assert Period.parse("1 day").fixed == timedelta(days=1)


def test_adding_beyond_the_calendar_overflows() -> None:
    with pytest.raises(OverflowError):
        Period.parse("999999999 years").add_to(JAN_31)
    with pytest.raises(OverflowError):
        Period.parse("999999999 weeks").add_to(JAN_31)


@given(
    minutes=st.integers(-50_000_000, 50_000_000),
    count=st.integers(1, 40),
    unit=st.sampled_from(sorted(UNITS)),
    times=st.integers(-30, 30),
)
def test_adding_agrees_with_dateutil(minutes: int, count: int, unit: str, times: int) -> None:
    start = JAN_31 + timedelta(minutes=minutes)
    expected = start + relativedelta(**{f"{unit}s": count * times})

    assert Period(count, UNITS[unit]).add_to(start, times) == expected


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-200_000, 200_000))
def test_months_stay_in_the_calendar_or_overflow(start: datetime, months: int) -> None:
    try:
        moved = plus_months(start, months)
    except OverflowError:
        assert not 1 <= start.year + (start.month - 1 + months) // 12 <= 9999
    else:
        assert (moved.year - start.year) * 12 + moved.month - start.month == months

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.times import format_datetime, parse_datetime


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2012-01-15T23:59:00", datetime(2012, 1, 15, 23, 59, tzinfo=UTC)),
        (" 2012-01-15T23:59:00 ", datetime(2012, 1, 15, 23, 59, tzinfo=UTC)),
        ("2012-01-15T23:59:00Z", datetime(2012, 1, 15, 23, 59, tzinfo=UTC)),
        ("2012-01-15T23:59:00.123", datetime(2012, 1, 15, 23, 59, tzinfo=UTC)),
        ("2012-01-15T23:59", datetime(2012, 1, 15, 23, 59, tzinfo=UTC)),
        ("2012-01-15", datetime(2012, 1, 15, tzinfo=UTC)),
        ("2012-01-15T23:59:00+02:00", datetime(2012, 1, 15, 21, 59, tzinfo=UTC)),
        ("2012-01-15T23:59:00-0830", datetime(2012, 1, 16, 8, 29, tzinfo=UTC)),
        ("makeDate(2011,5,24)", datetime(2011, 5, 24, tzinfo=UTC)),
        ("makeDateTime(2011, 5, 24, 14, 21)", datetime(2011, 5, 24, 14, 21, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_utc(text: str, moment: datetime) -> None:
    found = parse_datetime(text)

    assert found == moment
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("text", ["2011-02-30T00:00:00", "2011-13-01", "2011-01-01T25:00:00"])
def test_dates_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a date that exists"):
        parse_datetime(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2011/05/24",
        "2011-05-24 17:10:00",
        "24-05-2011",
        "yyyy-mm-ddT00:00:00",
        "makeDate(2011,5)",
        "makeDate(2011,5,24,1)",
        "\u0662\u0660\u0661\u0661-05-24",  # digits, but not ours
    ],
)
def test_other_text_is_refused_with_what_was_wanted(text: str) -> None:
    with pytest.raises(ValueError, match="wanted a date and time as YYYY-MM-DDTHH:MM:SS"):
        parse_datetime(text)


def test_an_offset_that_leaves_the_calendar_is_refused() -> None:
    with pytest.raises(ValueError, match="not a date that exists"):
        parse_datetime("0001-01-01T00:00:00+10:00")


def test_formatting_converts_to_utc_and_drops_fractions() -> None:
    moment = datetime(2012, 1, 1, 1, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert format_datetime(moment) == "2011-12-31T23:00:00"


@given(st.datetimes(timezones=st.just(UTC)).map(lambda d: d.replace(microsecond=0)))
def test_what_is_written_is_read_back(moment: datetime) -> None:
    assert parse_datetime(format_datetime(moment)) == moment


@given(st.text())
def test_any_text_is_a_date_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_datetime(text).tzinfo is not None

"""The guide's own examples of every function, and what it leaves open."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dateutil.relativedelta import SU, relativedelta  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import ExpressionError
from taskrunner.model.expressions import FUNCTIONS
from tests.unit.model.expressions.worlds import GUIDE_DATE, obj, scope, value

EXAMPLES = {
    "day(myDateTime)": "24",
    "dayOfYear(myDateTime)": "144",
    "firstOfMonth(myDateTime)": "2011-05-01T17:10:00",
    "format(myDateTime,'YYYY-MM-dd HH:mm:ss z')": "2011-05-24 17:10:00 UTC",
    "hour(myDateTime)": "17",
    "inTimeZone(myDateTime,'America/Los_Angeles')": "2011-05-24T10:10:00",
    "makeDate(2011,5,24)": "2011-05-24T00:00:00",
    "makeDateTime(2011,5,24,14,21)": "2011-05-24T14:21:00",
    "midnight(myDateTime)": "2011-05-24T00:00:00",
    "minusDays(myDateTime,1)": "2011-05-23T17:10:00",
    "minusHours(myDateTime,1)": "2011-05-24T16:10:00",
    "minusMinutes(myDateTime,1)": "2011-05-24T17:09:00",
    "minusMonths(myDateTime,1)": "2011-04-24T17:10:00",
    "minusPeriod(myDateTime,'1 day')": "2011-05-23T17:10:00",
    "minusWeeks(myDateTime,1)": "2011-05-17T17:10:00",
    "minusYears(myDateTime,1)": "2010-05-24T17:10:00",
    "minute(myDateTime)": "10",
    "month(myDateTime)": "5",
    "plusDays(myDateTime,1)": "2011-05-25T17:10:00",
    "plusHours(myDateTime,1)": "2011-05-24T18:10:00",
    "plusMinutes(myDateTime,1)": "2011-05-24T17:11:00",
    "plusMonths(myDateTime,1)": "2011-06-24T17:10:00",
    "plusPeriod(myDateTime,'1 day')": "2011-05-25T17:10:00",
    "plusWeeks(myDateTime,1)": "2011-05-31T17:10:00",
    "plusYears(myDateTime,1)": "2012-05-24T17:10:00",
    "sunday(myDateTime)": "2011-05-22T17:10:00",
    "year(myDateTime)": "2011",
    "yesterday(myDateTime)": "2011-05-23T17:10:00",
}


@pytest.mark.parametrize(("call", "expected"), EXAMPLES.items())
def test_the_guides_examples_hold(call: str, expected: str) -> None:
    assert value(f"#{{{call}}}") == expected


def test_every_function_has_an_example() -> None:
    assert sorted(call.split("(")[0] for call in EXAMPLES) == sorted(FUNCTIONS)


def test_a_function_is_called_on_a_value_as_well() -> None:
    assert value("#{myDateTime.plusDays(2).format('dd')}") == "26"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("UTC", "17:10"), ("GMT", "17:10"), ("+02:00", "19:10"), ("-0330", "13:40"), ("+9", "02:10")],
)
def test_zones_may_be_offsets(zone: str, expected: str) -> None:
    assert value(f"#{{inTimeZone(myDateTime,'{zone}').format('HH:mm')}}") == expected


def test_a_sunday_is_its_own_sunday() -> None:
    assert value("#{sunday(makeDateTime(2011,5,22,3,4))}") == "2011-05-22T03:04:00"


def test_month_ends_are_clamped() -> None:
    assert value("#{plusMonths(makeDate(2021,1,31),1)}") == "2021-02-28T00:00:00"
    assert value("#{minusYears(makeDate(2024,2,29),1)}") == "2023-02-28T00:00:00"


def test_negative_amounts_go_the_other_way() -> None:
    assert value("#{plusDays(myDateTime, -1)}") == value("#{minusDays(myDateTime, 1)}")


def test_hours_are_real_time_and_days_are_calendar_days_where_the_clock_changes() -> None:
    eve = "inTimeZone(makeDateTime(2021,3,13,20,0),'America/Los_Angeles')"

    assert value(f"#{{{eve}}}") == "2021-03-13T12:00:00"
    assert value(f"#{{plusHours({eve},24)}}") == "2021-03-14T13:00:00"
    assert value(f"#{{plusDays({eve},1)}}") == "2021-03-14T12:00:00"
    assert value(f"#{{plusPeriod({eve},'24 hours')}}") == "2021-03-14T13:00:00"
    assert value(f"#{{plusPeriod({eve},'1 day')}}") == "2021-03-14T12:00:00"


def test_a_time_that_the_clock_skips_becomes_one_that_exists() -> None:
    eve = "inTimeZone(makeDateTime(2021,3,13,10,30),'America/Los_Angeles')"

    assert value(f"#{{plusDays({eve},1)}}") == "2021-03-14T03:30:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#{day('today')}", "day: found 'today', wanted a date"),
        ("#{day(7)}", "day: found '7', wanted a date"),
        ("#{plusDays(myDateTime,'x')}", "plusDays: found 'x', wanted a whole number"),
        ("#{plusDays(myDateTime,1.5)}", "wanted a whole number"),
        ("#{makeDate(2011,13,1)}", "month must be in 1..12"),
        ("#{plusYears(myDateTime,9000)}", "outside of the calendar"),
        ("#{plusDays(myDateTime,999999999999)}", "(?i)too large|out of range"),
        ("#{plusPeriod(myDateTime,'1 blue moon')}", "'1 blue moon'"),
        ("#{inTimeZone(myDateTime,'Mars/Olympus')}", "no time zone 'Mars/Olympus'"),
        ("#{inTimeZone(myDateTime,'../../etc/passwd')}", "no time zone"),
        ("#{inTimeZone(myDateTime,'America')}", "no time zone"),
        ("#{inTimeZone(myDateTime,'+25:00')}", "no time zone"),
        ("#{inTimeZone(makeDate(1,1,1),'America/Los_Angeles')}", "out of range"),
        ("#{format(myDateTime,'')}", "the date pattern is empty"),
        ("#{format(myDateTime,'q')}", "the date pattern has 'q'"),
    ],
)
def test_values_that_cannot_be_worked_with_are_told(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message):
        value(text)


@given(
    amount=st.integers(-400, 400),
    unit=st.sampled_from(["Minutes", "Hours", "Days", "Weeks", "Months", "Years"]),
    sign=st.sampled_from(["plus", "minus"]),
)
def test_adding_agrees_with_dateutil(amount: int, unit: str, sign: str) -> None:
    signed = amount if sign == "plus" else -amount
    expected = GUIDE_DATE + relativedelta(**{unit.lower(): signed})

    assert value(f"#{{{sign}{unit}(myDateTime, {amount})}}") == f"{expected:%Y-%m-%dT%H:%M:%S}"


# strftime writes years below 1000 without their zeros; the Sunday before may be in the year before.
@given(st.dates(min_value=datetime(1000, 1, 8, tzinfo=UTC).date()))
def test_sunday_agrees_with_dateutil(day: object) -> None:
    text = f"{day}T05:06:07"
    expected = datetime.fromisoformat(text) + relativedelta(weekday=SU(-1))

    world = scope(obj("A", ("myDay", text)))
    assert value("#{sunday(myDay)}", world) == f"{expected:%Y-%m-%dT%H:%M:%S}"


def test_the_documentation_has_every_function_as_it_is() -> None:
    text = (Path(__file__).resolve().parents[4] / "docs/expressions.md").read_text()
    documented = re.findall(r"^\| `\w+\([^`]*\)` \|.*$", text, re.MULTILINE)

    expected = [f"| `{f.signature}` | {f.result} | {f.summary} |" for f in FUNCTIONS.values()]
    assert documented == expected

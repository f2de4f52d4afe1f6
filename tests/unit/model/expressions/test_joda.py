from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.expressions.joda import LETTERS, format_date

AFTERNOON = datetime(2011, 5, 4, 17, 8, 9, 123_456, tzinfo=UTC)
MIDNIGHT = datetime(2021, 1, 3, 0, 30, tzinfo=UTC)
PACIFIC = AFTERNOON.astimezone(ZoneInfo("America/Los_Angeles"))


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("G", "AD"),
        ("C", "20"),
        ("YYYY", "2011"),
        ("YY", "11"),
        ("Y", "2011"),
        ("YYYYYY", "002011"),
        ("yyyy yy y", "2011 11 2011"),
        ("xxxx xx", "2011 11"),
        ("w ww", "18 18"),
        ("e", "3"),
        ("E EEE EEEE", "Wed Wed Wednesday"),
        ("D DDD", "124 124"),
        ("M MM MMM MMMM", "5 05 May May"),
        ("d dd", "4 04"),
        ("a", "PM"),
        ("K KK", "5 05"),
        ("h hh", "5 05"),
        ("H HH", "17 17"),
        ("k kk", "17 17"),
        ("m mm", "8 08"),
        ("s ss", "9 09"),
        ("S SS SSS SSSSSSSS", "1 12 123 12345600"),
        ("z zzzz", "UTC Coordinated Universal Time"),
        ("Z ZZ ZZZ", "+0000 +00:00 UTC"),
        ("yyyy-MM-dd'T'HH:mm:ss", "2011-05-04T17:08:09"),
        ("YYYY-MM-dd_hh.mm", "2011-05-04_05.08"),
        ("'it''s' '' d", "it's ' 4"),
        ("'unended", "unended"),
        ("/-_.: é", "/-_.: é"),
    ],
)
def test_letters_write_what_joda_writes(pattern: str, written: str) -> None:
    assert format_date(AFTERNOON, pattern) == written


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("K h H k", "0 12 0 24"),
        ("a", "AM"),
        ("xxxx-'W'ww-e", "2020-W53-7"),  # the first days of January may be of last year's week
        ("MMM", "Jan"),
    ],
)
def test_letters_at_the_edges(pattern: str, written: str) -> None:
    assert format_date(MIDNIGHT, pattern) == written


def test_zones_have_short_long_and_full_names() -> None:
    assert format_date(PACIFIC, "z|zzzz|Z|ZZ|ZZZ") == (
        "PDT|Pacific Daylight Time|-0700|-07:00|America/Los_Angeles"
    )


def test_zones_without_a_name_are_offsets() -> None:
    india = AFTERNOON.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert format_date(india, "z|zzzz|Z|ZZZ") == "+05:30|+05:30|+0530|+05:30"


def test_every_letter_of_joda_has_a_meaning() -> None:
    assert "".join(sorted(LETTERS)) == "".join(sorted("GCYxweEyDMdaKhHkmsSzZ"))


@pytest.mark.parametrize("pattern", ["", "b", "yyyy-MM-ddTHH:mm", "d" * 101])
def test_patterns_without_a_meaning_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="the date pattern"):
        format_date(AFTERNOON, pattern)


@given(st.datetimes(timezones=st.sampled_from([UTC, ZoneInfo("Asia/Tokyo")])))
def test_the_usual_pattern_agrees_with_strftime(moment: datetime) -> None:
    expected = f"{moment.year:04d}" + moment.strftime("-%m-%d %H:%M:%S %I %p %j %a %A %b %B")

    pattern = "yyyy-MM-dd HH:mm:ss hh a DDD EEE EEEE MMM MMMM"
    assert format_date(moment, pattern) == expected


@given(moment=st.datetimes(timezones=st.just(UTC)), pattern=st.text())
def test_any_pattern_is_written_or_refused(moment: datetime, pattern: str) -> None:
    try:
        written = format_date(moment, pattern)
    except ValueError as error:
        written = str(error)

    assert isinstance(written, str)

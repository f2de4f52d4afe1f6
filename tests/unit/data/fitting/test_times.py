from __future__ import annotations

import pytest

from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule
from taskrunner.data.fitting.times import Interval, Temporal

FAIL, ROUND, TRUNCATE = OnLossyValue
DATE, WHOLE = Temporal(has_time=False), Temporal()
MILLIS, TIME = Temporal(digits=3), Temporal(has_date=False)
ZONED = Temporal(digits=3, has_zone=True)


@pytest.mark.parametrize(
    ("rule", "text", "rounded", "cut"),
    [
        (WHOLE, "2026-12-31 23:59:59.999999", "2027-01-01 00:00:00", "2026-12-31 23:59:59"),
        (WHOLE, "2026-12-31 23:59:59.4999", "2026-12-31 23:59:59", "2026-12-31 23:59:59"),
        (MILLIS, "2026-02-13 02:00:00.9995", "2026-02-13 02:00:01", "2026-02-13 02:00:00.999"),
        (MILLIS, "2026-02-13T02:00:00.1236", "2026-02-13 02:00:00.124", "2026-02-13 02:00:00.123"),
        (ZONED, "2026-02-13 02:00:00.1236+05:30", "2026-02-13 02:00:00.124+05:30",
         "2026-02-13 02:00:00.123+05:30"),
        (TIME, "-838:59:58.7", "-838:59:59", "-838:59:58"),
        (TIME, "23:59:59.7", "24:00:00", "23:59:59"),
        (TIME, "2026-02-13 02:00:00", "02:00:00", "02:00:00"),
        (DATE, "2026-02-13 02:00:00", "2026-02-13", "2026-02-13"),
        (DATE, "2026-02-13 00:00:00.1", "2026-02-13", "2026-02-13"),
        # Of other forms the server says nothing either.
        (DATE, "January 5, 2026 10:11:12", "January 5, 2026 10:11:12", "January 5, 2026 10:11:12"),
        (DATE, "20260105101112", "20260105101112", "20260105101112"),
        (DATE, "5 Jan 2026 3 PM", "5 Jan 2026 3 PM", "5 Jan 2026 3 PM"),
        (TIME, "Jan 5 2026 10:11:12", "Jan 5 2026 10:11:12", "Jan 5 2026 10:11:12"),
        (TIME, "2026/01/05 10:11:12", "2026/01/05 10:11:12", "2026/01/05 10:11:12"),
        (TIME, "1011", "1011", "1011"),
        (DATE, "26-01-05", "26-01-05", "26-01-05"),
        (DATE, "260105", "260105", "260105"),
        (DATE, "10101", "10101", "10101"),
        (TIME, "-1", "-1", "-1"),
        (DATE, "26/1/5", "26/1/5", "26/1/5"),
        (DATE, "05-Jan-26", "05-Jan-26", "05-Jan-26"),
        (WHOLE, "70-1-5 10:11:12", "70-1-5 10:11:12", "70-1-5 10:11:12"),
        (WHOLE, "260105101112", "260105101112", "260105101112"),
        (Interval(2), "1 day 02:03:04.567", "1 day 02:03:04.567", "1 day 02:03:04.56"),
        (Interval(0), "02:03:04.5", "02:03:04.5", "02:03:04"),
    ],
)  # fmt: skip
def test_what_is_not_kept(rule: Rule, text: str, rounded: str, cut: str) -> None:
    assert not rule.keeps_all([text])
    with pytest.raises(NotKeptError) as caught:
        rule.fit(text, FAIL)
    assert caught.value.policy_helps
    assert rule.fit(text, ROUND) == rounded
    assert rule.fit(text, TRUNCATE) == cut


@pytest.mark.parametrize(
    ("rule", "text", "given_to_server"),
    [
        (WHOLE, "2026-02-13 02:00:00.000", "2026-02-13 02:00:00"),
        (WHOLE, "2026-02-13T02:00:00Z", "2026-02-13 02:00:00"),
        (WHOLE, "2026-02-13 02:00:00+00", "2026-02-13 02:00:00"),
        (WHOLE, "2026-02-13", "2026-02-13"),
        (WHOLE, "0000-00-00 00:00:00", "0000-00-00 00:00:00"),
        (WHOLE, "0044-03-15 12:00:00 BC", "0044-03-15 12:00:00 BC"),
        (ZONED, "2026-02-13 02:00:00.12+05:30", "2026-02-13 02:00:00.12+05:30"),
        (TIME, "-838:59:59", "-838:59:59"),
        (TIME, "24:00:00", "24:00:00"),
        (DATE, "2026-02-13 00:00:00+00", "2026-02-13"),
        (Interval(), "1 year 2 mons -3 days -04:05:06.789", "1 year 2 mons -3 days -04:05:06.789"),
        # Other forms are the server's to read.
        (WHOLE, "20260213020000", "20260213020000"),
        (WHOLE, "infinity", "infinity"),
        (WHOLE, "", ""),
        (WHOLE, "January 5, 2026 10:11:12 PM", "January 5, 2026 10:11:12 PM"),
        (WHOLE, "Jan 5 10:11:12 2026 UTC", "Jan 5 10:11:12 2026 UTC"),
        (ZONED, "Jan 5 10:11:12 2026 PST", "Jan 5 10:11:12 2026 PST"),
        (DATE, "05-Jan-2026", "05-Jan-2026"),
        (DATE, "J2451187", "J2451187"),
        (DATE, "44-03-15 BC", "44-03-15 BC"),
        (TIME, "1 02:00:00", "1 02:00:00"),
        (TIME, "10:11:12 PM", "10:11:12 PM"),
    ],
)
def test_what_is_kept(rule: Rule, text: str, given_to_server: str) -> None:
    assert {rule.fit(text, policy) for policy in OnLossyValue} == {given_to_server}


@pytest.mark.parametrize(
    ("rule", "text", "words"),
    [
        (WHOLE, "2026-02-13 02:00:00+05", "offset"),
        (DATE, "2026-02-13 00:00:00-01", "offset"),
        (WHOLE, "20260213020000.5", "fraction"),
        (WHOLE, "2026-02-13 02:00:00 EST", "offset EST"),
        (WHOLE, "January 5, 2026 10:11:12 America/New_York", "offset America/New_York"),
        (WHOLE, "Jan 5 2026 10:11:12 -05:00", "offset -05:00"),
        (TIME, "10:11:12 PST", "offset PST"),
        (DATE, "2026-02-13+05", "offset"),
        (WHOLE, "10:11:12", "has no date"),
        (DATE, "24:00:00", "has no date"),
        (WHOLE, "now", "what 'now' is at the load"),
        (DATE, "Today", "'Today'"),
        (ZONED, "tomorrow 10:00", "'tomorrow'"),
        (WHOLE, "9999-12-31 23:59:59.9", "next day"),
        (WHOLE, "0000-00-00 23:59:59.9", "next day"),
    ],
)
def test_what_no_policy_helps(rule: Rule, text: str, words: str) -> None:
    with pytest.raises(NotKeptError, match=words):
        rule.fit(text, ROUND)


def test_what_servers_write_is_plain() -> None:
    assert MILLIS.keeps_all(["2026-02-13 02:00:00", "2026-02-13 02:00:00.123"])
    assert ZONED.keeps_all(["2026-02-13 02:00:00.12+00"])
    assert TIME.keeps_all(["-838:59:59", "00:00:00"])
    assert DATE.keeps_all(["0000-00-00"])
    assert Interval(2).keeps_all(["1 year 2 mons -3 days -04:05:06.78", "00:00:00"])

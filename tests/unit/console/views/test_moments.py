from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from taskrunner.console.views.moments import ago, moment, shown_in, took, utc

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (4.24, "4.2 s"),
        (59.4, "59 s"),
        (185, "3 min 5 s"),
        (180, "3 min"),
        (7800, "2 h 10 min"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
        (timedelta(seconds=-5), "0.0 s"),
    ],
)
def test_durations_have_two_parts_at_most(seconds: float | timedelta | None, told: str) -> None:
    assert took(seconds) == told


def test_moments_are_in_utc_and_have_seconds_only_where_there_are_any() -> None:
    assert moment(NOON.astimezone(timezone(timedelta(hours=5)))) == "2026-11-30 12:00"
    assert moment(NOON + timedelta(seconds=7)) == "2026-11-30 12:00:07"
    assert moment(None) == "-"


@pytest.mark.parametrize(
    ("off", "told"), [(0, "now"), (-300, "5 min ago"), (7800, "in 2 h 10 min"), (-3, "3.0 s ago")]
)
def test_how_far_a_moment_is_from_now(off: int, told: str) -> None:
    assert ago(NOON + timedelta(seconds=off), NOON) == told
    assert ago(None, NOON) == ""


def test_moments_are_in_utc_unless_a_zone_is_chosen() -> None:
    summer = datetime(2026, 7, 1, 2, tzinfo=UTC)
    with shown_in("Europe/Zurich"):
        assert moment(summer) == "2026-07-01 04:00"
        assert moment(summer.replace(month=1)) == "2026-01-01 03:00"
        assert utc(summer) == "2026-07-01 02:00"
        with shown_in(""):
            assert moment(summer) == "2026-07-01 02:00"
        assert moment(None) == "-"
    assert moment(summer) == "2026-07-01 02:00"

from __future__ import annotations

from datetime import UTC, datetime

from taskrunner.console.views import addresses


def test_ids_of_all_kinds_stay_one_part_of_a_path() -> None:
    address = addresses.instance("df-1", "@A/b c?#_2026-11-30T02:00:00", 2)
    assert address == "/p/df-1/i/@A%2Fb%20c%3F%23_2026-11-30T02:00:00/2"
    assert addresses.run("df-1", datetime(2026, 11, 30, 2, tzinfo=UTC)) == (
        "/p/df-1/run/2026-11-30T02:00:00Z"
    )


def test_a_query_is_changed_and_the_rest_of_it_kept() -> None:
    query = {"filter": ["a b"], "marker": ["x"]}
    assert addresses.with_query("/", query, marker=None) == "/?filter=a+b"
    assert addresses.with_query("/", {}, marker="y") == "/?marker=y"
    assert addresses.with_query("/", {}) == "/"

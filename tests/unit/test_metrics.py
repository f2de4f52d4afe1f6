from __future__ import annotations

from taskrunner.metrics import Counters, Family, Histogram, render

FAMILIES = {
    "taken_total": Family("counter", "Taken."),
    "wait_seconds": Family("histogram", "Waits.", (0.1, 1.0)),
}


def test_a_histogram_counts_what_is_at_most_each_end() -> None:
    waits = Histogram("wait_seconds", FAMILIES["wait_seconds"])
    for value in (0.05, 0.1, 0.5, 7.0):
        waits.observe(value, kind="read")
    waits.observe(0.2, kind="write")
    counters = Counters()
    counters.add("taken_total")
    assert render([*waits.samples(), *counters.samples()], FAMILIES).splitlines() == [
        "# HELP taken_total Taken.",
        "# TYPE taken_total counter",
        "taken_total 1.0",
        "# HELP wait_seconds Waits.",
        "# TYPE wait_seconds histogram",
        'wait_seconds_bucket{kind="read",le="0.1"} 2',
        'wait_seconds_bucket{kind="read",le="1.0"} 3',
        'wait_seconds_bucket{kind="read",le="+Inf"} 4',
        'wait_seconds_sum{kind="read"} 7.65',
        'wait_seconds_count{kind="read"} 4',
        'wait_seconds_bucket{kind="write",le="0.1"} 0',
        'wait_seconds_bucket{kind="write",le="1.0"} 1',
        'wait_seconds_bucket{kind="write",le="+Inf"} 1',
        'wait_seconds_sum{kind="write"} 0.2',
        'wait_seconds_count{kind="write"} 1',
    ]


def test_who_names_many_things_does_not_fill_memory() -> None:
    counters = Counters()
    for number in range(2100):
        counters.add("taken_total", who=str(number))
    samples = counters.samples()
    assert len(samples) == 2001
    assert sum(sample.value for sample in samples) == 2100

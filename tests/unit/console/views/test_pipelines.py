from __future__ import annotations

from datetime import UTC, datetime

from taskrunner.console.views.pipelines import Tally, line
from taskrunner.service.v1.shapes import PipelineSummary, State

AT = datetime(2026, 2, 13, 2, tzinfo=UTC)
SUMMARY = PipelineSummary(
    id="df-1",
    name="orders",
    state=State.SCHEDULED,
    owner="maker",
    created=AT,
    counts={
        "WAITING_ON_DEPENDENCIES": 1000,
        "WAITING_FOR_RUNNER": 7,
        "FAILED": 2,
        "CANCELED": 3,
    },
    at_least=("WAITING_ON_DEPENDENCIES",),
    late=0,
    runs=(),
    groups=(),
    tags={},
)


def test_what_is_not_counted_to_the_end_is_shown_as_such() -> None:
    shown = line(SUMMARY)
    assert shown.waiting == Tally(1007, is_least=True)
    assert shown.failed == Tally(2, is_least=False)
    assert (shown.waiting.text, shown.failed.text, shown.running.text) == ("1,007+", "2", "")

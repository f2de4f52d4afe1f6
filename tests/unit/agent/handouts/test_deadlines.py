from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from taskrunner.agent.handouts.deadlines import Deadlines, report_every
from taskrunner.errors import PermanentTaskError
from tests.unit.agent.fakes import make_task

NOW = datetime(2026, 2, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "silence", "grace", "interval"),
    [(None, 240, 30, 60), ("10 minutes", 480, 60, 60), ("30 seconds", 24, 3, 6)],
)
def test_the_lease_decides_when_silence_ends_the_work_and_how_often_to_report(
    given: str | None, silence: float, grace: float, interval: float
) -> None:
    task = make_task({"reportProgressTimeout": given} if given else {})
    limits = Deadlines.of(task, lease_s=300, now=NOW)
    assert limits.silence_s == pytest.approx(silence)
    assert limits.lost_grace_s == pytest.approx(grace)
    assert limits.silence_s + limits.lost_grace_s < limits.silence_s / 0.8
    every = report_every(task, usual_s=60, lease_s=300, now=NOW)
    assert every == pytest.approx(interval)
    assert 3 * every < limits.silence_s


def test_a_wrong_lease_is_told_when_the_work_begins() -> None:
    task = make_task({"reportProgressTimeout": "soon"})
    assert report_every(task, usual_s=60, lease_s=300, now=NOW) == 60
    with pytest.raises(PermanentTaskError, match="reportProgressTimeout"):
        Deadlines.of(task, lease_s=300, now=NOW)


@pytest.mark.parametrize("text", ["400 years", "7900 years", "150000 days"])
def test_no_limit_is_longer_than_a_thread_can_wait(text: str) -> None:
    task = make_task({"reportProgressTimeout": text, "attemptTimeout": text})
    limits = Deadlines.of(task, lease_s=300, now=NOW)
    assert limits.timeout_s is not None
    assert limits.timeout_s < threading.TIMEOUT_MAX / 2
    assert limits.silence_s < threading.TIMEOUT_MAX / 2
    assert text in limits.timeout_text
    assert report_every(task, usual_s=60, lease_s=300, now=NOW) == 60

from __future__ import annotations

import pytest

from taskrunner.agent.handouts.deadlines import Deadlines
from taskrunner.agent.handouts.ending import End, judge, why_end
from taskrunner.agent.handouts.reporter import Reporter
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.errors import ErrorId
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import FakeApi, FakeClock

LIMITS = Deadlines(timeout_s=100, timeout_text="100 seconds", silence_s=240, lost_grace_s=30)
GONE = Exit(status=9)
FAILED = verdicts.failed("CommandFailed", "no")
CANCELED = Verdict(status="CANCELED")


@pytest.mark.parametrize(
    ("end", "result", "expected"),
    [
        (None, verdicts.FINISHED, "FINISHED"),
        (None, verdicts.NOT_MET, "FALSE"),
        (None, FAILED, "CommandFailed"),
        (None, None, ErrorId.KILLED_BY_SIGNAL),
        (None, CANCELED, ErrorId.KILLED_BY_SIGNAL),
        (End.TIMEOUT, None, ErrorId.TIMEOUT),
        (End.TIMEOUT, CANCELED, ErrorId.TIMEOUT),
        (End.TIMEOUT, FAILED, ErrorId.TIMEOUT),
        (End.TIMEOUT, verdicts.FINISHED, "FINISHED"),
        (End.LEASE_LOST, None, ErrorId.LEASE_LOST),
        (End.INTERRUPTED, CANCELED, ErrorId.INTERRUPTED),
        (End.CANCELED, verdicts.FINISHED, None),
        (End.SUPERSEDED, FAILED, None),
    ],
)
def test_the_verdict_follows_from_why_and_how_it_ended(
    end: End | None, result: Verdict | None, expected: str | None
) -> None:
    verdict = judge(end, GONE, result, LIMITS)
    assert (verdict and (verdict.error_id or verdict.status)) == expected


def _why(
    *, canceled: bool = False, superseded: bool = False, elapsed: float = 0, now: float = 0
) -> End | None:
    reporter = Reporter(
        FakeApi(),
        "t",
        clock=FakeClock(),
        interval_s=60,
        fields=dict[str, str],
        wake=lambda: None,
    )
    reporter.canceled, reporter.superseded = canceled, superseded
    return why_end(reporter, limits=LIMITS, elapsed_s=elapsed, now=now, canceling=False)


def test_reasons_to_end_the_work_begin_at_their_limits() -> None:
    assert _why(elapsed=99, now=239) is None
    assert _why(elapsed=100) is End.TIMEOUT
    assert _why(now=240) is End.LEASE_LOST
    assert _why(superseded=True, elapsed=100) is End.SUPERSEDED
    assert _why(canceled=True, elapsed=100, now=240) is End.CANCELED


@pytest.mark.parametrize(
    ("result", "expected"),
    [(None, verdicts.INTERRUPTED), (FAILED, FAILED), (verdicts.FINISHED, verdicts.FINISHED)],
)
def test_an_attempt_that_is_lost_with_its_agent_is_interrupted_not_failed(
    result: Verdict | None, expected: Verdict
) -> None:
    lost = Exit(status=None, error="the fork server is gone", lost=True)
    assert judge(None, lost, result, LIMITS) == expected
    cannot = judge(None, Exit(status=None, error="cannot fork"), None, LIMITS)
    assert cannot is not None
    assert cannot.error_id == ErrorId.INTERNAL

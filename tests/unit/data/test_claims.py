from __future__ import annotations

from dataclasses import replace

import pytest

from taskrunner.data.claims import Claim, Verdict, claim_of
from taskrunner.testing.activity_environment import new_task

CLAIM = Claim(pipeline="df-1", instance="@Copy_2026", run="r1", attempt=2, handout="h")


@pytest.mark.parametrize(
    ("run", "attempt", "verdict"),
    [
        ("", 0, Verdict.LOAD),
        ("r1", 1, Verdict.LOADED),
        ("r1", 2, Verdict.LOADED),
        ("r0", 1, Verdict.LOAD),
        ("r1", 3, Verdict.SUPERSEDED),
        ("r2", 3, Verdict.SUPERSEDED),
    ],
)
def test_what_was_applied_before_decides(run: str, attempt: int, verdict: Verdict) -> None:
    assert CLAIM.judge(run, attempt, repeatable=False) is verdict


def test_without_a_run_a_rerun_and_a_retry_look_alike() -> None:
    claim = replace(CLAIM, run="")
    assert claim.judge("", 1, repeatable=False) is Verdict.UNCLEAR
    assert claim.judge("", 1, repeatable=True) is Verdict.LOAD
    assert claim.judge("", 2, repeatable=False) is Verdict.LOADED


def test_marks_tell_later_attempts_of_the_same_instance() -> None:
    def mark(**other: str | int) -> str:
        return replace(CLAIM, **other).mark  # type: ignore[arg-type]

    assert CLAIM.is_superseded_by(mark(attempt=3, handout="x"))
    assert CLAIM.is_superseded_by(mark(attempt=10))
    assert not CLAIM.is_superseded_by(mark(attempt=2, handout="x"))
    assert not CLAIM.is_superseded_by(mark(attempt=1))
    assert not CLAIM.is_superseded_by(mark(attempt=3, instance="@Copy_2027"))
    assert not CLAIM.is_superseded_by(mark(attempt=3, pipeline="df-2"))
    assert not any(map(CLAIM.is_superseded_by, [None, "", "x", f"{CLAIM.owner}/x/h", "//"]))
    assert CLAIM.owns(mark(attempt=7))
    assert not CLAIM.owns(mark(instance="@Copy_2027"))
    assert not CLAIM.owns(None)


def test_a_mark_can_stand_in_a_header_whatever_the_ids_are() -> None:
    mark = replace(CLAIM, instance="é/😀\n\ud800").mark
    assert mark.isascii()
    assert mark.count("/") == 2


def test_a_claim_holds_nothing_that_a_runner_could_report_with() -> None:
    task = new_task("CopyActivity", {"@runStartTime": "2026-01-01T00:00:00"})
    claim = claim_of(task)
    assert (claim.pipeline, claim.instance) == ("df-TESTING", "@Activity_2026-01-01T00:00:00")
    assert (claim.attempt, claim.run) == (1, "2026-01-01T00:00:00")
    assert task.task_id not in repr(claim)

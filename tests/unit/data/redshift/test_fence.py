from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskrunner.data.claims import Claim, Verdict, claim_of
from taskrunner.data.redshift.fence import Fence, table_for
from taskrunner.data.redshift.session import Rows
from taskrunner.data.redshift.tokens import quoted
from taskrunner.testing.activity_environment import new_task


def fence(attempt: int = 2, run: str = "r") -> Fence:
    claim = Claim(pipeline="df-1", instance="@It's_1", run=run, attempt=attempt, handout="h")
    return Fence(table='"s"."taskrunner_loads"', claim=claim, literal=quoted)


@pytest.mark.parametrize(
    ("rows", "repeatable", "expected"),
    [
        ([("", "0")], False, Verdict.LOAD),
        ([("r", "2")], False, Verdict.LOADED),
        ([("r", "1")], False, Verdict.LOADED),
        ([("r", "1")], True, Verdict.LOADED),
        ([("before", "1")], False, Verdict.LOAD),
        ([("r", "3")], True, Verdict.SUPERSEDED),
        # Two attempts at once may have made a row each: only one of them is ever changed first.
        ([("", "0"), ("r", "3")], True, Verdict.SUPERSEDED),
    ],
)
def test_what_an_attempt_may_do(rows: Rows, repeatable: bool, expected: Verdict) -> None:
    assert fence().judge(rows, repeatable=repeatable) is expected


@pytest.mark.parametrize(
    ("rows", "repeatable", "expected"),
    [
        ([("", "2")], False, Verdict.LOADED),
        ([("", "1")], False, Verdict.UNCLEAR),
        ([("", "1")], True, Verdict.LOAD),
        ([("r", "1")], False, Verdict.UNCLEAR),
    ],
)
def test_where_the_service_says_nothing_of_the_run(
    rows: Rows, repeatable: bool, expected: Verdict
) -> None:
    assert fence(run="").judge(rows, repeatable=repeatable) is expected


def test_the_row_is_changed_from_what_it_was() -> None:
    update, check = fence().take(datetime(2026, 2, 13, 4, tzinfo=UTC))
    assert update.sql == (
        "UPDATE \"s\".\"taskrunner_loads\" SET run = 'r', attempt = 2, handout = 'h', "
        "loaded_at = '2026-02-13T04:00:00Z' WHERE pipeline = 'df-1' AND instance = '@It''s_1' "
        "AND attempt < 2 AND (attempt = 0 OR run <> 'r')"
    )
    assert check.sql.startswith("SELECT 1 / COUNT(*) FROM")
    assert check.sql.endswith("AND handout = 'h'")
    assert update.is_guard
    assert check.is_guard


def test_each_target_has_a_table_of_its_own() -> None:
    assert table_for("orders") == "taskrunner_loads_orders"
    long = table_for("x" * 120)
    assert len(long) <= 127
    assert long != table_for("x" * 121)
    assert fence().lock.sql == 'LOCK TABLE "s"."taskrunner_loads"'


def test_a_claim_holds_nothing_that_a_runner_could_report_with() -> None:
    task = new_task("RedshiftCopyActivity", {"@runStartTime": "2026-01-01T00:00:00"})
    claim = claim_of(task)
    assert (claim.pipeline, claim.instance) == ("df-TESTING", "@Activity_2026-01-01T00:00:00")
    assert (claim.attempt, claim.run) == (1, "2026-01-01T00:00:00")
    assert task.task_id not in repr(claim)

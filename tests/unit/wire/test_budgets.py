from __future__ import annotations

from taskrunner.wire.budgets import BUDGETS, budget_of


def test_a_poll_is_never_tried_again() -> None:
    assert BUDGETS["PollForTask"].attempts == 1
    assert budget_of("ListPipelines").attempts == 1, "whoever asked sees it"


def test_waits_double_up_to_the_cap_and_are_spread() -> None:
    budget = BUDGETS["SetTaskStatus"]

    assert [budget.wait_s(n, 1.0) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 8]
    assert [budget.wait_s(n, 0.0) for n in (1, 2)] == [0.5, 1.0]


def test_progress_with_all_its_tries_is_over_before_the_next_one_is_due() -> None:
    budget = BUDGETS["ReportTaskProgress"]
    waits = sum(budget.wait_s(n, 1.0) for n in range(1, budget.attempts))

    assert budget.attempts * budget.deadline_s + waits < 60

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskrunner.model.policy import LONGEST, POLICY_FIELDS, Policy

JANUARY = datetime(2026, 1, 31, tzinfo=UTC)


def policy(cap: timedelta | None = None, **fields: str) -> Policy:
    return Policy.of(fields.get, at=JANUARY, retry_delay_cap=cap)


def test_nothing_set_means_the_defaults() -> None:
    assert policy() == Policy()
    assert Policy().maximum_retries == 2
    assert Policy().retry_delay == timedelta(minutes=10)
    assert not Policy().cascade


def test_every_field_is_read() -> None:
    read = policy(
        maximumRetries="5",
        retryDelay="3 minutes",
        attemptTimeout="2 hours",
        lateAfterTimeout="1 day",
        preconditionTimeout="30 Minutes",
        reportProgressTimeout="1 week",
        terminateAfter="6 Hours",
        initTimeout="20 minutes",
        actionOnTaskFailure="Terminate",
        actionOnResourceFailure="RetryNone",
        maxActiveInstances="4",
        failureAndRerunMode="CASCADE",
    )
    assert read == Policy(
        maximum_retries=5,
        retry_delay=timedelta(minutes=3),
        recheck_delay=timedelta(minutes=3),
        attempt_timeout=timedelta(hours=2),
        late_after=timedelta(days=1),
        precondition_timeout=timedelta(minutes=30),
        report_timeout=timedelta(weeks=1),
        terminate_after=timedelta(hours=6),
        init_timeout=timedelta(minutes=20),
        terminate_on_task_failure=True,
        retry_none=True,
        max_active=4,
        cascade=True,
    )


def test_what_is_asked_for_is_what_policies_are_known_by() -> None:
    asked: set[str] = set()
    Policy.of(asked.add, at=JANUARY)
    assert asked == POLICY_FIELDS


def test_no_retries_are_no_retries() -> None:
    assert policy(maximumRetries="0").maximum_retries == 0


def test_months_count_from_the_period() -> None:
    assert policy(attemptTimeout="1 month").attempt_timeout == timedelta(days=28)


def test_waits_are_cut_for_those_who_sit_at_a_terminal() -> None:
    short = policy(timedelta(seconds=2), retryDelay="1 hour")
    assert (short.retry_delay, short.recheck_delay) == (timedelta(seconds=2),) * 2
    unset = policy(timedelta(seconds=2))
    assert (unset.retry_delay, unset.recheck_delay) == (timedelta(seconds=2),) * 2
    assert policy(timedelta(days=1), retryDelay="1 hour").retry_delay == timedelta(hours=1)


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "٣", "9" * 5000])
def test_a_field_that_cannot_be_read_counts_as_not_set(text: str) -> None:
    assert policy(maximumRetries=text, retryDelay=text, maxActiveInstances=text) == Policy()


def test_a_limit_of_nothing_is_no_limit() -> None:
    assert policy(maxActiveInstances="0").max_active is None


@pytest.mark.parametrize("text", ["999999999 years", "999999999 hours", "101 years"])
def test_no_duration_leads_out_of_the_calendar(text: str) -> None:
    assert policy(terminateAfter=text).terminate_after == LONGEST


def test_a_number_alone_is_hours_for_terminate_after_as_awss_table_has_it() -> None:
    assert policy(terminateAfter="3").terminate_after == timedelta(hours=3)
    assert policy(attemptTimeout="3").attempt_timeout is None


@pytest.mark.parametrize(
    ("mode", "cascade"), [("cascade", True), (" Cascade ", True), ("none", False), ("x", False)]
)
def test_cascade_is_for_who_asks_for_it(mode: str, cascade: bool) -> None:
    assert policy(failureAndRerunMode=mode).cascade is cascade

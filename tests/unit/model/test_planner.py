from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from taskrunner.errors import ErrorId
from taskrunner.model.decisions import (
    Announce,
    AwaitPlace,
    Become,
    Decision,
    EndAttempt,
    Event,
    LookAgain,
    Notify,
    Queue,
    Requeue,
    StartAttempt,
    View,
    Withhold,
)
from taskrunner.model.instances import DependencyKind
from taskrunner.model.planner import MOST_STALLS, decide
from taskrunner.model.policy import Policy
from taskrunner.model.rows import AttemptRow
from taskrunner.model.shared_decisions import cancel
from taskrunner.model.states import (
    INSTANCE_FAILED,
    INSTANCE_TERMINAL,
    AttemptStatus,
    InstanceStatus,
)
from tests.unit.model.lives import (
    HOUR,
    MINUTE,
    NOW,
    Life,
    attempt,
    ended,
    on,
    resource,
    running,
    waiting,
)

S, A, K = InstanceStatus, AttemptStatus, DependencyKind
CASCADE = Policy(cascade=True)
BEGIN = [StartAttempt(number=1, ready_at=NOW), Become(status=S.WAITING_FOR_RUNNER)]
HELD_KINDS = [K.INPUT, K.DEPENDS_ON, K.PRECONDITION, K.PRODUCER]


def becomes(decisions: list[Decision]) -> list[InstanceStatus]:
    return [d.status for d in decisions if isinstance(d, Become)]


def events(decisions: list[Decision]) -> list[Event]:
    return [d.event for d in decisions if isinstance(d, Notify)]


def moments(decisions: list[Decision]) -> list[object]:
    return [d.at for d in decisions if isinstance(d, LookAgain)]


# -- beginning ------------------------------------------------------------------------------


def test_begins_when_nothing_is_waited_for() -> None:
    assert decide(waiting(), NOW) == BEGIN


def test_waits_for_its_time() -> None:
    view = waiting(not_before=NOW + HOUR)
    assert decide(view, NOW) == [LookAgain(NOW + HOUR)]
    assert becomes(decide(view, NOW + HOUR)) == [S.WAITING_FOR_RUNNER]


@pytest.mark.parametrize("kind", HELD_KINDS)
@pytest.mark.parametrize(
    "status", [None, *(s for s in S if s not in INSTANCE_FAILED and s is not S.FINISHED)]
)
def test_waits_for_whatever_has_not_finished(
    kind: DependencyKind, status: InstanceStatus | None
) -> None:
    assert decide(waiting(on(S.FINISHED), on(status, kind)), NOW) == []


@pytest.mark.parametrize("kind", HELD_KINDS)
def test_begins_once_everything_has_finished(kind: DependencyKind) -> None:
    assert decide(waiting(on(S.FINISHED), on(S.FINISHED, kind)), NOW) == BEGIN


@pytest.mark.parametrize(
    "status", [None, S.WAITING_ON_DEPENDENCIES, S.CREATING, S.RUNNING, S.SHUTTING_DOWN]
)
def test_does_not_wait_for_its_resource_which_is_launched_for_it(
    status: InstanceStatus | None,
) -> None:
    assert decide(waiting(on(status, K.RESOURCE)), NOW) == BEGIN


@pytest.mark.parametrize("group", [None, ""])
def test_fails_when_nothing_says_where_to_run(group: str | None) -> None:
    decisions = decide(waiting(worker_group=group), NOW)
    assert becomes(decisions) == [S.FAILED]
    assert events(decisions) == [Event.FAIL]
    assert isinstance(decisions[0], Become)
    assert decisions[0].error_id == ErrorId.INVALID_FIELD
    assert "workerGroup" in (decisions[0].error_message or "")


@pytest.mark.parametrize("status", sorted(INSTANCE_TERMINAL))
@pytest.mark.parametrize("category", ["activity", "datanode", "precondition", "resource"])
def test_nothing_happens_after_the_end(status: InstanceStatus, category: str) -> None:
    late = Policy(late_after=MINUTE)
    view = waiting(on(S.FAILED), status=status, category=category, policy=late)
    assert decide(view, NOW + HOUR) == []
    assert cancel(view, "too late") == []


@pytest.mark.parametrize("category", ["activity", "datanode", "precondition"])
def test_a_paused_instance_stays_until_it_is_resumed(category: str) -> None:
    view = waiting(status=S.PAUSED, category=category)
    assert decide(replace(view, paused=True), NOW) == []
    assert decide(view, NOW) == [Become(status=S.WAITING_ON_DEPENDENCIES), LookAgain(NOW)]


@pytest.mark.parametrize("category", ["activity", "datanode", "precondition", "resource"])
def test_what_waits_is_paused_before_anything_else_is_asked(category: str) -> None:
    view = waiting(on(S.FAILED), category=category, policy=Policy(cascade=True))
    view = replace(view, paused=True, users=(S.WAITING_FOR_RUNNER,))
    assert decide(view, NOW) == [Become(status=S.PAUSED)]


ENDED_WITH_IT = Become(
    status=S.CANCELED,
    error_id=ErrorId.DEACTIVATED,
    error_message="the pipeline was deactivated",
)


@pytest.mark.parametrize("category", ["activity", "datanode", "precondition", "resource"])
@pytest.mark.parametrize("status", [S.WAITING_ON_DEPENDENCIES, S.PAUSED])
def test_what_waits_ends_with_its_pipeline(category: str, status: InstanceStatus) -> None:
    view = waiting(category=category, status=status)
    assert decide(replace(view, deactivating=True), NOW) == [ENDED_WITH_IT]


@pytest.mark.parametrize("queue", [Queue.READY, Queue.HELD, Queue.FALSE])
def test_what_no_runner_has_ends_with_its_pipeline(queue: Queue) -> None:
    view = running(head=attempt(queue=queue), status=S.WAITING_FOR_RUNNER)
    end, become = decide(replace(view, deactivating=True), NOW)
    assert isinstance(end, EndAttempt)
    assert (end.status, become) == (A.CANCELED, ENDED_WITH_IT)


@pytest.mark.parametrize(("now", "goes_on"), [(NOW, True), (NOW + 5 * MINUTE, False)])
def test_what_a_runner_has_goes_on_while_it_reports(now: datetime, *, goes_on: bool) -> None:
    found = decide(replace(running(), deactivating=True), now)
    if goes_on:
        assert found == [LookAgain(NOW + 5 * MINUTE)]
    else:
        assert isinstance(found[0], EndAttempt)
        assert found[1:] == [ENDED_WITH_IT]


def test_what_failed_meanwhile_gets_no_other_try_but_its_last_failure_counts() -> None:
    view = replace(running(head=ended(A.FAILED, "X")), deactivating=True)
    assert decide(view, NOW) == [ENDED_WITH_IT]
    last = replace(view, policy=Policy(maximum_retries=0))
    assert becomes(decide(last, NOW)) == [S.FAILED]


OUT_OF_THE_QUEUE = [Withhold(), Become(status=S.PAUSED)]


def test_a_pause_takes_out_of_the_queue_what_no_runner_has() -> None:
    queued = running(head=attempt(), status=S.WAITING_FOR_RUNNER)
    assert decide(replace(queued, paused=True), NOW) == OUT_OF_THE_QUEUE


def test_a_pause_leaves_a_runner_its_work_and_gives_out_no_further_attempt() -> None:
    assert decide(replace(running(), paused=True), NOW) == [LookAgain(NOW + 5 * MINUTE)]
    failed = replace(running(head=ended(A.FAILED, "X")), paused=True)
    start = StartAttempt(number=2, ready_at=NOW + 10 * MINUTE, charged=True)
    assert decide(failed, NOW)[:3] == [start, *OUT_OF_THE_QUEUE]


@pytest.mark.parametrize("queue", [Queue.OUT, Queue.FALSE])
def test_what_comes_back_while_it_is_paused_is_kept(queue: Queue) -> None:
    head = attempt(queue=queue, task_id="t", report_by=NOW)
    view = running(head=head, category="precondition", status=S.WAITING_FOR_RUNNER)
    back, *rest = decide(replace(view, paused=True), NOW)
    assert isinstance(back, Requeue)
    assert rest[:2] == OUT_OF_THE_QUEUE


@pytest.mark.parametrize("later", [timedelta(), MINUTE])
def test_what_resumes_keeps_its_attempt_and_the_wait_before_it(later: timedelta) -> None:
    head = attempt(queue=Queue.HELD, ready_at=NOW + later)
    view = replace(waiting(attempt_count=1), head=head)
    told = Announce() if not later else LookAgain(NOW + later)
    become = Become(status=S.WAITING_FOR_RUNNER)
    assert decide(view, NOW) == [Requeue(NOW + later), told, become]
    # Resumed before the scheduler had looked at it: it has never been PAUSED.
    at_once = running(head=head, status=S.WAITING_FOR_RUNNER)
    assert decide(at_once, NOW) == [Requeue(NOW + later), told]


def test_a_rerun_goes_on_counting_its_attempts() -> None:
    view = replace(waiting(attempt_count=3), head=ended(A.FAILED, ErrorId.COMMAND_FAILED, number=3))
    assert decide(view, NOW)[0] == StartAttempt(number=4, ready_at=NOW)


# -- maxActiveInstances ---------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "active", "begins"), [(1, 0, True), (1, 1, False), (2, 1, True)])
def test_no_more_are_active_than_allowed(limit: int, active: int, begins: bool) -> None:
    view = replace(waiting(policy=Policy(max_active=limit)), active_siblings=active)
    assert decide(view, NOW) == (BEGIN if begins else [AwaitPlace()])
    again = replace(view, instance=replace(view.instance, reruns=1))
    assert decide(again, NOW) == BEGIN


@pytest.mark.parametrize(("active", "launched"), [(0, True), (1, False)])
def test_nor_are_more_resources_up_than_allowed(active: int, launched: bool) -> None:
    view = resource(S.WAITING_ON_DEPENDENCIES, S.WAITING_FOR_RUNNER, policy=Policy(max_active=1))
    expected = Become(status=S.CREATING) if launched else AwaitPlace()
    assert decide(replace(view, active_siblings=active), NOW) == [expected]


def test_who_waits_for_something_else_as_well_wants_no_place() -> None:
    view = waiting(on(S.RUNNING), policy=Policy(max_active=1))
    assert decide(replace(view, active_siblings=1), NOW) == []


def test_the_limit_does_not_touch_what_is_active_already() -> None:
    view = replace(running(policy=Policy(max_active=1)), active_siblings=5)
    assert decide(view, NOW) == [LookAgain(NOW + 5 * MINUTE)]


def test_nothing_of_a_run_begins_before_its_turn() -> None:
    assert decide(replace(waiting(), run_waits=True), NOW) == []
    node = replace(waiting(category="datanode"), run_waits=True)
    assert decide(node, NOW) == []
    assert decide(replace(resource(S.WAITING_ON_DEPENDENCIES), run_waits=True), NOW) == []
    assert decide(replace(waiting(not_before=NOW + MINUTE), run_waits=True), NOW) == [
        LookAgain(NOW + MINUTE)
    ]


# -- what failed before ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", HELD_KINDS)
@pytest.mark.parametrize("status", sorted(INSTANCE_FAILED))
def test_without_cascade_it_waits_for_ever_for_what_failed(
    kind: DependencyKind, status: InstanceStatus
) -> None:
    assert decide(waiting(on(status, kind)), NOW) == []


@pytest.mark.parametrize("category", ["activity", "datanode"])
@pytest.mark.parametrize("kind", HELD_KINDS)
@pytest.mark.parametrize("status", sorted(INSTANCE_FAILED))
def test_with_cascade_it_fails_with_what_failed(
    category: str, kind: DependencyKind, status: InstanceStatus
) -> None:
    view = waiting(on(None), on(status, kind, "@C_1"), policy=CASCADE, category=category)
    become = Become(status=S.CASCADE_FAILED, error_message=f"@C_1 is {status}", cause="@C_1")
    assert decide(view, NOW) == [become, Notify(Event.FAIL)]


def test_a_precondition_is_canceled_rather_than_drawn_in() -> None:
    view = waiting(on(S.FAILED, K.PRODUCER), policy=CASCADE, category="precondition")
    assert becomes(decide(view, NOW)) == [S.CANCELED]


def test_a_failure_is_met_when_its_time_has_come_not_before() -> None:
    view = waiting(on(S.FAILED), policy=CASCADE, not_before=NOW + HOUR)
    assert decide(view, NOW) == [LookAgain(NOW + HOUR)]


@pytest.mark.parametrize("policy", [Policy(), CASCADE])
@pytest.mark.parametrize("status", sorted(INSTANCE_TERMINAL))
def test_who_waits_is_canceled_when_its_resource_has_ended(
    policy: Policy, status: InstanceStatus
) -> None:
    decisions = decide(waiting(on(None), on(status, K.RESOURCE, "@R_1"), policy=policy), NOW)
    become = decisions[0]
    assert isinstance(become, Become)
    assert (become.status, become.error_id, become.cause) == (
        S.CANCELED,
        ErrorId.RESOURCE_FAILED,
        "@R_1",
    )
    assert events(decisions) == [Event.FAIL]


@pytest.mark.parametrize("status", sorted(INSTANCE_TERMINAL))
def test_who_runs_is_canceled_when_its_resource_has_ended(status: InstanceStatus) -> None:
    decisions = decide(running(on(status, K.RESOURCE)), NOW)
    assert decisions[0] == EndAttempt(status=A.CANCELED)
    assert becomes(decisions) == [S.CANCELED]
    assert events(decisions) == [Event.FAIL]


def test_a_verdict_counts_even_when_the_resource_has_gone() -> None:
    view = running(on(S.FINISHED, K.RESOURCE), head=ended(A.FINISHED))
    assert becomes(decide(view, NOW)) == [S.FINISHED]


# -- data nodes -----------------------------------------------------------------------------


def test_a_data_node_is_there_when_its_producers_and_preconditions_are_done() -> None:
    done = [on(S.FINISHED, K.PRODUCER), on(S.FINISHED, K.PRECONDITION)]
    finished = [Become(status=S.FINISHED), Notify(Event.SUCCESS)]
    assert decide(waiting(*done, category="datanode", worker_group=None), NOW) == finished
    view = waiting(*done, on(S.RUNNING, K.PRODUCER), category="datanode", worker_group=None)
    assert decide(view, NOW) == []


# -- attempts -------------------------------------------------------------------------------


def test_a_ready_attempt_is_announced_and_a_delayed_one_when_its_time_has_come() -> None:
    head = attempt(ready_at=NOW + MINUTE)
    view = running(head=head, status=S.WAITING_FOR_RUNNER)
    assert decide(view, NOW) == [LookAgain(NOW + MINUTE)]
    assert decide(view, NOW + MINUTE) == [Announce()]


def test_success_finishes() -> None:
    view = running(head=ended(A.FINISHED))
    assert decide(view, NOW) == [Become(status=S.FINISHED), Notify(Event.SUCCESS)]


def test_a_canceled_attempt_cancels_without_alarm() -> None:
    view = running(head=ended(A.CANCELED, error_message="by hand"))
    assert decide(view, NOW) == [Become(status=S.CANCELED, error_message="by hand")]


def test_a_failed_attempt_is_followed_by_another_after_the_delay() -> None:
    policy = Policy(maximum_retries=1, retry_delay=7 * MINUTE)
    view = running(head=ended(A.FAILED, ErrorId.COMMAND_FAILED), policy=policy)
    assert decide(view, NOW) == [
        StartAttempt(number=2, ready_at=NOW + 7 * MINUTE, charged=True),
        Become(status=S.WAITING_FOR_RUNNER),
        LookAgain(NOW + 7 * MINUTE),
    ]


@pytest.mark.parametrize("status", [A.FAILED, A.TIMEDOUT])
def test_the_last_failure_is_the_end_with_its_reason(status: AttemptStatus) -> None:
    """An attempt of an older store may be TIMEDOUT, which is only for resources now."""
    head = ended(status, ErrorId.COMMAND_FAILED, number=2)
    view = running(head=head, attempt_count=2, failures=1, policy=Policy(maximum_retries=1))
    become = Become(status=S.FAILED, error_id=ErrorId.COMMAND_FAILED, error_message="it broke")
    assert decide(view, NOW) == [become, Notify(Event.FAIL)]


def test_without_retries_the_first_failure_is_the_end() -> None:
    view = running(head=ended(A.FAILED, "X"), policy=Policy(maximum_retries=0))
    assert becomes(decide(view, NOW)) == [S.FAILED]


@pytest.mark.parametrize("error_id", [ErrorId.INVALID_FIELD, ErrorId.UNSUPPORTED_TYPE])
def test_what_would_fail_again_is_not_tried_again(error_id: str) -> None:
    assert becomes(decide(running(head=ended(A.FAILED, error_id)), NOW)) == [S.FAILED]


def test_an_interruption_costs_nothing_and_waits_for_nothing() -> None:
    view = running(
        head=ended(A.FAILED, ErrorId.INTERRUPTED, number=100),
        attempt_count=100,
        policy=Policy(maximum_retries=0),
    )
    assert decide(view, NOW)[0] == StartAttempt(number=101, ready_at=NOW, charged=False)


@pytest.mark.parametrize("error_id", [ErrorId.STALLED, ErrorId.LEASE_LOST])
def test_a_lost_runner_costs_nothing_until_it_happens_too_often(error_id: str) -> None:
    head = ended(A.FAILED, error_id, number=100)  # interruptions make no difference
    once = running(head=head, attempt_count=100, policy=Policy(maximum_retries=1))
    for stalls in range(MOST_STALLS):
        again = StartAttempt(number=101, ready_at=NOW, charged=False)
        assert decide(replace(once, stalls=stalls), NOW)[0] == again
    often = replace(once, stalls=MOST_STALLS)
    charged = StartAttempt(number=101, ready_at=NOW + 10 * MINUTE, charged=True)
    assert decide(often, NOW)[0] == charged
    failed = replace(often, instance=replace(often.instance, failures=1))
    (become, notify) = decide(failed, NOW)
    assert become == Become(status=S.FAILED, error_id=error_id, error_message="it broke")
    assert notify == Notify(Event.FAIL)


def test_without_its_attempts_row_an_active_instance_begins_afresh() -> None:
    view = replace(running(), head=None)
    assert decide(view, NOW) == [StartAttempt(number=2, ready_at=NOW)]


# -- leases and timeouts --------------------------------------------------------------------


def test_a_hand_out_that_is_not_acknowledged_goes_back_into_the_queue() -> None:
    head = attempt(queue=Queue.OUT, task_id="t", report_by=NOW + 2 * MINUTE)
    view = running(head=head, status=S.WAITING_FOR_RUNNER)
    assert decide(view, NOW) == [LookAgain(NOW + 2 * MINUTE)]
    late = NOW + 2 * MINUTE
    assert decide(view, late) == [Requeue(late), Announce()]


def test_a_silent_runner_loses_its_attempt_which_is_repeated_at_once() -> None:
    view = running()
    assert decide(view, NOW) == [LookAgain(NOW + 5 * MINUTE)]
    late = NOW + 5 * MINUTE
    end, again, become, look = decide(view, late)
    assert isinstance(end, EndAttempt)
    assert (end.status, end.error_id) == (A.FAILED, ErrorId.STALLED)
    assert again == StartAttempt(number=2, ready_at=late, charged=False)
    assert (become, look) == (Become(status=S.WAITING_FOR_RUNNER), LookAgain(late))


def test_the_message_of_a_stalled_attempt_names_the_host_and_the_lease() -> None:
    head = replace(running().head or attempt(), hostname="worker-7")
    (end, *_) = decide(running(head=head), NOW + HOUR)
    assert isinstance(end, EndAttempt)
    assert "worker-7" in (end.error_message or "")
    assert "300 s" in (end.error_message or "")


def timed(seconds: float, **changes: Any) -> View:
    head = replace(running().head or attempt(), timeout_s=seconds, report_by=NOW + 90 * MINUTE)
    return running(head=replace(head, **changes))


def test_an_attempt_that_takes_too_long_is_ended_and_charged() -> None:
    assert decide(timed(3600), NOW) == [LookAgain(NOW + HOUR)]
    end, again, *_ = decide(timed(3600), NOW + HOUR)
    assert isinstance(end, EndAttempt)
    assert (end.status, end.error_id) == (A.FAILED, ErrorId.TIMEOUT)
    assert again == StartAttempt(number=2, ready_at=NOW + HOUR + 10 * MINUTE, charged=True)


def test_attempt_timeout_counts_from_the_acknowledgement() -> None:
    view = timed(60, started_at=None, status=A.WAITING_FOR_RUNNER)
    assert decide(view, NOW + HOUR) == [LookAgain(NOW + 90 * MINUTE)]


def test_the_time_limit_is_told_rather_than_the_silence_when_both_have_passed() -> None:
    (end, *_) = decide(timed(60, report_by=NOW + MINUTE), NOW + HOUR)
    assert isinstance(end, EndAttempt)
    assert end.error_id == ErrorId.TIMEOUT


# -- preconditions --------------------------------------------------------------------------


def check(policy: Policy | None = None, *, head: AttemptRow | None = None, **changes: Any) -> View:
    view = running(policy=policy, category="precondition", node_id="@N_1", head=head, **changes)
    return replace(view, node=S.WAITING_ON_DEPENDENCIES)


def test_a_precondition_that_does_not_hold_is_looked_at_again_after_a_while() -> None:
    head = attempt(status=A.RUNNING, queue=Queue.FALSE, task_id="t", started_at=NOW)
    policy = Policy(recheck_delay=3 * MINUTE)
    again = NOW + 3 * MINUTE
    assert decide(check(policy, head=head), NOW) == [
        Requeue(again),
        Become(status=S.WAITING_FOR_RUNNER),
        LookAgain(again),
    ]


def test_the_wait_between_two_looks_is_no_time_of_the_attempt() -> None:
    head = attempt(queue=Queue.OUT, task_id="t", started_at=NOW, timeout_s=300)
    again = NOW + 10 * MINUTE
    view = check(head=replace(head, report_by=again + 2 * MINUTE), status=S.WAITING_FOR_RUNNER)
    assert decide(view, again) == [LookAgain(again + 2 * MINUTE)]
    late = again + 2 * MINUTE  # it was never acknowledged
    assert decide(view, late) == [Requeue(late), Announce()]


def test_an_answer_without_acknowledgement_is_an_answer() -> None:
    head = attempt(queue=Queue.FALSE, task_id="t")
    view = check(head=head, status=S.WAITING_FOR_RUNNER)
    assert decide(view, NOW) == [
        Requeue(NOW + MINUTE),
        Announce(),
        LookAgain(NOW + MINUTE),
    ]


@pytest.mark.parametrize("queue", [Queue.READY, Queue.OUT, Queue.FALSE])
def test_precondition_timeout_fails_it_whatever_it_does_just_then(queue: Queue) -> None:
    policy = Policy(precondition_timeout=HOUR)
    waits = A.WAITING_FOR_RUNNER if queue is Queue.READY else A.RUNNING
    head = attempt(status=waits, queue=queue, started_at=NOW, report_by=NOW + 90 * MINUTE)
    view = check(policy, head=head)
    assert NOW + HOUR in moments(decide(view, NOW + HOUR - MINUTE))
    end, become, notify = decide(view, NOW + HOUR)
    assert isinstance(end, EndAttempt)
    assert isinstance(become, Become)
    assert (end.status, become.status) == (A.FAILED, S.FAILED)
    assert end.error_id == become.error_id == ErrorId.PRECONDITION_TIMEOUT
    assert notify == Notify(Event.FAIL)


@pytest.mark.parametrize("said", [None, "s3://b/k is not there"])
def test_precondition_timeout_says_what_was_looked_at_and_what_was_seen(said: str | None) -> None:
    head = attempt(queue=Queue.FALSE, started_at=NOW, error_message=said)
    view = check(Policy(precondition_timeout=HOUR), head=head)
    (end, *_) = decide(view, NOW + HOUR)
    assert isinstance(end, EndAttempt)
    row = view.instance
    sentence = f"{row.type} '{row.component_id}' did not hold within preconditionTimeout (3600 s)"
    assert end.error_message == sentence + (f"; at the last look: {said}" if said else "")


def test_precondition_timeout_counts_from_the_first_look_not_from_the_wait_before_it() -> None:
    policy = Policy(precondition_timeout=HOUR)
    begun = NOW + 5 * HOUR  # it had to wait for what it looks at
    head = attempt(created_at=begun, ready_at=begun)
    view = check(policy, head=head, status=S.WAITING_FOR_RUNNER, actual_start=None)
    assert decide(view, begun) == [LookAgain(begun + HOUR), Announce()]


def test_only_preconditions_know_precondition_timeout() -> None:
    assert becomes(decide(running(policy=Policy(precondition_timeout=MINUTE)), NOW + MINUTE)) == []


@pytest.mark.parametrize("status", sorted(INSTANCE_TERMINAL))
def test_a_precondition_ends_with_what_it_is_for(status: InstanceStatus) -> None:
    decisions = decide(replace(check(), node=status), NOW)
    assert [type(d) for d in decisions] == [EndAttempt, Become]
    assert becomes(decisions) == [S.CANCELED]
    unbegun = replace(waiting(category="precondition", node_id="@N_1"), node=status)
    assert becomes(decide(unbegun, NOW)) == [S.CANCELED]


# -- lateness -------------------------------------------------------------------------------

LATE = Policy(late_after=HOUR)


def test_who_is_late_says_so_once() -> None:
    assert LookAgain(NOW + HOUR) in decide(running(policy=LATE), NOW)
    assert events(decide(running(policy=LATE), NOW)) == []
    assert events(decide(running(policy=LATE), NOW + HOUR)) == [Event.LATE]
    assert events(decide(running(policy=LATE, late_fired=True), NOW + HOUR)) == []


@pytest.mark.parametrize("category", ["activity", "datanode", "precondition"])
def test_who_still_waits_can_be_late_as_well(category: str) -> None:
    view = waiting(on(S.RUNNING), policy=LATE, category=category)
    assert decide(view, NOW + HOUR) == [Notify(Event.LATE)]


def test_lateness_counts_from_when_it_could_have_begun() -> None:
    view = waiting(on(None), policy=LATE, not_before=NOW + HOUR)
    assert LookAgain(NOW + 2 * HOUR) in decide(view, NOW)
    backfilled = waiting(
        on(None), policy=LATE, not_before=NOW - timedelta(days=900), created_at=NOW
    )
    assert decide(backfilled, NOW) == [LookAgain(NOW + HOUR)]


# -- resources ------------------------------------------------------------------------------


def test_a_resource_is_launched_when_somebody_is_ready_to_run_on_it() -> None:
    asleep, ready = S.WAITING_ON_DEPENDENCIES, S.WAITING_FOR_RUNNER
    assert decide(resource(asleep, asleep), NOW) == []
    assert becomes(decide(resource(asleep, asleep, ready), NOW)) == [S.CREATING]


def test_a_resource_that_nobody_needs_any_more_is_never_launched() -> None:
    assert becomes(decide(resource(S.WAITING_ON_DEPENDENCIES, S.FAILED), NOW)) == [S.FINISHED]
    assert becomes(decide(resource(S.WAITING_ON_DEPENDENCIES), NOW)) == [S.FINISHED]


@pytest.mark.parametrize("status", [S.CREATING, S.RUNNING])
def test_a_resource_is_ended_with_the_last_of_its_users(status: InstanceStatus) -> None:
    assert decide(resource(status, S.FINISHED, S.WAITING_ON_DEPENDENCIES), NOW) == []
    assert becomes(decide(resource(status, S.FINISHED, S.FAILED), NOW)) == [S.SHUTTING_DOWN]


def test_a_resource_is_over_when_nothing_is_left_of_it() -> None:
    assert decide(resource(S.SHUTTING_DOWN, resource_handle="i-1"), NOW) == []
    assert becomes(decide(resource(S.SHUTTING_DOWN), NOW)) == [S.FINISHED]


def test_a_resource_is_kept_until_terminate_after() -> None:
    policy = Policy(terminate_after=HOUR)
    view = resource(S.RUNNING, S.RUNNING, policy=policy, actual_start=NOW)
    assert decide(view, NOW) == [LookAgain(NOW + HOUR)]
    assert becomes(decide(view, NOW + HOUR)) == [S.SHUTTING_DOWN]
    unlaunched = resource(S.CREATING, S.WAITING_FOR_RUNNER, policy=policy)
    assert decide(unlaunched, NOW + HOUR) == []


@pytest.mark.parametrize("status", [S.WAITING_ON_DEPENDENCIES, S.RUNNING])
def test_a_resource_with_a_schedule_of_its_own_waits_for_the_users_to_come(
    status: InstanceStatus,
) -> None:
    view = resource(status, S.FINISHED, more_users_until=NOW + HOUR, actual_start=NOW)
    assert decide(view, NOW) == [LookAgain(NOW + HOUR)]
    over = S.FINISHED if status is S.WAITING_ON_DEPENDENCIES else S.SHUTTING_DOWN
    assert becomes(decide(view, NOW + HOUR)) == [over]


def test_a_resource_that_is_wanted_again_on_its_way_out_begins_again() -> None:
    view = resource(S.SHUTTING_DOWN, actual_start=NOW, not_before=NOW + MINUTE)
    assert becomes(decide(view, NOW + HOUR)) == [S.WAITING_ON_DEPENDENCIES]


def test_a_paused_resource_stays_while_anybody_waits_for_it() -> None:
    assert decide(replace(resource(S.PAUSED, S.PAUSED), paused=True), NOW) == []
    assert becomes(decide(resource(S.PAUSED, S.PAUSED), NOW)) == [S.WAITING_ON_DEPENDENCIES]
    over = replace(resource(S.PAUSED, S.FINISHED), paused=True)
    assert decide(over, NOW) == [Become(status=S.FINISHED)]


@pytest.mark.parametrize("status", [S.CREATING, S.RUNNING])
def test_a_resource_that_is_up_stays_up_while_it_is_paused(status: InstanceStatus) -> None:
    assert decide(replace(resource(status, S.RUNNING), paused=True), NOW) == []


# -- cancel ---------------------------------------------------------------------------------


def test_cancel_takes_the_attempt_away_and_ends_the_instance() -> None:
    assert cancel(running(), "by hand") == [
        EndAttempt(status=A.CANCELED, error_message="by hand"),
        Become(status=S.CANCELED, error_message="by hand"),
    ]


def test_cancel_of_one_that_waits_needs_no_attempt() -> None:
    assert cancel(waiting(), "by hand", error_id="X") == [
        Become(status=S.CANCELED, error_id="X", error_message="by hand")
    ]
    again = replace(waiting(attempt_count=1), head=ended(A.FAILED))
    assert [type(d) for d in cancel(again, "by hand")] == [Become]


def test_cancel_of_a_launched_resource_ends_it_in_order() -> None:
    for status in (S.CREATING, S.RUNNING):
        assert becomes(cancel(resource(status), "by hand")) == [S.SHUTTING_DOWN]
    assert becomes(cancel(resource(S.WAITING_ON_DEPENDENCIES), "by hand")) == [S.CANCELED]
    assert cancel(resource(S.SHUTTING_DOWN), "by hand") == []


# -- whatever interrupts it -----------------------------------------------------------------

FALSE = attempt(status=A.RUNNING, queue=Queue.FALSE, task_id="t", started_at=NOW)
UNHEARD = attempt(queue=Queue.OUT, task_id="t", report_by=NOW)
SILENT = replace(running().head or attempt(), report_by=NOW)
SLOW = replace(SILENT, timeout_s=0.0)
SITUATIONS: dict[str, View] = {
    "begins": waiting(),
    "waits": waiting(on(S.RUNNING), policy=LATE),
    "cascades": waiting(on(S.FAILED), policy=CASCADE),
    "loses its resource": running(on(S.FAILED, K.RESOURCE)),
    "waits without its resource": waiting(on(S.FINISHED, K.RESOURCE)),
    "data is there": waiting(on(S.FINISHED, K.PRODUCER), category="datanode"),
    "succeeded": running(head=ended(A.FINISHED)),
    "failed": running(head=ended(A.FAILED, "X")),
    "failed for good": running(head=ended(A.FAILED, "X"), policy=Policy(maximum_retries=0)),
    "failed at the end": running(head=ended(A.TIMEDOUT, "X"), failures=2, attempt_count=3),
    "permanent": running(head=ended(A.FAILED, ErrorId.INVALID_FIELD)),
    "interrupted": running(head=ended(A.FAILED, ErrorId.INTERRUPTED)),
    "canceled": running(head=ended(A.CANCELED)),
    "unheard": running(head=UNHEARD, status=S.WAITING_FOR_RUNNER),
    "silent": running(head=SILENT),
    "slow": running(head=SLOW),
    "slow at the end": running(head=SLOW, policy=Policy(maximum_retries=0)),
    "false": check(head=FALSE),
    "false for too long": check(Policy(precondition_timeout=timedelta(0)), head=FALSE),
    "its node is gone": replace(check(), node=S.FAILED),
    "late": running(policy=Policy(late_after=timedelta(0))),
    "resource wanted": resource(S.WAITING_ON_DEPENDENCIES, S.WAITING_FOR_RUNNER),
    "resource unwanted": resource(S.RUNNING, S.FINISHED),
    "resource gone": resource(S.SHUTTING_DOWN),
    "resource wanted again": resource(S.SHUTTING_DOWN, S.FAILED, actual_start=NOW - HOUR),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_asked_again_it_has_nothing_new_to_say(name: str) -> None:
    life = Life(SITUATIONS[name])
    life.settle()
    before = life.outcome(), life.attempts, list(life.events)
    for _ in range(3):
        for decision in life.decide():
            life.step(decision)
    assert (life.outcome(), life.attempts, list(life.events)) == before


@pytest.mark.parametrize("name", SITUATIONS)
def test_interrupted_after_any_decision_it_comes_to_the_same_end(name: str) -> None:
    undisturbed = Life(SITUATIONS[name])
    undisturbed.settle()
    for stop in range(len(decide(SITUATIONS[name], NOW))):
        life = Life(SITUATIONS[name])
        for decision in life.decide()[:stop]:
            life.step(decision)
        life.wake()
        life.settle()
        assert life.outcome() == undisturbed.outcome(), f"interrupted after {stop}"
        assert life.attempts == undisturbed.attempts, f"interrupted after {stop}"


@pytest.mark.parametrize(
    ("retries", "charged", "free"), list(product(range(4), range(4), range(3)))
)
def test_an_instance_has_as_many_tries_as_it_is_allowed(
    retries: int, charged: int, free: int
) -> None:
    """The whole life of an activity: some failures, some interruptions, then success."""
    policy = Policy(maximum_retries=retries, retry_delay=MINUTE)
    life = Life(waiting(policy=policy))
    life.settle()
    for error_id in [ErrorId.INTERRUPTED] * free + [ErrorId.COMMAND_FAILED] * charged:
        if life.status in INSTANCE_TERMINAL:
            break
        life.now += MINUTE
        life.update_head(status=A.FAILED, queue=Queue.DONE, error_id=error_id)
        life.wake()
        life.settle()
    if life.status not in INSTANCE_TERMINAL:
        life.update_head(status=A.FINISHED, queue=Queue.DONE)
        life.wake()
        life.settle()
    succeeds = charged <= retries
    assert life.status is (S.FINISHED if succeeds else S.FAILED)
    assert life.attempts == free + min(charged, retries) + 1
    assert life.events == [Event.SUCCESS if succeeds else Event.FAIL]

from __future__ import annotations

from datetime import timedelta

import pytest

from taskrunner.errors import ErrorId, InvalidRequest, TaskNotFound
from taskrunner.model.masks import MASK
from taskrunner.model.planner import MOST_STALLS
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.settings import ServiceSettings
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, T, schedule, scheduled, shell

MINUTE = timedelta(minutes=1)
A = f"@A_{T}"


def one(world: ServiceInProcess, **fields: object) -> str:
    return world.run([ON_DEMAND, shell("A", **fields)])


# -- claim ----------------------------------------------------------------------------------


def test_there_is_nothing_to_claim_where_nothing_is_ready(world: ServiceInProcess) -> None:
    assert world.claim() is None
    one(world)
    assert world.claim("another group") is None
    assert world.claim("WG") is None


def test_a_task_is_handed_out_once(world: ServiceInProcess) -> None:
    one(world)
    task = world.take(acknowledge=False)
    assert (task.attempt_id, task.instance_id) == (f"{A}_Attempt=1", A)
    assert world.claim() is None


def test_task_ids_are_random_and_long(world: ServiceInProcess) -> None:
    world.run([ON_DEMAND, *(shell(f"A{n}") for n in range(20))])
    ids = {world.take().task_id for _ in range(20)}
    assert len(ids) == 20
    assert min(len(task_id) for task_id in ids) >= 22  # 128 bits in base64


def test_who_has_waited_longest_is_first(world: ServiceInProcess) -> None:
    first = one(world)
    world.clock.advance(1)
    second = one(world)
    assert [world.take().pipeline_id for _ in range(2)] == [first, second]


def test_an_empty_claim_writes_nothing(world: ServiceInProcess) -> None:
    one(world)
    with world.service.store.write():  # a writer in the way does not hold up an empty poll
        assert world.service.claim("another group") is None


def test_a_field_that_cannot_be_evaluated_fails_the_task_and_hands_out_the_next(
    world: ServiceInProcess,
) -> None:
    broken = one(world, command="#{nothing.here}")
    world.clock.advance(1)
    sound = one(world)
    assert world.take().pipeline_id == sound
    world.settle()
    row = world.instances(broken)[A]
    assert (row.status, row.error_id) == ("FAILED", ErrorId.INVALID_FIELD)
    assert "nothing" in (row.error_message or "")


# -- acknowledgement and progress -----------------------------------------------------------


def test_the_first_report_acknowledges(world: ServiceInProcess) -> None:
    pipeline = one(world)
    task = world.take(acknowledge=False)
    assert world.statuses(pipeline)[A] == "WAITING_FOR_RUNNER"
    world.clock.advance(60)
    assert world.service.report_progress(task.task_id, {}) is False
    (attempt,) = world.attempts(pipeline)
    row = world.instances(pipeline)[A]
    assert (row.status, attempt.status) == ("RUNNING", "RUNNING")
    assert row.actual_start == attempt.started_at == world.now
    assert attempt.hostname == "runner.example"


def test_an_acknowledgement_leaves_nothing_to_be_decided(world: ServiceInProcess) -> None:
    """A pass of the scheduler for each would cost more than the acknowledgement."""
    pipeline = one(world)
    task = world.take(acknowledge=False)
    world.service.report_progress(task.task_id, {})
    assert not world.service.scheduler.tick(world.now)
    (row,) = world.instances(pipeline).values()
    assert row.due_at is not None
    assert row.due_at <= world.now + timedelta(seconds=world.service.settings.ack_timeout_s)


@pytest.mark.parametrize(
    "field", [{"reportProgressTimeout": "1 minute"}, {"attemptTimeout": "1 minute"}]
)
def test_what_ends_before_the_window_of_the_acknowledgement_ends_in_time(
    world: ServiceInProcess, field: dict[str, str]
) -> None:
    pipeline = one(world, **field, maximumRetries="0")
    task = world.take(acknowledge=False)
    world.service.report_progress(task.task_id, {})
    world.advance(MINUTE)
    assert world.attempts(pipeline)[0].status == "FAILED"


def test_progress_is_kept_until_there_is_newer(world: ServiceInProcess) -> None:
    pipeline = one(world)
    task = world.take()
    world.service.report_progress(task.task_id, {"rows": "12"})
    world.service.report_progress(task.task_id, {})
    (attempt,) = world.attempts(pipeline)
    assert attempt.progress == {"rows": "12"}


def test_reports_keep_the_lease(world: ServiceInProcess) -> None:
    pipeline = one(world)
    task = world.take()
    for _ in range(10):
        world.advance(4 * MINUTE)
        assert world.service.report_progress(task.task_id, {}) is False
    world.conclude(task)
    assert world.statuses(pipeline) == {A: "FINISHED"}
    assert len(world.attempts(pipeline)) == 1


def test_an_unknown_task_is_not_found(world: ServiceInProcess) -> None:
    with pytest.raises(TaskNotFound):
        world.service.report_progress("made-up", {})
    with pytest.raises(TaskNotFound):
        world.service.set_task_status("made-up", "FINISHED")


# -- verdicts -------------------------------------------------------------------------------


def test_a_finished_task_finishes_instance_and_pipeline(world: ServiceInProcess) -> None:
    pipeline = one(world)
    task = world.take()
    world.clock.advance(30)
    world.conclude(task)
    (attempt,) = world.attempts(pipeline)
    row = world.instances(pipeline)[A]
    assert (row.status, attempt.status) == ("FINISHED", "FINISHED")
    assert row.actual_end == attempt.ended_at == world.now
    assert world.state(pipeline) == "FINISHED"


def test_the_same_verdict_again_is_accepted_again_and_changes_nothing(
    world: ServiceInProcess,
) -> None:
    pipeline = one(world, maximumRetries="1", retryDelay="1 minute")
    task = world.take()
    world.conclude(task, "FAILED", "X", "broken")
    before = world.instances(pipeline), world.attempts(pipeline)
    for _ in range(3):
        world.conclude(task, "FAILED", "X", "broken")
    assert (world.instances(pipeline), world.attempts(pipeline)) == before


@pytest.mark.parametrize(
    ("status", "error_id", "message"),
    [("FINISHED", None, None), ("FAILED", "Y", "broken"), ("FAILED", "X", "else")],
)
def test_another_verdict_is_refused(
    world: ServiceInProcess, status: str, error_id: str | None, message: str | None
) -> None:
    pipeline = one(world, maximumRetries="0")
    task = world.take()
    world.conclude(task, "FAILED", "X", "broken")
    with pytest.raises(InvalidRequest, match="another status already"):
        world.conclude(task, status, error_id, message)
    assert world.statuses(pipeline) == {A: "FAILED"}


@pytest.mark.parametrize("status", ["RUNNING", "finished", ""])
def test_a_verdict_that_there_is_not_is_refused(world: ServiceInProcess, status: str) -> None:
    one(world)
    task = world.take()
    with pytest.raises(InvalidRequest, match="wanted FINISHED, FAILED or FALSE"):
        world.conclude(task, status)
    world.conclude(task)


def test_a_verdict_without_acknowledgement_counts(world: ServiceInProcess) -> None:
    pipeline = one(world)
    task = world.take(acknowledge=False)
    world.conclude(task)
    row = world.instances(pipeline)[A]
    assert (row.status, row.actual_start) == ("FINISHED", world.now)


def test_after_the_end_progress_says_stop(world: ServiceInProcess) -> None:
    one(world)
    task = world.take()
    world.conclude(task)
    assert world.service.report_progress(task.task_id, {}) is True


def test_the_whole_verdict_is_kept(world: ServiceInProcess) -> None:
    pipeline = one(world, maximumRetries="0")
    task = world.take()
    world.service.set_task_status(task.task_id, "FAILED", "X", "broken", "line 1\nline 2")
    world.settle()
    (attempt,) = world.attempts(pipeline)
    assert (attempt.error_id, attempt.error_message, attempt.error_stack_trace) == (
        "X",
        "broken",
        "line 1\nline 2",
    )
    row = world.instances(pipeline)[A]
    assert (row.error_id, row.error_message) == ("X", "broken")


def test_only_a_precondition_can_be_false(world: ServiceInProcess) -> None:
    one(world)
    with pytest.raises(InvalidRequest, match="only a precondition"):
        world.conclude(world.take(), "FALSE")


# -- retries --------------------------------------------------------------------------------


def test_a_failed_task_comes_back_after_the_delay_and_gives_up_in_the_end(
    world: ServiceInProcess,
) -> None:
    pipeline = one(world, maximumRetries="2", retryDelay="5 minutes")
    for number in (1, 2, 3):
        task = world.take()
        assert task.attempt_id == f"{A}_Attempt={number}"
        world.conclude(task, "FAILED", "X", f"try {number}")
        assert world.claim() is None
        world.advance(5 * MINUTE - timedelta(seconds=1))
        assert world.claim() is None
        world.advance(1)
    assert world.claim() is None
    assert world.statuses(pipeline) == {A: "FAILED"}
    assert world.instances(pipeline)[A].error_message == "try 3"
    assert [a.status for a in world.attempts(pipeline)] == ["FAILED"] * 3


def test_an_interrupted_task_is_handed_out_again_at_once_free_of_charge(
    world: ServiceInProcess,
) -> None:
    pipeline = one(world, maximumRetries="0")
    for _ in range(5):
        world.conclude(world.take(), "FAILED", ErrorId.INTERRUPTED, "the host goes away")
    world.conclude(world.take())
    assert world.statuses(pipeline) == {A: "FINISHED"}
    assert len(world.attempts(pipeline)) == 6


def test_a_permanent_error_is_not_tried_again(world: ServiceInProcess) -> None:
    pipeline = one(world)
    world.conclude(world.take(), "FAILED", ErrorId.UNSUPPORTED_TYPE, "no plugin")
    assert world.statuses(pipeline) == {A: "FAILED"}


def test_waits_are_cut_where_somebody_watches() -> None:
    settings = ServiceSettings(database_url="", retry_delay_cap=timedelta(seconds=2))
    with ServiceInProcess(settings=settings) as world:
        one(world)
        world.conclude(world.take(), "FAILED")
        world.advance(2)
        assert world.claim() is not None


# -- expiry ---------------------------------------------------------------------------------


def test_a_hand_out_that_nobody_acknowledges_is_given_to_another_with_a_new_id(
    world: ServiceInProcess,
) -> None:
    pipeline = one(world, maximumRetries="0")
    lost = world.take(acknowledge=False)
    world.advance(2 * MINUTE - timedelta(seconds=1))
    assert world.claim() is None
    world.advance(1)
    again = world.take(acknowledge=False)
    assert again.attempt_id == lost.attempt_id
    assert again.task_id != lost.task_id
    assert world.service.report_progress(lost.task_id, {}) is True
    with pytest.raises(TaskNotFound, match="given to another runner"):
        world.service.set_task_status(lost.task_id, "FINISHED")
    assert world.service.report_progress(again.task_id, {}) is False
    world.conclude(again)
    assert len(world.attempts(pipeline)) == 1


def test_a_hand_out_that_did_not_arrive_is_handed_out_again_at_once(
    world: ServiceInProcess,
) -> None:
    pipeline = one(world)
    first = world.take(acknowledge=False)
    world.service.give_back(first, ANONYMOUS)
    world.settle()
    second = world.take()
    assert second.attempt_id == first.attempt_id
    assert second.task_id != first.task_id
    assert world.service.report_progress(first.task_id, {}) is True
    # What is acknowledged has arrived.
    world.service.give_back(second, ANONYMOUS)
    world.settle()
    assert world.claim() is None
    world.conclude(second)
    assert world.statuses(pipeline) == {A: "FINISHED"}
    assert len(world.attempts(pipeline)) == 1


def test_a_late_acknowledgement_before_anybody_else_comes_is_too_late(
    world: ServiceInProcess,
) -> None:
    one(world)
    lost = world.take(acknowledge=False)
    world.advance(2 * MINUTE)
    assert world.service.report_progress(lost.task_id, {}) is True
    assert world.take().task_id != lost.task_id


def test_a_silent_runner_loses_its_task_to_a_new_attempt_free_of_charge(
    world: ServiceInProcess,
) -> None:
    pipeline = one(world, maximumRetries="0")
    silent = world.take()
    world.advance(5 * MINUTE)
    heir = world.take()
    assert heir.attempt_id == f"{A}_Attempt=2"
    assert world.service.report_progress(silent.task_id, {}) is True
    for status in ("FINISHED", "FAILED"):
        with pytest.raises(TaskNotFound):
            world.service.set_task_status(silent.task_id, status)
    world.conclude(heir)
    first, second = world.attempts(pipeline)
    assert (first.status, first.error_id) == ("FAILED", ErrorId.STALLED)
    assert second.status == "FINISHED"
    assert world.statuses(pipeline) == {A: "FINISHED"}


def test_a_task_that_loses_every_runner_comes_to_an_end_and_a_rerun_begins_afresh(
    world: ServiceInProcess,
) -> None:
    pipeline = world.run([scheduled(maximumRetries="1"), schedule(period="1 year"), shell("A")])
    world.conclude(world.take(), "FAILED", ErrorId.INTERRUPTED)  # no stall, and no charge
    for run in (1, 2):
        stalls = 0
        while world.statuses(pipeline)[A] != "FAILED":
            if world.claim() is not None:
                stalls += 1
            world.advance(5 * MINUTE)
        row = world.instances(pipeline)[A]
        assert (run, stalls, row.failures) == (run, MOST_STALLS + 2, 1)
        assert row.error_id == ErrorId.STALLED
        assert "reported nothing for 300 s" in (row.error_message or "")
        world.advance(MINUTE)
        world.service.set_status(pipeline, [A], "RERUN")
        world.settle()


def test_the_lease_may_be_set_for_the_service_and_for_an_object() -> None:
    settings = ServiceSettings(database_url="", ack_timeout_s=10, lease_timeout_s=20)
    with ServiceInProcess(settings=settings) as world:
        pipeline = world.run(
            [ON_DEMAND, shell("A"), shell("B", reportProgressTimeout="1 hour", workerGroup="b")]
        )
        world.take()
        world.take("b")
        world.advance(20)
        running = [k for k, s in world.statuses(pipeline).items() if s == "RUNNING"]
        assert running == [f"@B_{T}"]
        world.advance(timedelta(hours=1))
        assert "RUNNING" not in world.statuses(pipeline).values()


def test_an_attempt_that_takes_too_long_is_taken_away_and_charged(
    world: ServiceInProcess,
) -> None:
    pipeline = one(world, attemptTimeout="10 minutes", maximumRetries="0")
    task = world.take()
    for _ in range(9):
        world.advance(MINUTE)
        assert world.service.report_progress(task.task_id, {}) is False
    world.advance(MINUTE)
    assert world.service.report_progress(task.task_id, {}) is True
    (attempt,) = world.attempts(pipeline)
    assert (attempt.status, attempt.error_id) == ("FAILED", ErrorId.TIMEOUT)
    assert world.statuses(pipeline) == {A: "FAILED"}


def test_the_service_remembers_hand_outs_over_a_restart(world: ServiceInProcess) -> None:
    pipeline = one(world)
    task = world.take()
    world.reopen()
    assert world.service.report_progress(task.task_id, {}) is False
    world.conclude(task)
    assert world.statuses(pipeline) == {A: "FINISHED"}


def test_what_a_runner_says_is_kept_without_the_secrets_of_its_task(
    world: ServiceInProcess,
) -> None:
    objects = {
        "objects": [ON_DEMAND, shell("A", command="login #{*myToken}", **{"*key": "s3cret-key"})],
        "parameters": [{"id": "*myToken", "type": "String"}],
        "values": {"*myToken": "tok-4711"},
    }
    pipeline = world.run(objects)
    task = world.take()
    said = "no tok-4711 for s3cret-key"
    for _ in range(2):  # the same verdict again is the same still
        world.service.set_task_status(task.task_id, "FAILED", "E", said, said)
    attempt = world.attempts(pipeline)[0]
    shown = f"no {MASK} for {MASK}"
    assert (attempt.error_message, attempt.error_stack_trace) == (shown, shown)

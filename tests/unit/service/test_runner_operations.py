from __future__ import annotations

from datetime import timedelta

from structlog.testing import capture_logs

from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.runner_operations import BusyQueues
from taskrunner.service.store import due as due_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.testing import ServiceInProcess
from tests.statements import asked, plans
from tests.unit.service.worlds import ON_DEMAND, T, check, ref, shell

A = f"@A_{T}"


# -- what follows from a verdict -------------------------------------------------------------------


def test_what_follows_from_a_verdict_is_decided_with_it(world: ServiceInProcess) -> None:
    """Without the scheduler's next round, and in the verdict's own transaction."""
    pipeline = world.run([ON_DEMAND, shell("A")])
    task = world.take()
    with asked(world.service.store) as found:
        world.service.set_task_status(task.task_id, "FINISHED")
    assert len(found.writes) == 1
    assert world.statuses(pipeline) == {A: "FINISHED"}
    assert world.state(pipeline) == "FINISHED"


def test_so_is_that_it_is_tried_again(world: ServiceInProcess) -> None:
    told: list[str] = []
    world.service.work_ready.subscribe("wg", lambda: told.append("wg"))
    retried = shell("A", maximumRetries="1", retryDelay="10 minutes")
    pipeline = world.run([ON_DEMAND, retried])
    task = world.take()
    told.clear()
    world.service.set_task_status(task.task_id, "FAILED", "E", "no")
    first, second = world.attempts(pipeline)
    assert (first.status, second.status) == ("FAILED", "WAITING_FOR_RUNNER")
    assert second.ready_at == world.now + timedelta(minutes=10)
    assert told == []  # not yet


def test_a_precondition_that_does_not_hold_is_asked_again_later(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A", precondition=ref("P")), check("P")])
    task = world.take()
    world.service.set_task_status(task.task_id, "FALSE", None, "not there")
    (attempt,) = world.attempts(pipeline)
    assert attempt.queue == "READY"
    assert attempt.ready_at > world.now


def test_who_waited_for_it_is_the_schedulers(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B", after="A")])
    scheduler, task = world.service.scheduler, world.take()
    with world.service.store.read() as conn:
        assert not scheduler.is_soon_due(conn, world.now)
    world.service.set_task_status(task.task_id, "FINISHED")
    assert world.components(pipeline) == {"A": ["FINISHED"], "B": ["WAITING_ON_DEPENDENCIES"]}
    with world.service.store.read() as conn:
        assert scheduler.is_soon_due(conn, world.now)
    assert scheduler.tick(world.now)
    assert world.components(pipeline) == {"A": ["FINISHED"], "B": ["WAITING_FOR_RUNNER"]}


def test_a_verdict_is_kept_where_what_follows_cannot_be_decided(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    task = world.take()
    # A bug, or a hand-made row: the definition does not know what the instance is of.
    with world.service.store.write() as conn:
        conn.exec_driver_sql("UPDATE instances SET component_id = 'Strange'")
    with capture_logs() as log:
        world.service.set_task_status(task.task_id, "FINISHED")
    assert [attempt.status for attempt in world.attempts(pipeline)] == ["FINISHED"]
    assert world.statuses(pipeline) == {A: "RUNNING"}
    assert [record["event"] for record in log] == ["pipeline could not be advanced"]


def test_the_same_verdict_again_decides_nothing(world: ServiceInProcess) -> None:
    world.run([ON_DEMAND, shell("A")])
    task = world.take()
    world.service.set_task_status(task.task_id, "FINISHED")
    with asked(world.service.store) as found:
        world.service.set_task_status(task.task_id, "FINISHED")
    assert not any(text.startswith(("UPDATE", "INSERT")) for text in found.samples)


def test_of_a_deleted_pipeline_nothing_is_decided(world: ServiceInProcess) -> None:
    pipeline = world.put([ON_DEMAND, shell("A")])
    store = world.service.store
    with store.write() as conn:
        assert due_store.claim_pipeline(conn, pipeline)
        pipeline_store.update_pipeline(conn, pipeline, deleted_at=world.now)
        assert not due_store.claim_pipeline(conn, pipeline)


def test_a_task_s_way_takes_few_statements(world: ServiceInProcess) -> None:
    """Each costs some 30 us, which every task of every pipeline pays."""
    world.run([ON_DEMAND, shell("A"), shell("B")])
    world.take()
    with asked(world.service.store) as found:
        task = world.service.claim("wg")
    assert task is not None
    assert found.writes == [4]
    with asked(world.service.store) as found:
        world.service.report_progress(task.task_id, {})
    assert found.writes == [4]
    with asked(world.service.store) as found:
        world.service.set_task_status(task.task_id, "FINISHED")
    assert found.writes == [11]


def test_no_statement_of_a_task_goes_through_all_pipelines(world: ServiceInProcess) -> None:
    """Nor is one compiled anew each time: a parameter is compared to what no partial index has."""
    world.run([ON_DEMAND, shell("A"), shell("B")])
    store = world.service.store
    with asked(store) as found:
        task = world.service.claim("wg")
        assert task is not None
        world.service.report_progress(task.task_id, {})
        world.service.set_task_status(task.task_id, "FINISHED")
    with store.read() as conn:
        told = plans(conn.engine, found)
    assert told
    assert [plan for plan in told.values() if "BLOOM" in plan or "SCAN pipelines" in plan] == []
    assert [
        text for text in told if "WHERE" in text and "queue = ?" in text.partition("WHERE")[2]
    ] == []


# -- polls -----------------------------------------------------------------------------------------


def test_a_queue_that_had_work_is_asked_for_more_at_once(world: ServiceInProcess) -> None:
    """The others only when a look has found some: most polls find none, and must not wait."""
    world.run([ON_DEMAND, shell("A"), shell("B"), shell("C", workerGroup="other")])

    def writes(group: str) -> tuple[bool, int]:
        with asked(world.service.store) as found:
            task = world.service.claim(group, "host", ANONYMOUS)
        reads = sum(text.startswith("SELECT attempts.attempt_id") for text in found.samples)
        return task is not None, reads

    assert [writes("wg") for _ in range(3)] == [(True, 1), (True, 0), (False, 0)]
    assert writes("wg") == (False, 1)
    assert writes("other") == (True, 1)


def test_of_many_queues_not_all_are_remembered() -> None:
    busy = BusyQueues(most=2)
    for group in "ab":
        busy.note(("1", group), had_work=True)
    assert ("1", "a") in busy
    busy.note(("1", "c"), had_work=True)
    assert [("1", group) in busy for group in "abc"] == [False, False, True]
    busy.note(("1", "c"), had_work=False)
    assert ("1", "c") not in busy

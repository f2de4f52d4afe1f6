"""What a round does alike for many: as one by one, by a number of statements that does not grow."""

from __future__ import annotations

import re

import pytest

from taskrunner.errors import ErrorId
from taskrunner.service.store import due as due_store
from taskrunner.service.store import instances
from taskrunner.testing import ServiceInProcess
from tests.statements import Asked, asked
from tests.unit.service.worlds import ON_DEMAND, T, data, ec2, ref, shell


def begun(activities: int) -> tuple[Asked, ServiceInProcess]:
    """An activation of so many activities, planned."""
    world = ServiceInProcess()
    pipeline = world.put([ON_DEMAND, *(shell(f"A{n}") for n in range(activities))])
    with asked(world.service.store) as found:
        world.service.activate(pipeline)
        world.settle()
    assert set(world.statuses(pipeline).values()) == {"WAITING_FOR_RUNNER"}
    return found, world


def test_all_that_begins_at_once_is_begun_by_the_same_statements() -> None:
    few, one = begun(2)
    many, other = begun(12)
    with one, other:
        # Rows are counted: one of instances and one of attempts for each, and nothing besides.
        assert many.total - few.total == 2 * 10
        tasks = [other.take() for _ in range(12)]
        assert len({task.attempt_id for task in tasks}) == 12


def updates(found: Asked) -> list[str]:
    """How instances were changed that are named."""
    return [text for text in found.samples if re.match("UPDATE instances .*instance_id IN", text)]


def test_what_all_begins_at_once_is_written_once() -> None:
    """That they are not due any more is said by the statement that begins them."""
    found, world = begun(3)
    with world, world.service.store.read() as conn:
        (update,) = updates(found)
        assert "due_at=" in update
        assert due_store.next_due(conn) is None


def test_what_waits_for_others_is_written_once_too() -> None:
    with ServiceInProcess() as world:
        pipeline = world.put([ON_DEMAND, shell("A"), shell("B", after="A"), shell("C", after="B")])
        with asked(world.service.store) as found:
            world.service.activate(pipeline)
            world.settle()
        assert {row.status for row in world.instances(pipeline).values()} == {
            "WAITING_FOR_RUNNER",
            "WAITING_ON_DEPENDENCIES",
        }
        assert sum("due_at=" in text for text in updates(found)) == 2
        assert sum("attempt_count=" in text for text in updates(found)) == 1
        assert len(updates(found)) == 2
        with world.service.store.read() as conn:
            assert due_store.next_due(conn) is None


def test_where_anything_else_is_to_be_done_all_are_put_off_before() -> None:
    """Else a wake-up by one of a round would be undone by what is written of the others."""
    with ServiceInProcess() as world:
        pipeline = world.put([ON_DEMAND, data("D"), shell("A", input=ref("D")), shell("B")])
        with asked(world.service.store) as found:
            world.service.activate(pipeline)
            world.settle()
        assert world.components(pipeline)["A"] == ["WAITING_FOR_RUNNER"]
        put_off = next(text for text in updates(found) if "due_at=" in text)
        assert "status=" not in put_off.partition("WHERE")[0]
        with world.service.store.read() as conn:
            assert due_store.next_due(conn) is None


def test_what_begins_with_a_place_that_was_wanted_wants_it_no_more() -> None:
    schedule = {"id": "S", "type": "Schedule", "period": "1 hour", "occurrences": "2"}
    default = {"id": "Default", "scheduleType": "cron", "schedule": ref("S"), "workerGroup": "wg"}
    start = {"startDateTime": "2026-02-13T00:00:00"}
    with ServiceInProcess() as world:
        pipeline = world.run([default, {**schedule, **start}, shell("A", maxActiveInstances="1")])
        first, second = world.instances(pipeline).values()
        assert (first.place_wanted, second.place_wanted) == (False, True)
        world.conclude(world.take(), "FINISHED")
        world.settle()
        begun = world.instances(pipeline)[second.instance_id]
    assert begun.status == "WAITING_FOR_RUNNER"
    assert not begun.place_wanted
    assert begun.due_at is None


def test_what_begins_has_the_lease_and_the_time_limit_of_its_definition() -> None:
    with ServiceInProcess() as world:
        limits = {"reportProgressTimeout": "3 minutes", "attemptTimeout": "2 hours"}
        pipeline = world.run([ON_DEMAND, shell("A", **limits)])
        (attempt,) = world.attempts(pipeline)
    assert (attempt.lease_s, attempt.timeout_s) == (180, 7200)
    assert (attempt.number, attempt.worker_group) == (1, "wg")
    assert attempt.ready_at == attempt.created_at


def test_what_is_canceled_at_once_wakes_its_resource() -> None:
    work = [{**shell(name), "runsOn": ref("R")} for name in ("A", "B")]
    objects = [{"id": "Default", "scheduleType": "ondemand"}, ec2("R"), *work]
    with ServiceInProcess() as world:
        pipeline = world.run([*objects, shell("C", workerGroup="wg")])
        world.take()
        world.service.deactivate(pipeline)
        world.settle()
        found = {key: states[0] for key, states in world.components(pipeline).items()}
        # Nobody uses it any more, and nothing else would have it looked at.
        assert found == {"A": "CANCELED", "B": "CANCELED", "C": "CANCELED", "R": "FINISHED"}


def test_a_data_node_that_is_canceled_has_its_own_times() -> None:
    with ServiceInProcess() as world:
        pipeline = world.run([ON_DEMAND, data("D"), shell("A", output=ref("D"))])
        world.service.deactivate(pipeline)
        world.settle()
        node = next(row for row in world.instances(pipeline).values() if row.component_id == "D")
    assert (node.status, node.actual_start) == ("CANCELED", world.clock.now())
    assert node.error_id == ErrorId.DEACTIVATED


def test_an_instance_that_is_not_as_it_was_is_not_changed() -> None:
    with ServiceInProcess() as world:
        pipeline = world.run([ON_DEMAND, shell("A"), shell("B", after="A")])
        rows = list(world.instances(pipeline).values())
        with (
            pytest.raises(ValueError, match="2 instances were to be changed, 1 waited"),
            world.service.store.write() as conn,
        ):
            instances.update_unbegun(conn, rows, status="CANCELED")
        assert world.components(pipeline) == {
            "A": ["WAITING_FOR_RUNNER"],
            "B": ["WAITING_ON_DEPENDENCIES"],
        }


def test_a_round_that_is_undone_wakes_nobody() -> None:
    with ServiceInProcess() as world:
        pipeline = world.run([ON_DEMAND, shell("A"), shell("B", after="A")])
        with world.service.transaction() as transaction:
            row = instances.load_instance(transaction.conn, pipeline, f"@A_{T}")
            transaction.wake(row, [f"@B_{T}"])
            transaction.over[pipeline] = [row.instance_id]
            transaction.wake_none(pipeline)
            transaction.wake_up(pipeline)
            assert not due_store.any_due(transaction.conn, world.now)
            transaction.over[pipeline] = [row.instance_id]
            transaction.wake_up(pipeline)
            (woken,) = due_store.claim_due(transaction.conn, world.now, 9)
    assert woken.component_id == "B"

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from taskrunner.errors import (
    InvalidRequest,
    PipelineDeleted,
    PipelineNotFound,
    TaskNotFound,
)
from taskrunner.model.instances import Category, InstanceSpec
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.engine import Service
from taskrunner.service.reencryption import Reencryption
from taskrunner.service.scheduler import LONGEST_NAP_S
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import instances as instance_store
from taskrunner.testing import FakeClock, ServiceInProcess
from taskrunner.testing.service import as_definition
from tests.statements import asked
from tests.unit.service.worlds import ON_DEMAND, FakeProvider, T, ec2, ref, shell

ELSE = Caller(account="111111111111", user="else")


@pytest.fixture
def service(world: ServiceInProcess) -> Service:
    return world.service


# -- pipelines ------------------------------------------------------------------------------


def test_creating_again_with_the_same_unique_id_gives_the_same_pipeline(service: Service) -> None:
    first = service.create_pipeline(ANONYMOUS, "p", "1", "it is", [("k", "v")])
    assert service.create_pipeline(ANONYMOUS, "p", "1") == first
    row = service.pipeline(first)
    assert (row.name, row.description, row.tags) == ("p", "it is", (("k", "v"),))
    others = {
        service.create_pipeline(ANONYMOUS, "p", "2"),
        service.create_pipeline(ANONYMOUS, "q", "1"),
        service.create_pipeline(ELSE, "p", "1"),
    }
    assert len({first, *others}) == 4


def test_pipeline_ids_look_like_aws(service: Service) -> None:
    pipeline = service.create_pipeline(ANONYMOUS, "p", "1")
    assert pipeline.startswith("df-")
    assert len(pipeline) == 23
    assert pipeline[3:].isalnum()
    assert pipeline[3:].upper() == pipeline[3:]


def test_another_accounts_pipeline_is_not_there(service: Service) -> None:
    pipeline = service.create_pipeline(ANONYMOUS, "p", "1")
    with pytest.raises(PipelineNotFound, match=pipeline):
        service.pipeline(pipeline, ELSE)
    assert service.pipelines(ELSE, None, 10) == ([], False)


def test_pipelines_are_listed_page_by_page(service: Service) -> None:
    made = sorted(service.create_pipeline(ANONYMOUS, "p", str(n)) for n in range(5))
    first, more = service.pipelines(ANONYMOUS, None, 3)
    rest, none = service.pipelines(ANONYMOUS, first[-1].pipeline_id, 3)
    assert [row.pipeline_id for row in (*first, *rest)] == made
    assert (more, none) == (True, False)


def test_tags_are_added_changed_and_removed(service: Service) -> None:
    pipeline = service.create_pipeline(ANONYMOUS, "p", "1", tags=[("a", "1")])
    service.set_tags(pipeline, {"a": "2", "b": "3"})
    service.remove_tags(pipeline, ["b", "never"])
    assert service.pipeline(pipeline).tags == (("a", "2"),)
    with pytest.raises(InvalidRequest, match="at most 10"):
        service.set_tags(pipeline, {str(n): "" for n in range(10)})
    assert service.pipeline(pipeline).tags == (("a", "2"),)


# -- deletion -------------------------------------------------------------------------------


def test_a_deleted_pipeline_is_gone_with_its_work(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B")])
    task = world.take()
    world.service.delete_pipeline(pipeline)
    world.settle()
    with pytest.raises(PipelineDeleted):
        world.service.pipeline(pipeline)
    assert world.claim() is None
    with pytest.raises(TaskNotFound):
        world.service.report_progress(task.task_id, {})
    assert world.instances(pipeline) == {}
    assert world.service.pipelines(ANONYMOUS, None, 10) == ([], False)


def test_deletion_ends_what_was_launched() -> None:
    provider = FakeProvider()
    with ServiceInProcess(provider=provider) as world:
        pipeline = world.run([ON_DEMAND, shell("A", runsOn=ref("R")), ec2("R")])
        world.service.delete_pipeline(pipeline)
        assert provider.ended == ["i-1"]


def test_a_deleted_pipelines_unique_id_can_be_used_again(service: Service) -> None:
    first = service.create_pipeline(ANONYMOUS, "p", "1")
    service.delete_pipeline(first)
    second = service.create_pipeline(ANONYMOUS, "p", "1")
    assert second != first
    service.delete_pipeline(second)
    assert service.create_pipeline(ANONYMOUS, "p", "1") not in {first, second}


@pytest.mark.parametrize("verb", ["pipeline", "delete_pipeline", "activate", "deactivate"])
def test_what_never_was_is_not_found(service: Service, verb: str) -> None:
    with pytest.raises(PipelineNotFound, match="df-NOPE does not exist"):
        getattr(service, verb)("df-NOPE")


# -- definitions ----------------------------------------------------------------------------


def test_every_put_is_a_version_and_the_active_one_stays(world: ServiceInProcess) -> None:
    service = world.service
    pipeline = world.run([ON_DEMAND, shell("A", command="one")])
    version = service.put_definition(
        pipeline, as_definition([ON_DEMAND, shell("A", command="two")])
    )
    commands = []
    for which in ("active", "latest"):
        found = service.definition(pipeline, which).get("A")
        assert found is not None
        commands.append(found.string("command"))
    assert (version, commands) == (2, ["one", "two"])


def test_without_a_definition_there_is_none_to_get(service: Service) -> None:
    pipeline = service.create_pipeline(ANONYMOUS, "p", "1")
    missing = {"latest": "has no definition yet", "active": "was never activated"}
    for version, sentence in missing.items():
        with pytest.raises(InvalidRequest, match=f"^pipeline {pipeline} {sentence}$"):
            service.definition(pipeline, version)


def test_a_definition_comes_back_as_it_was_put(world: ServiceInProcess) -> None:
    given = as_definition(
        {
            "objects": [ON_DEMAND, shell("A", after="B C", scriptArgument=["1", "2"])],
            "parameters": [{"id": "*myKey", "type": "String"}],
            "values": {"*myKey": "k"},
        }
    )
    pipeline = world.put(given)
    world.reopen()
    assert world.service.definition(pipeline) == given


# -- the whole ------------------------------------------------------------------------------


def test_runners_are_remembered(service: Service) -> None:
    for _ in range(2):
        assert service.heartbeat("runner-1", "wg", "host") is False


def test_a_restart_in_the_middle_loses_nothing(world: ServiceInProcess) -> None:
    pipeline = world.run([ON_DEMAND, shell("A"), shell("B", after="A"), shell("C", after="B")])
    done = []
    while (task := world.claim()) is not None:
        world.reopen()
        done.append(task.component_id)
        world.conclude(task)
        world.reopen()
    assert done == ["A", "B", "C"]
    assert world.state(pipeline) == "FINISHED"


def test_on_its_own_threads_the_service_does_the_same(tmp_path: Path) -> None:
    failures: list[object] = []
    service = Service(
        ServiceSettings(database_url=f"sqlite:///{tmp_path / 's.db'}"),
        failed=lambda *failure: failures.append(failure),
    )
    ready = threading.Event()
    service.work_ready.subscribe("wg", ready.set)
    service.start()
    try:
        pipeline = service.create_pipeline(ANONYMOUS, "p", "1")
        service.put_definition(pipeline, as_definition([ON_DEMAND, shell("A")]))
        service.activate(pipeline)
        assert ready.wait(10)
        task = service.claim("wg")
        assert task is not None
        assert service.report_progress(task.task_id, {}) is False
    finally:
        service.stop()
    assert failures == []


def test_who_finds_nothing_asks_the_store_nothing_until_something_changes(
    world: ServiceInProcess,
) -> None:
    service = world.service
    seal_anew = Reencryption(service.store)

    def look() -> list[bool]:
        seal_anew.step(world.now)
        found = (service.resources.reconcile, service.alarms.run_once, service.scheduler.tick)
        return [duty(world.now) for duty in found]

    pipeline = world.put([ON_DEMAND, shell("A")])
    look()
    look()
    with asked(service.store) as found:
        assert look() == [False, False, False]
        assert service.scheduler.step(world.now) == LONGEST_NAP_S
    assert found.samples == {}
    with service.store.write() as conn:
        spec = InstanceSpec(
            instance_id="@A_x",
            component_id="A",
            name="A",
            type="ShellCommandActivity",
            category=Category.ACTIVITY,
            start=world.now,
            end=world.now,
            not_before=world.now,
        )
        instance_store.insert_instances(conn, pipeline, 1, [spec], world.now)
    assert look() == [False, False, True]


def test_the_fake_clock_passes_when_told() -> None:
    clock = FakeClock()
    start = clock.now()
    assert clock.advance(1.5) == start + timedelta(seconds=1.5)
    assert clock.wait(threading.Event(), 3) is False
    assert (clock.monotonic(), clock.waits) == (4.5, [3])
    stop = threading.Event()
    stop.set()
    assert clock.wait(stop, 3) is True
    assert clock.monotonic() == 4.5
    clock.jump(start)
    assert (clock.now(), clock.monotonic()) == (start, 4.5)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="aware"):
        FakeClock(start.replace(tzinfo=None))


def test_the_kit_says_when_nothing_is_there(world: ServiceInProcess) -> None:
    with pytest.raises(AssertionError, match="no task is ready for worker group 'wg'"):
        world.take()
    pipeline = world.run([ON_DEMAND, shell("A")])
    assert world.statuses(pipeline) == {f"@A_{T}": "WAITING_FOR_RUNNER"}
    assert [a.number for a in world.attempts(pipeline)] == [1]

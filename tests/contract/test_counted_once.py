"""What one service has counted already another does not count again, on every kind of store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.resources.manager import ResourceManager
from taskrunner.service.store import instances
from taskrunner.testing import FakeClock
from taskrunner.testing.service import as_definition
from tests.contract.test_store_contention import two_services
from tests.unit.service.worlds import FakeProvider, ec2, ref, schedule, scheduled, shell


class SlowToAnswer(FakeProvider):
    """Something happens elsewhere while it looks whether a machine lives."""

    meanwhile: Callable[[], object] | None = None

    def alive(self, handle: str) -> bool:
        alive = super().alive(handle)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return alive


def test_the_death_of_a_machine_that_two_services_see_is_one_failure(database_url: str) -> None:
    clock, cloud = FakeClock(), SlowToAnswer()
    objects = [scheduled(maximumRetries="1"), schedule(), shell("A", runsOn=ref("R")), ec2("R")]
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        managers = [
            ResourceManager(service.store, cloud, service.loaded)
            for service in (services[0], services[-1])
        ]
        pipeline = services[0].create_pipeline(ANONYMOUS, "p", "1")
        services[0].put_definition(pipeline, as_definition(objects))
        services[0].activate(pipeline)
        while services[0].scheduler.tick(clock.now()):
            pass
        managers[0].reconcile(clock.now())
        assert cloud.launched == ["i-1"]
        cloud.dead.add("i-1")
        clock.advance(timedelta(minutes=1))

        def other_notices_and_launches() -> None:
            managers[1].reconcile(clock.now())
            managers[1].reconcile(clock.now())

        cloud.meanwhile = other_notices_and_launches
        managers[0].reconcile(clock.now())
        managers[0].reconcile(clock.now())
        with services[0].store.read() as conn:
            rows = instances.load_instances(conn, pipeline)
        (row,) = [row for row in rows if row.component_id == "R"]
        assert (cloud.launched, row.resource_handle) == (["i-1", "i-2"], "i-2")
        assert (row.status, row.failures) == ("ACTIVATING", 1)


def test_a_change_is_refused_to_who_knows_another_attempt(database_url: str) -> None:
    """The status may be the same again: of a task that was tried, failed, and waits once more."""
    clock = FakeClock()
    with ExitStack() as stack:
        service = two_services(stack, database_url, clock)[0]
        pipeline = service.create_pipeline(ANONYMOUS, "p", "1")
        service.put_definition(pipeline, as_definition([scheduled(), schedule(), shell("A")]))
        service.activate(pipeline)
        while service.scheduler.tick(clock.now()):
            pass
        with service.store.write() as conn:
            (row,) = instances.load_instances(conn, pipeline)
            for old in (
                replace(row, attempt_count=row.attempt_count - 1),
                replace(row, failures=1),
                replace(row, reruns=1),
            ):
                assert not instances.update_instance(conn, old, failures=7)
            assert instances.update_instance(conn, row, failures=7)

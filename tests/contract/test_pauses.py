"""What is paused, or being deactivated, is given to nobody, and loses nothing, on every store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import pytest

from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.testing import FakeClock
from taskrunner.testing.service import as_definition
from tests.contract.test_store_contention import two_services
from tests.unit.service.worlds import schedule, scheduled, shell

TASKS, RUNNERS = 60, 6
OBJECTS = [
    scheduled(),
    schedule(),
    *(shell(f"A{n}") for n in range(TASKS)),
]


def stop(service: Service, pipeline: str, way: str) -> None:
    if way == "pause":
        service.set_status(pipeline, [pipeline], "PAUSE")
    else:
        service.deactivate(pipeline, cancel_active=False)


def go_on(service: Service, pipeline: str, way: str) -> None:
    if way == "pause":
        service.set_status(pipeline, [pipeline], "RESUME")
    else:
        assert service.pipeline(pipeline).state == "INACTIVE"
        service.activate(pipeline)


@pytest.mark.parametrize("way", ["pause", "deactivate"])
def test_after_the_answer_nothing_is_handed_out_and_nothing_is_lost(
    database_url: str, way: str
) -> None:
    """Runners take work while a pipeline is stopped and goes on beside two schedulers."""
    clock = FakeClock()
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        first, last = services[0], services[-1]
        pipeline = first.create_pipeline(ANONYMOUS, "p", "1")
        first.put_definition(pipeline, as_definition(OBJECTS))
        first.activate(pipeline)
        first.scheduler.tick(clock.now())
        some_taken, paused, done = threading.Event(), threading.Event(), list[str]()

        def work(number: int) -> None:
            service = services[number % len(services)]
            while not paused.is_set() and (task := service.claim("wg")) is not None:
                service.report_progress(task.task_id, {})
                service.set_task_status(task.task_id, "FINISHED")
                done.append(task.attempt_id)
                some_taken.set()

        with ThreadPoolExecutor(RUNNERS) as pool:
            working = [pool.submit(work, number) for number in range(RUNNERS)]
            some_taken.wait(30)
            stop(last, pipeline, way)
            assert first.claim("wg") is None
            paused.set()
            for one in working:
                one.result()
        for service in services:
            while service.scheduler.tick(clock.now()):
                pass
            assert service.claim("wg") is None
        clock.advance(timedelta(minutes=10))
        go_on(first, pipeline, way)
        while last.scheduler.tick(clock.now()):
            pass
        while (task := last.claim("wg")) is not None:
            last.set_task_status(task.task_id, "FINISHED")
            done.append(task.attempt_id)
        instances = [attempt_id.partition("_Attempt")[0] for attempt_id in done]
        assert sorted(instances) == sorted(set(instances))
        assert len(done) == TASKS

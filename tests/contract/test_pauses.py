"""What is paused is given to nobody, and loses nothing, on every kind of store."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

from taskrunner.service.callers import ANONYMOUS
from taskrunner.testing import FakeClock
from taskrunner.testing.service import as_definition
from tests.contract.test_store_contention import two_services

TASKS, RUNNERS = 60, 6
OBJECTS = [
    {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
    *({"id": f"A{n}", "type": "ShellCommandActivity", "command": "true"} for n in range(TASKS)),
]


def test_after_the_answer_to_a_pause_nothing_is_handed_out_and_nothing_is_lost(
    database_url: str,
) -> None:
    """Runners take work while a pipeline is paused and resumed beside two schedulers."""
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
            last.set_status(pipeline, [pipeline], "PAUSE")
            assert first.claim("wg") is None
            paused.set()
            for one in working:
                one.result()
        for service in services:
            while service.scheduler.tick(clock.now()):
                pass
            assert service.claim("wg") is None
        clock.advance(timedelta(minutes=10))
        first.set_status(pipeline, [pipeline], "RESUME")
        while last.scheduler.tick(clock.now()):
            pass
        while (task := last.claim("wg")) is not None:
            last.set_task_status(task.task_id, "FINISHED")
            done.append(task.attempt_id)
        assert sorted(done) == sorted(set(done))
        assert len(done) == TASKS

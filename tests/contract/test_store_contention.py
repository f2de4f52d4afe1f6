"""Many runners and several schedulers at once, on every kind of store."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import instances, pipelines
from taskrunner.testing import FakeClock, ServiceInProcess
from taskrunner.testing.service import as_definition
from tests.contract.stores import OPENING

S = InstanceStatus

RUNNERS, TASKS = 16, 300


def test_no_task_is_given_to_two_runners(database_url: str) -> None:
    """16 runners work off 300 tasks as fast as they can, while schedulers run beside them."""
    assert [task for task, times in race(database_url, TASKS).items() if times > 1] == []


def run_all(work: Callable[[int], list[str]]) -> list[str]:
    with ThreadPoolExecutor(RUNNERS) as pool:
        return [task for found in pool.map(work, range(RUNNERS)) for task in found]


def two_services(stack: ExitStack, url: str, clock: FakeClock) -> list[Service]:
    """Two service processes' worth of service: on SQLite one, which owns the file."""
    first = ServiceInProcess(database_url=url, clock=clock)
    stack.enter_context(first)
    if url.startswith("sqlite"):
        return [first.service]
    second = Service(ServiceSettings(database_url=url, opening=OPENING), clock=clock)
    stack.callback(second.stop)
    return [first.service, second]


def race(database_url: str, tasks: int) -> Counter[str]:
    """Have so many tasks worked off by all runners at once; how often each was handed out.

    Raises AssertionError when one does not come to its end.
    """
    clock = FakeClock()
    objects = [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
        *({"id": f"A{n}", "type": "ShellCommandActivity", "command": "true"} for n in range(tasks)),
    ]
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        pipeline = services[0].create_pipeline(ANONYMOUS, "p", "1")
        services[0].put_definition(pipeline, as_definition(objects))
        services[0].activate(pipeline)
        while services[0].scheduler.tick(clock.now()):
            pass
        over = threading.Event()

        def schedule(service: Service) -> None:
            while not over.is_set():
                service.scheduler.tick(clock.now())
                over.wait(0.001)

        def work(n: int) -> list[str]:
            service = services[n % len(services)]
            taken = []
            while (task := service.claim("wg")) is not None:
                taken.append(task.attempt_id)
                assert service.report_progress(task.task_id, {}) is False
                service.set_task_status(task.task_id, "FINISHED")
            return taken

        with ThreadPoolExecutor(len(services)) as schedulers:
            ticking = [schedulers.submit(schedule, service) for service in services]
            try:
                taken = run_all(work)
            finally:
                over.set()
            for ticks in ticking:
                ticks.result()
        # A claim passes over what a scheduler holds at the moment; announcements bring it back.
        taken += work(0)
        while services[0].scheduler.tick(clock.now()):
            pass
        assert len(set(taken)) == tasks
        with services[0].store.read() as conn:
            rows = instances.load_instances(conn, pipeline)
        assert Counter(row.status for row in rows) == {S.FINISHED: tasks}
        assert services[0].pipeline(pipeline).state is PipelineState.FINISHED
    return Counter(taken)


def test_no_wake_up_is_lost_between_two_schedulers(database_url: str) -> None:
    """Chains of work through two schedulers: each end must wake what waits for it."""
    clock = FakeClock()
    width, length = 10, 8
    objects: list[dict[str, Any]] = [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}
    ]
    for chain in range(width):
        for link in range(length):
            before = [{"ref": f"A{(chain + k) % width}x{link - 1}"} for k in (0, 1)]
            objects.append(
                {
                    "id": f"A{chain}x{link}",
                    "type": "ShellCommandActivity",
                    "command": "true",
                    **({"dependsOn": before} if link else {}),
                }
            )
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        pipeline = services[0].create_pipeline(ANONYMOUS, "p", "1")
        services[0].put_definition(pipeline, as_definition(objects))
        services[0].activate(pipeline)
        deadline = threading.Event()
        finished = threading.Event()

        def live(n: int) -> list[str]:
            service = services[n % len(services)]
            done = []
            while not (finished.is_set() or deadline.is_set()):
                service.scheduler.tick(clock.now())
                task = service.claim("wg")
                if task is None:
                    finished.wait(0.002)
                    continue
                service.set_task_status(task.task_id, "FINISHED")
                done.append(task.attempt_id)
                if service.pipeline(pipeline).state is PipelineState.FINISHED:
                    finished.set()
            return done

        watch = threading.Timer(60, deadline.set)
        watch.start()
        watcher = threading.Thread(target=_until_finished, args=(services[0], pipeline, finished))
        watcher.start()
        try:
            with ThreadPoolExecutor(4) as pool:
                done = [task for found in pool.map(live, range(4)) for task in found]
        finally:
            watch.cancel()
            finished.set()
            watcher.join()
        assert services[0].pipeline(pipeline).state is PipelineState.FINISHED
        assert len(done) == len(set(done)) == width * length


def _until_finished(service: Service, pipeline: str, finished: threading.Event) -> None:
    while not finished.wait(0.05):
        if service.pipeline(pipeline).state is PipelineState.FINISHED:
            finished.set()


def test_a_verdict_does_not_wait_for_who_decides_about_its_pipeline(database_url: str) -> None:
    """It is taken, and what follows from it is left to the scheduler."""
    if database_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time anyway")
    with ServiceInProcess(database_url=database_url) as world:
        pipeline = world.run(
            [
                {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
                {"id": "A", "type": "ShellCommandActivity", "command": "true"},
            ]
        )
        task = world.take()
        with world.service.store.write() as conn, ThreadPoolExecutor(1) as pool:
            pipelines.lock_pipeline(conn, pipeline)
            done = pool.submit(world.service.set_task_status, task.task_id, "FINISHED")
            done.result(timeout=60)
        assert list(world.statuses(pipeline).values()) == ["RUNNING"]
        assert world.service.scheduler.tick(world.now)
        assert list(world.statuses(pipeline).values()) == ["FINISHED"]

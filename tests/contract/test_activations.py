"""Clients that activate one pipeline at the same moment, on every kind of store."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.model.document import Definition, ParameterValue
from taskrunner.model.parameters import with_values
from taskrunner.model.states import PipelineState
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.handlers.definitions import put_pipeline_definition
from taskrunner.service.handlers.pipelines import activate_pipeline
from taskrunner.testing import FakeClock, ServiceInProcess
from taskrunner.testing.service import as_definition
from taskrunner.wire.inputs import ActivatePipelineInput, PutPipelineDefinitionInput
from tests.contract.test_store_contention import two_services

CLIENTS, ROUNDS = 6, 4

DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
        {"id": "A", "type": "ShellCommandActivity", "command": "echo #{myKey}"},
    ],
    "parameters": [{"id": "myKey", "type": "String", "default": "none"}],
}


def activate_at_once(services: Sequence[Service], pipeline: str, values: Sequence[str]) -> None:
    """Each value by a client of its own, all at the same moment."""
    gate = threading.Barrier(len(values))

    def activate(number: int) -> None:
        gate.wait()
        request = ActivatePipelineInput(
            pipeline_id=pipeline,
            parameter_values=(ParameterValue(id="myKey", value=values[number]),),
        )
        activate_pipeline(services[number % len(services)], ANONYMOUS, request)

    with ThreadPoolExecutor(len(values)) as pool:
        for done in [pool.submit(activate, number) for number in range(len(values))]:
            done.result()


def commands_of_all(service: Service, clock: FakeClock) -> list[str]:
    """Work off everything; the commands that were handed out."""
    commands: list[str] = []
    while True:
        while service.scheduler.tick(clock.now()):
            pass
        task = service.claim("wg")
        if task is None:
            return commands
        commands.append(str(task.main.get("command")))
        service.set_task_status(task.task_id, "FINISHED")


def test_of_activations_at_one_moment_each_runs_with_its_own_values(database_url: str) -> None:
    clock = FakeClock()
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        for number in range(ROUNDS):
            pipeline = services[0].create_pipeline(ANONYMOUS, "p", str(number))
            services[0].put_definition(pipeline, as_definition(DEFINITION))
            values = [f"{number}-{client}" for client in range(CLIENTS)]
            activate_at_once(services, pipeline, values)
            ran = Counter(commands_of_all(services[-1], clock))
            assert ran == Counter(f"echo {value}" for value in values)


def test_one_run_at_a_time_whoever_decides(database_url: str) -> None:
    """Several schedulers and runners of two services; no run begins while another is under way."""
    clock, chain = FakeClock(), ("A", "B", "C")
    objects = [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
        *({"id": name, "type": "ShellCommandActivity", "command": "true"} for name in chain),
    ]
    runs: list[str] = []
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        pipeline = services[0].create_pipeline(ANONYMOUS, "p", "1")
        services[0].put_definition(pipeline, as_definition(objects))
        for _ in range(CLIENTS):
            services[0].activate(pipeline)
        over = threading.Event()

        def live(number: int) -> None:
            service = services[number % len(services)]
            while not over.is_set():
                service.scheduler.tick(clock.now())
                task = service.claim("wg")
                if task is not None:
                    runs.append(task.attempt_id.split("_")[1])
                    service.set_task_status(task.task_id, "FINISHED")
                # Another's tick may have finished it.
                elif service.pipeline(pipeline).state is PipelineState.FINISHED:
                    over.set()
                else:
                    over.wait(0.002)

        watch = threading.Timer(60, over.set)
        watch.start()
        try:
            with ThreadPoolExecutor(4) as pool:
                for ended in [pool.submit(live, number) for number in range(4)]:
                    ended.result()
        finally:
            watch.cancel()
        while any(service.scheduler.tick(clock.now()) for service in services):
            pass
        assert services[0].pipeline(pipeline).state is PipelineState.FINISHED
    assert runs == sorted(runs)
    assert Counter(Counter(runs).values()) == {len(chain): CLIENTS}


def test_a_run_keeps_its_values_whatever_is_activated_or_put_after_it(database_url: str) -> None:
    with ServiceInProcess(database_url=database_url) as world:
        pipeline = world.put(DEFINITION)
        for value in ("one", "two"):
            activate_at_once([world.service], pipeline, [value])
        world.service.put_definition(pipeline, as_definition(DEFINITION))
        world.settle()
        first, *others = world.instances(pipeline)
        failed = world.take()
        assert failed.main.get("command") == "echo one"
        world.conclude(failed, "FAILED", "OperatorError")
        world.service.set_status(pipeline, [first], "CANCEL")
        world.settle()
        second = world.take()
        assert second.main.get("command") == "echo two"
        world.service.set_status(pipeline, [first], "RERUN")
        world.settle()
        again = world.take()
        assert again.main.get("command") == "echo one"
        for task in (second, again):
            world.conclude(task)
        assert set(world.statuses(pipeline).values()) == {"FINISHED"}
        assert len(others) == 1


def test_an_activation_that_is_refused_leaves_nothing_of_its_values(database_url: str) -> None:
    with ServiceInProcess(database_url=database_url) as world:
        objects = [
            {"id": "Default", "schedule": {"ref": "S"}, "workerGroup": "wg"},
            {
                "id": "S",
                "type": "Schedule",
                "period": "1 hour",
                "startDateTime": "#{myStart}",
                "occurrences": "1",
            },
            {"id": "A", "type": "ShellCommandActivity", "command": "true"},
        ]
        start = {"id": "myStart", "type": "String", "default": "2026-02-13T00:00:00"}
        pipeline = world.put({"objects": objects, "parameters": [start]})

        def starting(moment: str, stored: Definition) -> Definition:
            return with_values(stored, {"myStart": [moment]})

        for _ in range(2):
            with pytest.raises(InvalidRequest):
                world.service.activate(pipeline, lambda stored: starting("whenever", stored))
        assert world.service.pipeline(pipeline).latest_version == 1
        assert world.state(pipeline) == "PENDING"
        # The next version has the number that the refused ones would have had.
        world.service.activate(pipeline, lambda stored: starting("2026-02-13T01:00:00", stored))
        world.settle()
        assert list(world.instances(pipeline)) == ["@A_2026-02-13T01:00:00"]


def test_a_definition_put_with_a_mask_keeps_the_secret_that_is_put_meanwhile(
    database_url: str,
) -> None:
    """Two clients put: with the new secret, and what was shown. No order gives the old secret."""
    definition = as_definition(
        [
            {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
            {"id": "A", "type": "ShellCommandActivity", "command": "x", "*password": "the old one"},
        ]
    )

    def request(pipeline: str, password: str) -> PutPipelineDefinitionInput:
        changed = as_definition(
            [
                {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
                {"id": "A", "type": "ShellCommandActivity", "command": "x", "*password": password},
            ]
        )
        return PutPipelineDefinitionInput(pipeline_id=pipeline, pipeline_objects=changed.objects)

    clock = FakeClock()
    with ExitStack() as stack:
        services = two_services(stack, database_url, clock)
        for number in range(ROUNDS):
            pipeline = services[0].create_pipeline(ANONYMOUS, "p", str(number))
            services[0].put_definition(pipeline, definition)
            gate = threading.Barrier(2)

            def put(service: Service, password: str, *, at: threading.Barrier, of: str) -> None:
                at.wait()
                put_pipeline_definition(service, ANONYMOUS, request(of, password))

            with ThreadPoolExecutor(2) as pool:
                futures = [
                    pool.submit(put, service, password, at=gate, of=pipeline)
                    for service, password in zip(
                        (services[0], services[-1]), ("the new one", "*****"), strict=True
                    )
                ]
                for done in futures:
                    done.result()
            latest = services[0].definition(pipeline).get("A")
            assert latest is not None
            assert latest.string("*password") == "the new one"

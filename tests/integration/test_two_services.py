"""Two processes of the service over one PostgreSQL: what one makes ready wakes the other's polls.

A poll is held for 85 s, and the tests wait for 30: an answer in that time was not the hold's end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from taskrunner.clock import SystemClock
from taskrunner.model.task import Task
from taskrunner.service.app import create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.checks import Check
from taskrunner.service.engine import Service
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.server import Address, ServiceServer, bind
from taskrunner.service.settings import ServiceSettings
from taskrunner.testing.service import as_definition
from taskrunner.wire.api import Verdict
from tests.acceptance.served_process import Served, served
from tests.contract.stores import OPENING, key_option
from tests.integration.agent_harness import wait_for
from tests.integration.api_calls import PATIENCE_S, call, pipeline

pytestmark = pytest.mark.external_service


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def poll(pool: ThreadPoolExecutor, url: str, group: str) -> Future[Any]:
    return pool.submit(call, url, "PollForTask", workerGroup=group)


def listeners(database: str) -> list[int]:
    """The backends that listen, of every process."""
    query = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND query LIKE 'LISTEN %'"
    )
    with psycopg.connect(database) as conn:
        return [pid for (pid,) in conn.execute(query)]


@contextmanager
def running(app: Starlette) -> Iterator[ServiceServer]:
    """Serve in a thread while the block runs."""
    server = ServiceServer(app, bind(Address(host="127.0.0.1", port=0)))
    thread = threading.Thread(target=server.run, name="http-server", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


@contextmanager
def process(database: str, folder: Path) -> Iterator[Served]:
    folder.mkdir()
    with served(folder, "--no-auth", "--database-url", database, *key_option(folder)) as service:
        yield service


@pytest.fixture
def two(postgresql_database: str, tmp_path: Path) -> Iterator[tuple[Served, Served]]:
    with (
        process(postgresql_database, tmp_path / "a") as first,
        process(postgresql_database, tmp_path / "b") as second,
    ):
        wait_for("both listen", lambda: len(listeners(postgresql_database)) == 2)
        yield first, second


def test_a_poll_held_by_one_process_is_answered_when_another_has_work(
    two: tuple[Served, Served], postgresql_database: str, pool: ThreadPoolExecutor
) -> None:
    first, second = two
    for number in range(4):
        group = f"wg {number}"
        made = pipeline(first.url, str(number), group)
        waiting = poll(pool, second.url, group)
        call(first.url, "ActivatePipeline", pipelineId=made)
        task = waiting.result(PATIENCE_S)["taskObject"]
        assert task["pipelineId"] == made
        # Its report is taken by either process.
        call(first.url, "ReportTaskProgress", taskId=task["taskId"])
        call(second.url, "SetTaskStatus", taskId=task["taskId"], taskStatus="FINISHED")
    assert [service.stop() for service in two] == [0, 0]
    assert listeners(postgresql_database) == []


@contextmanager
def in_process(database: str, *, duties: bool) -> Iterator[tuple[Service, str, Any]]:
    """A service of this process; without duties it hears others but decides nothing itself."""
    service = Service(ServiceSettings(database_url=database, opening=OPENING))
    app = create_app(service, handlers=HANDLERS, authenticator=NoAuthenticator())
    with ExitStack() as stack:
        if duties:
            service.start()
        else:
            listener = service.listener
            assert listener is not None
            thread = threading.Thread(target=listener.loop)
            thread.start()
            stack.callback(thread.join)
            stack.callback(listener.stop)
        stack.callback(service.stop)
        server = stack.enter_context(running(app))
        yield service, server.url, app


def held(app: Any) -> None:
    wait_for("a held poll", lambda: app.state.waiting_polls() == 1)
    # It is counted from just before its first look for work; let it find none.
    SystemClock().wait(threading.Event(), 0.2)


def activate(service: Service, unique: str, group: str) -> None:
    made = service.create_pipeline(ANONYMOUS, "p", unique)
    objects = [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": group},
        {"id": "A", "type": "ShellCommandActivity", "command": "true"},
    ]
    service.put_definition(made, as_definition(objects))
    service.activate(made)


@pytest.mark.parametrize("group", ["wg", "a group\twith 'quotes' \N{SNOWMAN}", "g" * 1024])
def test_nothing_but_the_announcement_wakes_it(
    postgresql_database: str, pool: ThreadPoolExecutor, group: str
) -> None:
    with (
        in_process(postgresql_database, duties=True) as (teller, _, _),
        in_process(postgresql_database, duties=False) as (_, url, app),
    ):
        wait_for("both listen", lambda: len(listeners(postgresql_database)) == 2)
        waiting = poll(pool, url, group)
        held(app)
        activate(teller, "1", group)
        assert waiting.result(PATIENCE_S)["taskObject"]


def test_a_listening_connection_that_is_cut_is_made_again(
    postgresql_database: str, pool: ThreadPoolExecutor
) -> None:
    with (
        in_process(postgresql_database, duties=True) as (teller, _, _),
        in_process(postgresql_database, duties=False) as (_, url, app),
    ):
        for number in range(3):
            wait_for("both listen", lambda: len(listeners(postgresql_database)) == 2)
            waiting = poll(pool, url, "wg")
            held(app)
            before = set(listeners(postgresql_database))
            with psycopg.connect(postgresql_database) as conn:
                for pid in before:
                    conn.execute("SELECT pg_terminate_backend(%s)", [pid])
            # Announced while nobody may be listening.
            activate(teller, str(number), "wg")
            assert waiting.result(PATIENCE_S)["taskObject"]
            assert not before & set(listeners(postgresql_database))


def test_activations_at_one_moment_through_both_each_run_once_with_their_own_values(
    two: tuple[Served, Served],
) -> None:
    """One run at a time, in whatever order; both processes hand out and take verdicts."""
    first, second = two
    made = pipeline(first.url, "1", "wg", command="echo #{myKey}", parameter="myKey")
    values, gate = [f"file-{number}.csv" for number in range(6)], threading.Barrier(6)

    def activate(number: int) -> None:
        gate.wait(PATIENCE_S)
        value = {"id": "myKey", "stringValue": values[number]}
        url = (first, second)[number % 2].url
        call(url, "ActivatePipeline", pipelineId=made, parameterValues=[value])

    with ThreadPoolExecutor(len(values)) as clients:
        for done in [clients.submit(activate, number) for number in range(len(values))]:
            done.result()
    ran = []
    for number in range(len(values)):
        url = (first, second)[number // 2 % 2].url
        task = call(url, "PollForTask", workerGroup="wg")["taskObject"]
        ran += [command for obj in task["objects"].values() for command in commands_of(obj)]
        call(url, "ReportTaskProgress", taskId=task["taskId"])
        call(url, "SetTaskStatus", taskId=task["taskId"], taskStatus="FINISHED")
    assert sorted(ran) == [f"echo {value}" for value in values]


def commands_of(obj: dict[str, Any]) -> list[str]:
    return [field["stringValue"] for field in obj["fields"] if field["key"] == "command"]


def test_a_precondition_is_checked_by_one_of_them(postgresql_database: str) -> None:
    checked: list[tuple[str, str]] = []
    settings = ServiceSettings(
        database_url=postgresql_database, checks=frozenset({"S3KeyExists"}), opening=OPENING
    )

    def checker(name: str) -> Check:
        def check(task: Task) -> Verdict:
            checked.append((name, task.component_id))
            return Verdict(status="FINISHED")

        return check

    names = [f"P{number}" for number in range(6)]
    refs = [{"ref": name} for name in names]
    objects: list[dict[str, Any]] = [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
        {"id": "A", "type": "ShellCommandActivity", "command": "true", "precondition": refs},
        *({"id": name, "type": "S3KeyExists", "role": "r", "s3Key": "s3://b/k"} for name in names),
    ]
    with ExitStack() as stack:
        services = [Service(settings, check=checker(name)) for name in ("one", "two")]
        for service in services:
            stack.callback(service.stop)
            service.start()
        made = services[0].create_pipeline(ANONYMOUS, "p", "1")
        services[0].put_definition(made, as_definition(objects))
        services[0].activate(made)
        wait_for("the activity", lambda: services[1].claim("wg", "runner") is not None)
    assert sorted(name for _, name in checked) == names

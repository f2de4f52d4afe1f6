"""What the service tells of itself, on either store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from structlog.testing import capture_logs

from taskrunner.errors import StoreError, StoreTrouble
from taskrunner.service.activation import AT_ONCE
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.gauges import KEPT_S
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.meters import FAMILIES
from taskrunner.service.store import queue_depths
from taskrunner.service.watching import METRICS_TYPE, may_read
from taskrunner.testing import ServiceInProcess
from tests.unit.service.asgi import HOST, Answer, Caller
from tests.unit.service.worlds import ON_DEMAND, alarm, shell

EVENTS = {"a runner fell silent", "an instance failed", "alarm"}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def world(database_url: str) -> Iterator[ServiceInProcess]:
    with ServiceInProcess(database_url=database_url) as world:
        yield world


def asked(world: ServiceInProcess, path: str, **headers: str) -> Answer:
    app = create_app(
        world.service,
        handlers=HANDLERS,
        authenticator=NoAuthenticator(),
        settings=EdgeSettings(clock=world.clock, metrics_token="t0ken"),
    )
    return asyncio.run(_get(app, path, {"host": HOST, **headers}))


async def _get(app: Starlette, path: str, headers: Mapping[str, str]) -> Answer:
    answer = await Caller(app).ask(method="GET", path=path, headers=headers)
    assert answer is not None
    return answer


def metrics(world: ServiceInProcess) -> Mapping[str, float]:
    answer = asked(world, "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == METRICS_TYPE
    lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_what_waits_and_for_how_long_is_told_by_group(world: ServiceInProcess) -> None:
    world.run([ON_DEMAND, shell("A"), shell("B")])
    world.clock.advance(5 * MINUTE)
    found = metrics(world)
    assert found['taskrunner_queue_depth{worker_group="wg"}'] == 2
    assert found['taskrunner_queue_oldest_seconds{worker_group="wg"}'] == 300
    world.take()
    assert metrics(world)['taskrunner_queue_depth{worker_group="wg"}'] == 1
    world.work_off()
    assert not [name for name in metrics(world) if "queue_depth" in name]


def test_leases_and_alarms_are_counted(world: ServiceInProcess) -> None:
    world.run([ON_DEMAND, alarm("Bad"), shell("A", onFail={"ref": "Bad"}, maximumRetries="0")])
    world.take(acknowledge=False)
    world.advance(3 * MINUTE)  # nobody acknowledged it
    world.take()
    with capture_logs() as log:
        world.advance(6 * MINUTE)  # and now nobody reports
        world.conclude(world.take(), "FAILED", "E1")
    assert [record["event"] for record in log if record["event"] in EVENTS] == [
        "a runner fell silent",
        "an instance failed",
        "alarm",
    ]
    found = metrics(world)
    assert found["taskrunner_handouts_unacknowledged_total"] == 1
    assert found["taskrunner_leases_lost_total"] == 1
    assert found['taskrunner_alarms_total{outcome="LOGGED"}'] == 1
    assert found["taskrunner_alarms_pending"] == 0
    assert found['taskrunner_store_transaction_seconds_count{kind="write"}'] > 0


def test_what_is_due_and_not_decided_is_lag(world: ServiceInProcess) -> None:
    assert metrics(world)["taskrunner_scheduler_lag_seconds"] == 0
    # Of so many, the activation itself decides about the first.
    pipeline = world.put([ON_DEMAND, *(shell(f"A{n}") for n in range(AT_ONCE + 1))])
    world.service.activate(pipeline)
    world.clock.advance(90)
    assert metrics(world)["taskrunner_scheduler_lag_seconds"] == 90


def test_every_metric_is_in_the_table_and_documented(world: ServiceInProcess) -> None:
    names = {re.sub(r"_(bucket|sum|count)$", "", re.sub(r"\{.*", "", n)) for n in metrics(world)}
    assert names <= FAMILIES.keys()
    assert {"taskrunner_polls_open", "taskrunner_connections", "process_open_fds"} <= names


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (queue_depths.depths_by("sqlite"), "ix_attempts_ready"),
        (queue_depths.DEAD_ALARMS, "ix_alarms_dead"),
        (queue_depths.PENDING_ALARMS, "ix_alarms_next_at"),
    ],
)
def test_a_scrape_reads_no_table_whole(
    world: ServiceInProcess, statement: sa.Executable, index: str
) -> None:
    if not world.service.store.is_sqlite:
        pytest.skip("PostgreSQL plans by what the table holds")
    with world.service.store.read() as conn:
        sent: list[Any] = []
        sa.event.listen(
            conn, "before_cursor_execute", lambda *given: sent.append((given[2], given[3]))
        )
        conn.execute(statement, {"at": world.now})
        text, values = sent[0]
        plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()
    assert index in str(plan)


# -- health -----------------------------------------------------------------------------------


def test_it_is_alive_and_ready(world: ServiceInProcess) -> None:
    for path in ("/livez", "/ping", "/readyz"):
        answer = asked(world, path)
        assert (answer.status, answer.body) == (200, b"ok\n")


def test_a_store_that_takes_no_writes_is_not_ready(world: ServiceInProcess) -> None:
    def refuse() -> None:
        with world.service.store.write():
            raise StoreError("full", trouble=StoreTrouble.FULL)

    with pytest.raises(StoreError):
        refuse()
    answer = asked(world, "/readyz")
    assert answer.status == 503
    assert b"database is full" in answer.body
    assert asked(world, "/livez").status == 200
    with world.service.store.write():
        pass
    assert asked(world, "/readyz").status == 200


# -- who may read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "headers", "token", "may"),
    [
        ("127.0.0.1", {}, None, True),
        ("::1", {}, None, True),
        ("192.0.2.1", {}, None, False),
        ("", {}, None, False),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.1"}, None, False),
        ("127.0.0.1", {"via": "1.1 p"}, "t0ken", False),
        ("192.0.2.1", {"authorization": "Bearer t0ken"}, "t0ken", True),
        ("192.0.2.1", {"authorization": "Bearer "}, "t0ken", False),
        ("192.0.2.1", {"authorization": "Bearer t0ke"}, "t0ken", False),
        ("192.0.2.1", {"authorization": "Bearer None"}, None, False),
    ],
)
def test_metrics_are_for_this_host_and_for_a_token(
    host: str, headers: Mapping[str, str], token: str | None, may: bool
) -> None:
    assert may_read(host, headers, token) is may


def test_a_stranger_gets_none(world: ServiceInProcess) -> None:
    answer = asked(world, "/metrics", **{"x-forwarded-for": "192.0.2.1"})
    assert answer.status == 403
    assert b"taskrunner_" not in answer.body


def test_who_asks_again_at_once_is_told_the_same(world: ServiceInProcess) -> None:
    app = create_app(
        world.service,
        handlers=HANDLERS,
        authenticator=NoAuthenticator(),
        settings=EdgeSettings(clock=world.clock),
    )

    def told() -> bytes:
        return asyncio.run(_get(app, "/metrics", {"host": HOST})).body

    first = told()
    world.run([ON_DEMAND, shell("A")])
    assert told() == first
    world.clock.advance(KEPT_S)
    assert b"taskrunner_queue_depth" in told()

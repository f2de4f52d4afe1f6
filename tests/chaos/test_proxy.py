"""The fault proxy does what it says: a fault that does not strike would show nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
import urllib3

from taskrunner.clock import SystemClock
from tests.chaos.proxy import Call, Fault, FaultProxy, Kind, Rule, fault_proxy
from tests.integration.agent_harness import FakeService

HEARTBEAT = "ReportTaskRunnerHeartbeat"
PROGRESS = "ReportTaskProgress"


class Calls(list[Call]):
    """Calls as they come by."""

    def __init__(self) -> None:
        super().__init__()
        self.changed = threading.Condition()

    def take(self, call: Call) -> None:
        with self.changed:
            self.append(call)
            self.changed.notify_all()

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self) >= count, 30)


@pytest.fixture(scope="module")
def one_service() -> Iterator[FakeService]:
    service = FakeService()
    yield service
    service.close()


@pytest.fixture
def service(one_service: FakeService) -> FakeService:
    one_service.events.clear()
    return one_service


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def proxy(service: FakeService, calls: Calls) -> Iterator[FaultProxy]:
    with fault_proxy(service.url, seed=1, on_call=calls.take) as proxy:
        yield proxy


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=30) as http:
        yield http


def call(http: urllib3.PoolManager, proxy: FaultProxy, operation: str, timeout: float = 30) -> int:
    headers = {"X-Amz-Target": f"DataPipeline.{operation}"}
    return http.request(
        "POST", proxy.url, body=b'{"taskId": "t"}', headers=headers, timeout=timeout
    ).status


def seen(service: FakeService) -> int:
    return len(service.events)


def test_a_call_without_a_fault_passes(
    proxy: FaultProxy, http: urllib3.PoolManager, calls: Calls
) -> None:
    assert [call(http, proxy, PROGRESS), call(http, proxy, HEARTBEAT)] == [200, 200]
    calls.wait(2)
    assert calls[0].reply == {"canceled": False}
    assert [c.operation for c in calls if c.delivered] == [PROGRESS, HEARTBEAT]
    assert not proxy.fired


def test_a_dropped_reply_was_to_a_call_that_was_done(
    service: FakeService, proxy: FaultProxy, http: urllib3.PoolManager, calls: Calls
) -> None:
    proxy.rules(Rule(fault=Fault(kind=Kind.DROP_REPLY), operations=frozenset({PROGRESS})))
    with pytest.raises(urllib3.exceptions.ProtocolError):
        call(http, proxy, PROGRESS)
    assert call(http, proxy, HEARTBEAT) == 200
    assert seen(service) == 2
    assert proxy.fired == {(PROGRESS, Kind.DROP_REPLY): 1}
    calls.wait(2)
    assert [(c.status, c.delivered) for c in calls] == [(200, False), (200, True)]


@pytest.mark.parametrize("kind", [Kind.REFUSE, Kind.BLACKHOLE, Kind.UNAVAILABLE])
def test_some_faults_keep_the_call_from_the_service(
    service: FakeService, proxy: FaultProxy, http: urllib3.PoolManager, kind: Kind
) -> None:
    proxy.rules(Rule(fault=Fault(kind=kind), times=1))
    if kind is Kind.UNAVAILABLE:
        assert call(http, proxy, PROGRESS) == 503
    else:
        with pytest.raises(urllib3.exceptions.HTTPError):
            call(http, proxy, PROGRESS, timeout=0.3)
    assert seen(service) == 0
    assert proxy.count(kind, [PROGRESS]) == proxy.count(kind) == 1
    assert call(http, proxy, PROGRESS) == 200


@pytest.mark.parametrize("size", [0, 1, 40, 120])
def test_a_truncated_reply_ends_early(
    proxy: FaultProxy, http: urllib3.PoolManager, calls: Calls, size: int
) -> None:
    proxy.rules(Rule(fault=Fault(kind=Kind.TRUNCATE, size=size)))
    # A reply that is cut within its head looks like one without a length.
    with suppress(urllib3.exceptions.HTTPError):
        call(http, proxy, PROGRESS)
    calls.wait(1)
    assert [(c.status, c.delivered) for c in calls] == [(200, False)]
    assert proxy.count(Kind.TRUNCATE) == 1


def test_slow_and_late_replies_arrive_whole(proxy: FaultProxy, http: urllib3.PoolManager) -> None:
    clock = SystemClock()
    for fault in (
        Fault(kind=Kind.SLOW, seconds=0.001, size=3),
        Fault(kind=Kind.LATENCY, seconds=1),
    ):
        proxy.rules(Rule(fault=fault))
        began = clock.monotonic()
        assert call(http, proxy, PROGRESS) == 200
    assert clock.monotonic() - began >= 1


def test_about_a_share_of_the_calls_is_struck(proxy: FaultProxy, http: urllib3.PoolManager) -> None:
    proxy.rules(Rule(fault=Fault(kind=Kind.UNAVAILABLE), share=0.5))
    answers = [call(http, proxy, PROGRESS) for _ in range(100)]
    assert proxy.count(Kind.UNAVAILABLE) == answers.count(503)
    assert 30 < answers.count(503) < 70


def test_a_service_that_is_away_is_a_cut_connection(
    service: FakeService, proxy: FaultProxy, http: urllib3.PoolManager
) -> None:
    proxy.upstream = "http://127.0.0.1:1"
    with pytest.raises(urllib3.exceptions.HTTPError):
        call(http, proxy, PROGRESS)
    proxy.upstream = service.url
    assert call(http, proxy, PROGRESS) == 200

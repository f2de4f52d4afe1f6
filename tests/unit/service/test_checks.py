"""Preconditions that the service checks itself: placed, claimed, ended like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from taskrunner.errors import ErrorId, StoreError
from taskrunner.model.task import Task
from taskrunner.service.checks import (
    IDLE_S,
    MOST_AT_ONCE,
    NO_THREAD_S,
    Checks,
    Handouts,
    checks_of,
)
from taskrunner.service.settings import ServiceSettings
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.api import Verdict
from tests.unit.service.worlds import ON_DEMAND, FakeProvider, Object, T, check, data, ec2, ref
from tests.unit.service.worlds import shell as command

MINUTE = timedelta(minutes=1)
YES, NO = Verdict(status="FINISHED"), Verdict(status="FALSE", error_message="not yet")
TYPES = frozenset({"S3KeyExists", "S3PrefixNotEmpty"})
P, A = f"@P_{T}", f"@A_{T}"


class World:
    """A service that checks preconditions, in this thread unless a test says otherwise."""

    def __init__(self, service: ServiceInProcess) -> None:
        self.provider = FakeProvider()
        self.service = service.reset(provider=self.provider)
        self.checked: list[Task] = []
        self.answers: list[Verdict | Exception | Callable[[], Verdict]] = []
        self.waiting: list[Callable[[], None]] = []
        #: Whether checks wait in `waiting` until somebody runs them.
        self.holds = False
        #: How many threads the host refuses.
        self.refused = 0
        self.checks = self.made()

    def made(self, handouts: Handouts | None = None) -> Checks:
        service = self.service.service
        given = (service.store, handouts or service, self.check, service.work_ready)
        return Checks(*given, spawn=self.spawn)

    def spawn(self, run: Callable[[], None]) -> None:
        if self.refused:
            self.refused -= 1
            raise RuntimeError("can't start new thread")
        if self.holds:
            self.waiting.append(run)
        else:
            run()

    def check(self, task: Task) -> Verdict:
        self.checked.append(task)
        answer = self.answers.pop(0) if self.answers else YES
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Verdict) else answer()

    def step(self) -> None:
        assert self.checks.step(self.service.now) == IDLE_S
        self.service.settle()

    def run(self, *objects: Object) -> str:
        return self.service.run([ON_DEMAND, *objects])

    def guarded(self, **fields: object) -> str:
        return self.run(command("A", precondition=ref("P")), s3_key("P", **fields))


def s3_key(object_id: str, **fields: object) -> Object:
    return check(object_id, **{"type": "S3KeyExists", "role": "r", "s3Key": "s3://b/k", **fields})


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceInProcess]:
    settings = ServiceSettings(database_url="", checks=TYPES)
    with ServiceInProcess(settings=settings) as found:
        yield found


@pytest.fixture
def world(service: ServiceInProcess) -> World:
    return World(service)


def test_the_service_checks_it_and_no_agent_gets_it(world: World) -> None:
    pipeline = world.guarded()
    assert world.checks.wake.is_set()
    assert world.service.claim() is None
    world.step()
    (task,) = world.checked
    assert (task.component_id, task.main.required("s3Key")) == ("P", "s3://b/k")
    assert world.service.statuses(pipeline)[P] == "FINISHED"
    assert world.service.take().component_id == "A"


def test_only_some_types_are_the_services(world: World) -> None:
    world.run(data("D", precondition=ref("P")), command("A", input=ref("D")), check("P"))
    world.step()
    assert world.checked == []
    assert world.service.take().component_id == "P"


def test_it_is_asked_again_until_it_holds_or_its_time_is_over(world: World) -> None:
    pipeline = world.guarded(preconditionTimeout="2 minutes")
    world.answers = [NO, NO, NO]
    for _ in range(3):
        world.step()
        world.step()  # nothing is ready before its time
        world.service.advance(MINUTE)
    row = world.service.instances(pipeline)[P]
    assert len(world.checked) == 2
    assert (row.status, row.error_id) == ("FAILED", ErrorId.PRECONDITION_TIMEOUT)
    assert (row.error_message or "").endswith("; at the last look: not yet")


def test_a_failure_is_tried_again_as_an_agents_is(world: World) -> None:
    pipeline = world.guarded(maximumRetries="1", retryDelay="5 minutes")
    denied = Verdict(status="FAILED", error_id=ErrorId.ACCESS_DENIED, error_message="denied")
    world.answers = [denied, RuntimeError("what is this")]
    with capture_logs():
        world.step()
        world.service.advance(5 * MINUTE)
        world.step()
    row = world.service.instances(pipeline)[P]
    assert (row.status, row.error_message) == (
        "FAILED",
        "the service could not check it: RuntimeError: what is this",
    )
    assert [attempt.error_id for attempt in world.service.attempts(pipeline)] == [
        ErrorId.ACCESS_DENIED,
        ErrorId.INTERNAL,
    ]


def test_nothing_is_launched_for_it(world: World) -> None:
    pipeline = world.run(
        ec2("R"), command("A", runsOn=ref("R"), precondition=ref("P")), s3_key("P")
    )
    assert world.provider.launched == []
    world.step()
    assert world.service.statuses(pipeline)[P] == "FINISHED"
    assert len(world.provider.launched) == 1


def test_a_node_that_nobody_reads_needs_no_worker_group_for_it(world: World) -> None:
    pipeline = world.service.run(
        [
            {"id": "Default", "scheduleType": "ondemand"},
            data("D", precondition=ref("P")),
            s3_key("P"),
        ]
    )
    world.step()
    assert world.service.statuses(pipeline)[P] == "FINISHED"


def test_so_many_are_checked_at_a_time_and_no_more(world: World) -> None:
    world.holds = True
    names = [f"P{number}" for number in range(MOST_AT_ONCE + 1)]
    refs = [ref(name) for name in names]
    world.run(command("A", precondition=refs), *map(s3_key, names))
    world.step()
    assert len(world.waiting) == MOST_AT_ONCE
    world.checks.wake.clear()
    world.waiting.pop()()
    assert world.checks.wake.is_set()
    world.step()
    assert len(world.waiting) == MOST_AT_ONCE


def test_of_two_services_one_checks_it(world: World) -> None:
    world.holds = True
    other = world.made()
    world.guarded()
    world.step()
    other.step(world.service.now)
    assert len(world.waiting) == 1


def test_a_check_that_hangs_is_made_again_and_its_late_answer_not_taken(world: World) -> None:
    pipeline = world.guarded(reportProgressTimeout="2 minutes")

    def hanging() -> Verdict:
        world.service.advance(2 * MINUTE)
        world.step()
        return NO

    world.answers = [hanging]
    with capture_logs() as logs:
        world.step()
    assert [line["event"] for line in logs] == ["a precondition is no longer asked for"]
    assert len(world.checked) == 2
    assert world.service.statuses(pipeline)[P] == "FINISHED"


def test_what_ends_after_the_service_is_not_told(world: World) -> None:
    pipeline = world.guarded()

    def slow() -> Verdict:
        world.checks.close()
        return YES

    world.answers = [slow]
    world.step()
    assert world.service.statuses(pipeline)[P] == "RUNNING"


def test_what_was_canceled_meanwhile_is_not_checked(world: World) -> None:
    pipeline = world.guarded()
    world.holds = True
    world.step()
    world.service.service.set_status(pipeline, [P], "CANCEL")
    world.service.settle()
    world.waiting.pop()()
    assert world.checked == []
    assert world.service.statuses(pipeline)[P] == "CANCELED"


def test_what_the_host_has_no_thread_for_is_begun_later(world: World) -> None:
    names = [f"P{number}" for number in range(MOST_AT_ONCE + 1)]
    pipeline = world.run(command("A", precondition=[ref(n) for n in names]), *map(s3_key, names))
    world.refused = MOST_AT_ONCE + 2  # more than there are places: none is lost
    with capture_logs() as logs:
        for _ in range(world.refused):
            assert world.checks.step(world.service.now) == NO_THREAD_S
    assert {line["event"] for line in logs} == {"a precondition cannot be checked for now"}
    assert world.checked == []
    while len(world.checked) < len(names):
        world.step()
    assert {world.service.statuses(pipeline)[f"@{name}_{T}"] for name in names} == {"FINISHED"}


def test_what_was_handed_out_again_for_want_of_a_thread_is_checked_once(world: World) -> None:
    pipeline = world.guarded()
    world.refused = 1
    with capture_logs():
        world.checks.step(world.service.now)
        world.service.advance(5 * MINUTE)  # nobody has acknowledged it
        world.step()
    assert len(world.checked) == 1
    assert world.service.statuses(pipeline)[P] == "FINISHED"


class WithoutVerdicts:
    """A service whose store is full when a verdict comes."""

    def __init__(self, world: World) -> None:
        self.claim = world.service.service.claim
        self.report_progress = world.service.service.report_progress

    def set_task_status(self, *_: object) -> None:
        raise StoreError("the disk is full")


def test_a_verdict_that_the_store_does_not_take_is_given_anew(world: World) -> None:
    pipeline = world.guarded()
    world.checks = world.made(WithoutVerdicts(world))
    with capture_logs() as logs:
        world.step()
    assert [line["event"] for line in logs] == ["a precondition's verdict was lost"]
    assert world.service.statuses(pipeline)[P] == "RUNNING"
    world.checks = world.made()
    world.service.advance(5 * MINUTE)
    world.step()
    assert world.service.statuses(pipeline)[P] == "FINISHED"
    assert len(world.checked) == 2


def test_what_the_service_was_given_stays_with_it(world: World) -> None:
    world.guarded()
    service = world.service
    given = (service.service.store, ServiceSettings(database_url=""), service.service)
    assert checks_of(*given, None, service.service.work_ready) is None
    assert checks_of(*given, lambda _: YES, service.service.work_ready) is not None
    world.step()
    world.service.work_off()
    assert checks_of(*given, lambda _: YES, service.service.work_ready) is None

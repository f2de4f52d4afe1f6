"""Runners, time, users and restarts in any order, against a plain model of what must come of it."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from taskrunner.errors import ErrorId, InvalidRequest, TaskNotFound
from taskrunner.service.store.tables import attempts, handouts
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import T, schedule, scheduled, shell

RETRIES, DELAY = 1, timedelta(minutes=1)
ACK, LEASE = timedelta(minutes=2), timedelta(minutes=5)
ENDS = {"FINISHED", "FAILED", "CANCELED"}
WAITS_FOR = {"A": (), "B": ("A",), "C": ("A", "B"), "D": ()}


@dataclass
class Work:
    """One instance as the model sees it."""

    status: str = "WAITING_ON_DEPENDENCIES"
    attempts: int = 0
    failures: int = 0
    ready_at: datetime | None = None
    finished: bool = False  # a FINISHED verdict was accepted


@dataclass
class HandOut:
    """One hand-out as the model sees it; `live` until its verdict or until it is superseded."""

    task_id: str
    component: str
    report_by: datetime
    acknowledged: bool = False
    live: bool = True
    verdict: tuple[str, str | None] | None = None


@dataclass
class Model:
    """What must come of it, in a few lines without a store."""

    now: datetime
    work: dict[str, Work] = field(default_factory=lambda: {key: Work() for key in WAITS_FOR})
    out: list[HandOut] = field(default_factory=list)

    def let_begin(self) -> None:
        for key, work in self.work.items():
            before = [self.work[other].status for other in WAITS_FOR[key]]
            if work.status == "WAITING_ON_DEPENDENCIES" and set(before) <= {"FINISHED"}:
                self.again(key, self.now)

    def again(self, key: str, ready_at: datetime) -> None:
        work = self.work[key]
        work.attempts += 1
        work.status, work.ready_at = "WAITING_FOR_RUNNER", ready_at

    def ready(self) -> set[str]:
        return {
            k for k, w in self.work.items() if w.ready_at is not None and w.ready_at <= self.now
        }

    def hand_out(self, key: str, task_id: str) -> None:
        self.work[key].ready_at = None
        self.out.append(HandOut(task_id, key, self.now + ACK))

    def report(self, held: HandOut) -> None:
        held.acknowledged = True
        held.report_by = self.now + LEASE
        self.work[held.component].status = "RUNNING"

    def conclude(self, held: HandOut, status: str, error_id: str | None) -> None:
        work = self.work[held.component]
        held.live, held.verdict = False, (status, error_id)
        if status == "FINISHED":
            work.status, work.finished = "FINISHED", True
        elif error_id == ErrorId.INTERRUPTED:
            self.again(held.component, self.now)
        elif work.failures == RETRIES:
            work.status = "FAILED"
        else:
            work.failures += 1
            self.again(held.component, self.now + DELAY)

    def cancel(self, key: str) -> None:
        work = self.work[key]
        if work.status not in ENDS:
            work.status, work.ready_at = "CANCELED", None
            for held in self.out:
                held.live &= held.component != key

    def pass_time(self, by: timedelta) -> None:
        self.now += by
        for held in [held for held in self.out if held.live and held.report_by <= self.now]:
            held.live = False
            work = self.work[held.component]
            if held.acknowledged:
                self.again(held.component, self.now)
            else:
                work.ready_at = self.now


@cache
def kept() -> ServiceInProcess:
    """One service for all examples: opening one costs more than an example."""
    world = ServiceInProcess()
    atexit.register(world.close)
    return world


class RunnersAndTime(RuleBasedStateMachine):
    """The service beside the model: after every step they agree."""

    #: Which service; `tests/chaos` has others.
    kept: Callable[[], ServiceInProcess] = staticmethod(kept)

    def __init__(self) -> None:
        super().__init__()
        self.world = self.kept().reset()
        default = scheduled(maximumRetries=str(RETRIES), retryDelay="1 minute")
        objects = [shell(key, after=" ".join(before)) for key, before in WAITS_FOR.items()]
        self.pipeline = self.world.run([default, schedule(period="1 year"), *objects])
        self.model = Model(self.world.now)
        self.model.let_begin()
        self.ended: dict[str, str] = {}

    @rule()
    def poll(self) -> None:
        task = self.world.claim(acknowledge=False)
        ready = self.model.ready()
        if task is None:
            assert ready == set()
            return
        assert task.component_id in ready
        number = self.model.work[task.component_id].attempts
        assert task.attempt_id == f"@{task.component_id}_{T}_Attempt={number}"
        assert task.task_id not in {held.task_id for held in self.model.out}
        self.model.hand_out(task.component_id, task.task_id)

    def pick(self, data: st.DataObject) -> HandOut:
        # The newest is as likely as all the others together: they are mostly over.
        held = self.model.out
        return data.draw(st.one_of(st.just(held[-1]), st.sampled_from(held)))

    @precondition(lambda self: self.model.out)
    @rule(data=st.data())
    def report(self, data: st.DataObject) -> None:
        held = self.pick(data)
        canceled = self.world.service.report_progress(held.task_id, {"rows": "1"})
        assert canceled is not held.live
        if held.live:
            self.model.report(held)
        self.world.settle()

    @precondition(lambda self: self.model.out)
    @rule(
        data=st.data(),
        verdict=st.sampled_from(
            [("FINISHED", None), ("FAILED", "X"), ("FAILED", ErrorId.INTERRUPTED)]
        ),
    )
    def conclude(self, data: st.DataObject, verdict: tuple[str, str | None]) -> None:
        held = self.pick(data)
        if held.live or held.verdict == verdict:
            self.world.service.set_task_status(held.task_id, *verdict)
            self.world.settle()
        elif held.verdict is not None:
            with pytest.raises(InvalidRequest):
                self.world.service.set_task_status(held.task_id, *verdict)
        else:
            with pytest.raises(TaskNotFound):
                self.world.service.set_task_status(held.task_id, *verdict)
        if held.live:
            self.model.conclude(held, *verdict)
            self.model.let_begin()

    @rule(seconds=st.sampled_from([1, 59, 60, 119, 120, 181, 299, 300, 3600]))
    def time_passes(self, seconds: int) -> None:
        self.model.pass_time(timedelta(seconds=seconds))
        self.world.advance(seconds)

    @rule(key=st.sampled_from(sorted(WAITS_FOR)))
    def cancel(self, key: str) -> None:
        self.world.service.set_status(self.pipeline, [f"@{key}_{T}"], "CANCEL")
        self.world.settle()
        self.model.cancel(key)

    @rule(really=st.integers(0, 3))
    def restart(self, really: int) -> None:
        if really == 3:  # it is dear
            self.world.reopen()

    @invariant()
    def the_service_is_where_the_model_is(self) -> None:
        rows = {row.component_id: row for row in self.world.instances(self.pipeline).values()}
        found = {k: (str(r.status), r.attempt_count, r.failures) for k, r in rows.items()}
        work = self.model.work
        assert found == {k: (w.status, w.attempts, w.failures) for k, w in work.items()}
        for key, row in rows.items():
            if key in self.ended or row.status in ENDS:
                assert self.ended.setdefault(key, str(row.status)) == row.status
            assert (row.status == "FINISHED") == work[key].finished

    @invariant()
    def an_attempt_is_held_once(self) -> None:
        with self.world.service.store.read() as conn:
            live = conn.execute(LIVE_HANDOUTS).all()
            instances = conn.execute(OPEN_ATTEMPTS).scalars().all()
        assert {row.task_id for row in live} == {h.task_id for h in self.model.out if h.live}
        assert len({row.attempt_id for row in live}) == len(live)
        assert len(set(instances)) == len(instances)


LIVE_HANDOUTS = sa.select(handouts.c.task_id, handouts.c.attempt_id).where(
    handouts.c.state.in_(["ASSIGNED", "RUNNING"])
)
OPEN_ATTEMPTS = sa.select(attempts.c.instance_id).where(
    attempts.c.status.in_(["WAITING_FOR_RUNNER", "RUNNING"])
)
RunnersAndTime.TestCase.settings = settings(
    max_examples=settings().max_examples // 2,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
#: Its steps are those that other tests measure, in other orders.
TestRunnersAndTime = pytest.mark.no_cover(RunnersAndTime.TestCase)

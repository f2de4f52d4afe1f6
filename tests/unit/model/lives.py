"""Making views for the planner, and a plain machine that carries out its decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from taskrunner.model.decisions import (
    Announce,
    AwaitPlace,
    Become,
    Decision,
    DependencyView,
    EndAttempt,
    Event,
    LookAgain,
    Notify,
    Queue,
    Requeue,
    StartAttempt,
    View,
    Withhold,
)
from taskrunner.model.instances import DependencyKind, attempt_id
from taskrunner.model.planner import decide
from taskrunner.model.policy import Policy
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, AttemptStatus, InstanceStatus, advance

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def instance(**changes: Any) -> InstanceRow:
    """An activity that waits, whose time has come."""
    row = InstanceRow(
        pipeline_id="df-1",
        instance_id="@A_2026-02-13T02:00:00",
        component_id="A",
        name="A",
        type="ShellCommandActivity",
        category="activity",
        version=1,
        status=InstanceStatus.WAITING_ON_DEPENDENCIES,
        scheduled_start=NOW,
        scheduled_end=NOW + HOUR,
        not_before=NOW,
        created_at=NOW,
        worker_group="wg",
    )
    return replace(row, **changes)


def attempt(**changes: Any) -> AttemptRow:
    """A first attempt in the queue."""
    row = AttemptRow(
        pipeline_id="df-1",
        attempt_id="@A_2026-02-13T02:00:00_Attempt=1",
        instance_id="@A_2026-02-13T02:00:00",
        number=1,
        status=AttemptStatus.WAITING_FOR_RUNNER,
        worker_group="wg",
        queue=Queue.READY,
        ready_at=NOW,
        lease_s=300,
        created_at=NOW,
    )
    return replace(row, **changes)


def waiting(*dependencies: DependencyView, policy: Policy | None = None, **changes: Any) -> View:
    """A waiting instance with dependencies."""
    return View(instance=instance(**changes), policy=policy or Policy(), dependencies=dependencies)


def running(
    *dependencies: DependencyView,
    policy: Policy | None = None,
    head: AttemptRow | None = None,
    **changes: Any,
) -> View:
    """An instance whose attempt a runner holds."""
    row = instance(
        **{"status": InstanceStatus.RUNNING, "attempt_count": 1, "actual_start": NOW, **changes}
    )
    held = attempt(
        status=AttemptStatus.RUNNING,
        queue=Queue.OUT,
        task_id="task-1",
        started_at=NOW,
        report_by=NOW + 5 * MINUTE,
    )
    return View(
        instance=row, policy=policy or Policy(), dependencies=dependencies, head=head or held
    )


def ended(status: AttemptStatus, error_id: str | None = None, **changes: Any) -> AttemptRow:
    """An attempt at its end."""
    return attempt(
        **{
            "status": status,
            "queue": Queue.DONE,
            "started_at": NOW,
            "ended_at": NOW,
            "error_id": error_id,
            "error_message": "it broke" if error_id else None,
            **changes,
        }
    )


def resource(status: InstanceStatus, *users: InstanceStatus, **changes: Any) -> View:
    """A resource and the activities that run on it."""
    policy = changes.pop("policy", Policy())
    until = changes.pop("more_users_until", None)
    row = instance(
        **{
            "instance_id": "@R_2026-02-13T02:00:00",
            "component_id": "R",
            "type": "Ec2Resource",
            "category": "resource",
            "status": status,
            **changes,
        }
    )
    return View(instance=row, policy=policy, users=users, more_users_until=until)


def on(
    status: InstanceStatus | None,
    kind: DependencyKind = DependencyKind.DEPENDS_ON,
    instance_id: str = "@B_2026-02-13T02:00:00",
) -> DependencyView:
    """Something that is waited for."""
    return DependencyView(instance_id, kind, status)


@dataclass
class Life:
    """An instance that lives by the planner's decisions alone, carried out one by one."""

    view: View
    now: datetime = NOW
    events: list[Event] = field(default_factory=list)
    attempts: int = 0
    due: datetime | None = NOW

    def step(self, decision: Decision) -> None:
        """Carry out one decision."""
        _CARRY_OUT[type(decision)](self, decision)

    def decide(self) -> list[Decision]:
        """What the planner says now."""
        return decide(self.view, self.now)

    def settle(self) -> None:
        """Decide and carry out, until nothing is due at this moment."""
        rounds = 0
        while self.due is not None and self.due <= self.now:
            self.due = None
            for decision in self.decide():
                self.step(decision)
            rounds += 1
            assert rounds < 20, "it goes in circles"

    @property
    def status(self) -> InstanceStatus:
        return self.view.instance.status

    def update(self, **changes: Any) -> None:
        self.view = replace(self.view, instance=replace(self.view.instance, **changes))

    def update_head(self, **changes: Any) -> None:
        assert self.view.head is not None
        self.view = replace(self.view, head=replace(self.view.head, **changes))

    def wake(self) -> None:
        self.due = self.now

    def outcome(self) -> tuple[object, ...]:
        """What an observer can tell of where it has come to."""
        head = self.view.head
        row = self.view.instance
        seen = (head.status, head.queue, head.number) if head else ()
        return (row.status, row.attempt_count, row.failures, *seen)


def _become(life: Life, decision: Become) -> None:
    advance(life.view.instance.status, decision.status)
    life.update(
        status=decision.status,
        error_id=decision.error_id,
        error_message=decision.error_message,
        cause=decision.cause,
    )
    # The store wakes resources and those that wait; both are harmless to anybody.
    if decision.status not in INSTANCE_TERMINAL:
        life.wake()


def _start(life: Life, decision: StartAttempt) -> None:
    row = life.view.instance
    assert decision.number == row.attempt_count + 1
    life.attempts += 1
    life.update(attempt_count=decision.number, failures=row.failures + decision.charged)
    timeout = life.view.policy.attempt_timeout
    head = attempt(
        attempt_id=attempt_id(row.instance_id, decision.number),
        number=decision.number,
        ready_at=decision.ready_at,
        created_at=life.now,
        timeout_s=timeout.total_seconds() if timeout else None,
    )
    life.view = replace(life.view, head=head)


def _requeue(life: Life, decision: Requeue) -> None:
    head = life.view.head
    assert head is not None
    if head.status is not AttemptStatus.WAITING_FOR_RUNNER:
        advance(head.status, AttemptStatus.WAITING_FOR_RUNNER)
    life.update_head(
        status=AttemptStatus.WAITING_FOR_RUNNER,
        queue=Queue.READY,
        ready_at=decision.ready_at,
        report_by=None,
        task_id=None,
    )


def _withhold(life: Life, _decision: Withhold) -> None:
    life.update_head(queue=Queue.HELD)


def _end(life: Life, decision: EndAttempt) -> None:
    assert life.view.head is not None
    advance(life.view.head.status, decision.status)
    life.update_head(
        status=decision.status,
        queue=Queue.DONE,
        report_by=None,
        ended_at=life.now,
        error_id=decision.error_id,
        error_message=decision.error_message,
    )


def _notify(life: Life, decision: Notify) -> None:
    life.events.append(decision.event)
    if decision.event is Event.LATE:
        life.update(late_fired=True)


def _await_place(life: Life, _decision: AwaitPlace) -> None:
    life.update(place_wanted=True)


def _announce(_life: Life, _decision: Announce) -> None:
    return


def _look_again(life: Life, decision: LookAgain) -> None:
    life.due = decision.at if life.due is None else min(life.due, decision.at)


_CARRY_OUT: dict[type, Callable[[Life, Any], None]] = {
    Become: _become,
    StartAttempt: _start,
    Requeue: _requeue,
    Withhold: _withhold,
    EndAttempt: _end,
    Notify: _notify,
    AwaitPlace: _await_place,
    Announce: _announce,
    LookAgain: _look_again,
}

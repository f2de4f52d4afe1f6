"""Carrying out the planner's decisions about one instance, each guarded by what it expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.model.decisions import (
    ACTIVE,
    Announce,
    Become,
    Decision,
    EndAttempt,
    Event,
    LookAgain,
    Notify,
    Queue,
    Requeue,
    StartAttempt,
    View,
)
from taskrunner.model.instances import Category, DependencyKind, attempt_id
from taskrunner.model.planner import cancel
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import (
    INSTANCE_TERMINAL,
    AttemptStatus,
    advance,
)
from taskrunner.service.actions.alarms import notify
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as store
from taskrunner.service.store import links

__all__ = ["Round", "apply"]


@dataclass
class Round:
    """One transaction's worth of scheduling, and what is to be told outside once it commits."""

    conn: Connection
    now: datetime
    settings: ServiceSettings
    #: Worker groups in which work has become ready.
    ready: set[str] = field(default_factory=set)
    #: Pipelines of which an instance came to its end.
    ended: set[str] = field(default_factory=set)


@dataclass
class _Change:
    """An instance under change: `row` and `head` follow what has been written."""

    round: Round
    loaded: LoadedDefinition
    view: View
    row: InstanceRow
    head: AttemptRow | None
    #: A Terminate action ended it: what was decided besides is void.
    terminated: bool = False

    def update(self, **values: Any) -> bool:
        """Write columns of the instance, if its status is still the one that was decided on."""
        if not store.update_instance(self.round.conn, self.row, **values):
            return False
        self.row = replace(self.row, **values)
        return True


def apply(
    round_: Round, loaded: LoadedDefinition, view: View, decisions: list[Decision]
) -> InstanceRow:
    """Carry out decisions in order; returns the instance as it is then.

    When something else has changed the instance meanwhile, the rest is left and it is looked at
    again.
    """
    change = _Change(round_, loaded, view, view.instance, view.head)
    for decision in decisions:
        if not _APPLY[type(decision)](change, decision):
            row = change.row
            store.wake(round_.conn, row.pipeline_id, [row.instance_id], round_.now)
            break
        if change.terminated:
            break
    return change.row


def _become(change: _Change, decision: Become) -> bool:
    round_, before = change.round, change.row
    advance(before.status, decision.status)
    values: dict[str, Any] = {
        "status": decision.status,
        "error_id": decision.error_id,
        "error_message": decision.error_message,
        "cause": decision.cause,
    }
    terminal = decision.status in INSTANCE_TERMINAL
    if terminal:
        values["actual_end"] = round_.now
        values["due_at"] = None
        if before.actual_start is None:
            values["actual_start"] = _began(change)
    if not change.update(**values):
        return False
    if terminal:
        _ended(change)
    elif decision.status in ACTIVE and before.status not in ACTIVE:
        _wake_resource(change)
    elif before.category == Category.RESOURCE:
        # The resource manager acts on the new status; users may have waited for it.
        store.wake(round_.conn, before.pipeline_id, [before.instance_id], round_.now)
    return True


def _began(change: _Change) -> datetime | None:
    """When what ends now began, if nothing has said so before."""
    if change.row.category == Category.DATANODE:
        return change.round.now
    return change.head.started_at if change.head else None


def _ended(change: _Change) -> None:
    round_, row = change.round, change.row
    round_.ended.add(row.pipeline_id)
    dependents = links.dependents_of(round_.conn, row.pipeline_id, [row.instance_id])
    waiting = [d.instance_id for d in dependents.get(row.instance_id, ())]
    checks = [
        d.instance_id for d in change.view.dependencies if d.kind is DependencyKind.PRECONDITION
    ]
    store.wake(round_.conn, row.pipeline_id, [*waiting, *checks], round_.now)
    _wake_resource(change)
    if change.view.policy.max_active is not None:
        store.wake_siblings(round_.conn, row, round_.now)


def _wake_resource(change: _Change) -> None:
    """Have the resource looked at: it is needed, or perhaps no longer."""
    row = change.row
    resources = [
        d.instance_id for d in change.view.dependencies if d.kind is DependencyKind.RESOURCE
    ]
    if resources:
        store.wake(change.round.conn, row.pipeline_id, resources, change.round.now)


def _start_attempt(change: _Change, decision: StartAttempt) -> bool:
    round_, row, policy = change.round, change.row, change.view.policy
    lease = policy.report_timeout
    timeout = policy.attempt_timeout
    attempt = AttemptRow(
        pipeline_id=row.pipeline_id,
        attempt_id=attempt_id(row.instance_id, decision.number),
        instance_id=row.instance_id,
        number=decision.number,
        status=AttemptStatus.WAITING_FOR_RUNNER,
        worker_group=row.worker_group or "",
        queue=Queue.READY,
        ready_at=decision.ready_at,
        lease_s=lease.total_seconds() if lease else round_.settings.lease_timeout_s,
        timeout_s=timeout.total_seconds() if timeout else None,
        created_at=round_.now,
    )
    failures = row.failures + (1 if decision.charged else 0)
    if not change.update(attempt_count=decision.number, failures=failures):
        return False
    attempt_store.insert_attempt(round_.conn, attempt)
    change.head = attempt
    return _announce(change, Announce()) if decision.ready_at <= round_.now else True


def _requeue(change: _Change, decision: Requeue) -> bool:
    head = change.head
    if head is None:
        return False
    changed = attempt_store.update_attempt(
        change.round.conn,
        head,
        held_by=head.task_id,
        status=AttemptStatus.WAITING_FOR_RUNNER,
        queue=Queue.READY,
        ready_at=decision.ready_at,
        report_by=None,
        # Whatever the old hand-out still says must not fit any more.
        task_id=None,
    )
    if changed and head.task_id is not None:
        attempt_store.close_handout(change.round.conn, head.task_id, "SUPERSEDED")
    return changed


def _end_attempt(change: _Change, decision: EndAttempt) -> bool:
    head, round_ = change.head, change.round
    if head is None:
        return True
    advance(head.status, decision.status)
    changed = attempt_store.update_attempt(
        round_.conn,
        head,
        status=decision.status,
        queue=Queue.DONE,
        report_by=None,
        ended_at=round_.now,
        error_id=decision.error_id,
        error_message=decision.error_message,
    )
    if changed and head.task_id is not None:
        attempt_store.close_handout(round_.conn, head.task_id, "SUPERSEDED")
    return changed


def _notify(change: _Change, decision: Notify) -> bool:
    if decision.event is Event.LATE and not change.update(late_fired=True):
        return False
    round_ = change.round
    if not notify(round_.conn, change.loaded, change.row, decision.event, round_.now):
        return True
    view = replace(change.view, instance=change.row, head=change.head)
    ending = cancel(view, f"the Terminate action of {decision.event} ended it")
    change.terminated = bool(ending)
    return all(_APPLY[type(step)](change, step) for step in ending)


def _announce(change: _Change, _decision: Announce) -> bool:
    if change.row.worker_group:
        change.round.ready.add(change.row.worker_group)
    return True


def _look_again(change: _Change, decision: LookAgain) -> bool:
    store.look_again(change.round.conn, change.row, decision.at)
    return True


_APPLY: Mapping[type, Callable[[_Change, Any], bool]] = {
    Become: _become,
    StartAttempt: _start_attempt,
    Requeue: _requeue,
    EndAttempt: _end_attempt,
    Notify: _notify,
    Announce: _announce,
    LookAgain: _look_again,
}

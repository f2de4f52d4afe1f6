"""Carrying out the planner's decisions about one instance, each guarded by what it expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.errors import ErrorId
from taskrunner.logs import get_logger
from taskrunner.model.decisions import (
    ACTIVE,
    Announce,
    AwaitPlace,
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
    Withhold,
    active_statuses,
)
from taskrunner.model.instances import Category, DependencyKind, attempt_id
from taskrunner.model.policy import Policy
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.shared_decisions import cancel
from taskrunner.model.states import (
    INSTANCE_FAILED,
    INSTANCE_TERMINAL,
    AttemptStatus,
    InstanceStatus,
    advance,
)
from taskrunner.service.actions.alarms import notify
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.meters import Meters
from taskrunner.service.settings import CHECKS_GROUP, ServiceSettings
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links

log = get_logger()


@dataclass
class SchedulingTransaction:
    """One transaction's worth of scheduling, and what is to be told outside once it commits."""

    conn: Connection
    now: datetime
    settings: ServiceSettings
    #: Worker groups in which work has become ready.
    ready: set[str] = field(default_factory=set)
    #: Pipelines of which an instance came to its end.
    ended: set[str] = field(default_factory=set)
    #: What is counted once it commits, by the names of metrics.
    counted: Counter[str] = field(default_factory=Counter)
    #: What is logged then: an event of `events`, and its facts.
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    #: By pipelines: the instances that have ended and whose dependents are to be woken, and those
    #: that are to be woken themselves, as values None.
    over: dict[str, list[str]] = field(default_factory=dict)
    waking: dict[str, dict[str, None]] = field(default_factory=dict)

    def tell(self, event: str, row: InstanceRow, **facts: Any) -> None:
        """Have something that happened to an instance logged once it commits."""
        where = {"pipeline_id": row.pipeline_id, "instance_id": row.instance_id}
        self.told.append((event, {**where, **{k: v for k, v in facts.items() if v is not None}}))

    def wake(self, row: InstanceRow, instance_ids: Iterable[str]) -> None:
        """Have instances of the row's pipeline looked at; written by `wake_up`, all at once."""
        self.waking.setdefault(row.pipeline_id, {}).update(dict.fromkeys(instance_ids))

    def wake_up(self, pipeline_id: str) -> None:
        """Wake whoever waits for what has changed of a pipeline; the end of every round.

        One statement for all: of instances that end by the thousand each has its dependents.
        """
        over, waking = self.over.pop(pipeline_id, ()), self.waking.pop(pipeline_id, {})
        if over:
            for found in links.dependents_of(self.conn, pipeline_id, over).values():
                waking.update((dependent.instance_id, None) for dependent in found)
        instance_store.wake(self.conn, pipeline_id, waking, self.now)

    def wake_none(self, pipeline_id: str) -> None:
        """Forget whom to wake: what was changed of the pipeline is undone."""
        self.over.pop(pipeline_id, None)
        self.waking.pop(pipeline_id, None)

    def committed(self, meters: Meters) -> None:
        """Count and log what has happened."""
        meters.add_all(self.counted)
        for event, facts in self.told:
            log.warning(event, **facts)


@dataclass
class _Change:
    """An instance under change: `row` and `head` follow what has been written."""

    transaction: SchedulingTransaction
    loaded: LoadedDefinition
    view: View
    row: InstanceRow
    head: AttemptRow | None
    #: A Terminate action ended it: what was decided besides is void.
    terminated: bool = False

    def update(self, **values: Any) -> bool:
        """Write columns of the instance, if its status is still the one that was decided on."""
        if not instance_store.update_instance(self.transaction.conn, self.row, **values):
            return False
        self.row = replace(self.row, **values)
        return True


def apply(
    transaction: SchedulingTransaction,
    loaded: LoadedDefinition,
    view: View,
    decisions: Sequence[Decision],
) -> InstanceRow:
    """Carry out decisions in order; returns the instance as it is then.

    Whom that wakes is written by the transaction's `wake_up`. When something else has changed the
    instance meanwhile, the rest is left and it is looked at again.
    """
    change = _Change(transaction, loaded, view, view.instance, view.head)
    for decision in decisions:
        if not _APPLY[type(decision)](change, decision):
            transaction.wake(change.row, [change.row.instance_id])
            break
        if change.terminated:
            break
    return change.row


def _become(change: _Change, decision: Become) -> bool:
    transaction, before = change.transaction, change.row
    advance(before.status, decision.status)
    values: dict[str, Any] = {
        "status": decision.status,
        "error_id": decision.error_id,
        "error_message": decision.error_message,
        "cause": decision.cause,
    }
    terminal = decision.status in INSTANCE_TERMINAL
    if terminal:
        values["actual_end"] = transaction.now
        values["due_at"] = None
        if before.actual_start is None:
            values["actual_start"] = _began(change)
    elif before.status is InstanceStatus.PAUSED and before.actual_start is not None:
        # A precondition's time does not run on while it is paused.
        values["actual_start"] = transaction.now
    if not change.update(**values):
        return False
    _tell_of_failure(change.transaction, before, decision)
    places = active_statuses(before.category)
    if before.status in places and decision.status not in places:
        instance_store.wake_siblings(transaction.conn, before, transaction.now)
    if terminal:
        ended(transaction, change.view)
    elif decision.status in ACTIVE and before.status not in ACTIVE:
        wake_resource(transaction, change.view)
    elif before.category == Category.RESOURCE:
        # The resource manager acts on the new status; users may have waited for it.
        transaction.wake(before, [before.instance_id])
        if decision.error_id is not None:
            transaction.over.setdefault(before.pipeline_id, []).append(before.instance_id)
    return True


def _tell_of_failure(
    transaction: SchedulingTransaction, row: InstanceRow, decision: Become
) -> None:
    # To be canceled is what somebody wanted.
    if decision.status in INSTANCE_FAILED - {InstanceStatus.CANCELED}:
        status = str(decision.status)
        transaction.tell("an instance failed", row, status=status, error_id=decision.error_id)


def _began(change: _Change) -> datetime | None:
    """When what ends now began, if nothing has said so before."""
    if change.row.category == Category.DATANODE:
        return change.transaction.now
    return change.head.started_at if change.head else None


def ended(transaction: SchedulingTransaction, view: View) -> None:
    """Have those looked at who wait for the end that an instance has come to."""
    row = view.instance
    transaction.ended.add(row.pipeline_id)
    transaction.over.setdefault(row.pipeline_id, []).append(row.instance_id)
    checks = [d.instance_id for d in view.dependencies if d.kind is DependencyKind.PRECONDITION]
    transaction.wake(row, checks)
    wake_resource(transaction, view)


def wake_resource(transaction: SchedulingTransaction, view: View) -> None:
    """Have the resource looked at: it is needed, or perhaps no longer."""
    resources = [d.instance_id for d in view.dependencies if d.kind is DependencyKind.RESOURCE]
    transaction.wake(view.instance, resources)


def new_attempt(
    transaction: SchedulingTransaction, row: InstanceRow, policy: Policy, decision: StartAttempt
) -> AttemptRow:
    """The attempt that is to enter the queue."""
    lease = policy.report_timeout
    timeout = policy.attempt_timeout
    return AttemptRow(
        pipeline_id=row.pipeline_id,
        attempt_id=attempt_id(row.instance_id, decision.number),
        instance_id=row.instance_id,
        number=decision.number,
        status=AttemptStatus.WAITING_FOR_RUNNER,
        worker_group=row.worker_group or "",
        queue=Queue.READY,
        ready_at=decision.ready_at,
        lease_s=lease.total_seconds() if lease else transaction.settings.lease_timeout_s,
        timeout_s=timeout.total_seconds() if timeout else None,
        created_at=transaction.now,
    )


def _start_attempt(change: _Change, decision: StartAttempt) -> bool:
    transaction, row = change.transaction, change.row
    attempt = new_attempt(transaction, row, change.view.policy, decision)
    failures = row.failures + (1 if decision.charged else 0)
    if not change.update(attempt_count=decision.number, failures=failures):
        return False
    attempt_store.insert_attempt(transaction.conn, attempt)
    change.head = attempt
    return _announce(change, Announce()) if decision.ready_at <= transaction.now else True


def _requeue(change: _Change, decision: Requeue) -> bool:
    head = change.head
    if head is None:
        return False
    values: dict[str, Any] = {
        "status": AttemptStatus.WAITING_FOR_RUNNER,
        "queue": Queue.READY,
        "ready_at": decision.ready_at,
        "report_by": None,
        # Whatever the old hand-out still says must not fit any more.
        "task_id": None,
    }
    conn = change.transaction.conn
    if not attempt_store.update_attempt(conn, head, held_by=head.task_id, **values):
        return False
    change.head = replace(head, **values)
    if head.task_id is not None:
        attempt_store.close_handout(conn, head.task_id, "SUPERSEDED")
        change.transaction.counted["taskrunner_handouts_unacknowledged_total"] += 1
    return True


def _withhold(change: _Change, _decision: Withhold) -> bool:
    head = change.head
    if head is None:
        return False
    change.head = replace(head, queue=Queue.HELD)
    return attempt_store.update_attempt(change.transaction.conn, head, queue=Queue.HELD)


def _end_attempt(change: _Change, decision: EndAttempt) -> bool:
    head, transaction = change.head, change.transaction
    if head is None:
        return True
    advance(head.status, decision.status)
    changed = attempt_store.update_attempt(
        transaction.conn,
        head,
        status=decision.status,
        queue=Queue.DONE,
        report_by=None,
        ended_at=transaction.now,
        error_id=decision.error_id,
        error_message=decision.error_message,
    )
    if changed and head.task_id is not None:
        attempt_store.close_handout(transaction.conn, head.task_id, "SUPERSEDED")
    if changed and decision.error_id == ErrorId.STALLED and head.worker_group != CHECKS_GROUP:
        transaction.counted["taskrunner_leases_lost_total"] += 1
        transaction.tell(
            "a runner fell silent", change.row, hostname=head.hostname, attempt=head.number
        )
    return changed


def _notify(change: _Change, decision: Notify) -> bool:
    if decision.event is Event.LATE and not change.update(late_fired=True):
        return False
    transaction = change.transaction
    if not notify(transaction.conn, change.loaded, change.row, decision.event, transaction.now):
        return True
    view = replace(change.view, instance=change.row, head=change.head)
    ending = cancel(view, f"the Terminate action of {decision.event} ended it")
    change.terminated = bool(ending)
    return all(_APPLY[type(step)](change, step) for step in ending)


def _await_place(change: _Change, _decision: AwaitPlace) -> bool:
    return change.update(place_wanted=True)


def _announce(change: _Change, _decision: Announce) -> bool:
    if change.row.worker_group:
        change.transaction.ready.add(change.row.worker_group)
    return True


def _look_again(change: _Change, decision: LookAgain) -> bool:
    instance_store.look_again(change.transaction.conn, change.row, decision.at)
    return True


_APPLY: Mapping[type, Callable[[_Change, Any], bool]] = {
    Become: _become,
    StartAttempt: _start_attempt,
    Requeue: _requeue,
    Withhold: _withhold,
    EndAttempt: _end_attempt,
    Notify: _notify,
    AwaitPlace: _await_place,
    Announce: _announce,
    LookAgain: _look_again,
}

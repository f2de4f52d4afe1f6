"""What many instances of a round become alike: carried out for all of them by one statement.

A thousand pipelines that fall due at once begin everything they have; a year of a pipeline that is
deactivated ends all of it. Whatever is not as plain as that is `apply`'s, one instance at a time.
The caller holds the instances, so that each is as its row says until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskrunner.model.decisions import Become, Decision, StartAttempt, View
from taskrunner.model.instances import Category
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.service.apply import SchedulingTransaction, ended, new_attempt, wake_resource
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store

_BEGIN = Become(status=InstanceStatus.WAITING_FOR_RUNNER)


@dataclass(slots=True)
class Alike:
    """The plain decisions about instances of one pipeline, until they are carried out."""

    transaction: SchedulingTransaction
    _begun: list[tuple[View, AttemptRow]] = field(default_factory=list)
    _canceled: dict[Become, list[View]] = field(default_factory=dict)
    #: Those about which there is nothing to be done.
    _idle: list[InstanceRow] = field(default_factory=list)

    def take(self, view: View, decisions: Sequence[Decision]) -> InstanceStatus | None:
        """Note what was decided about an instance; returns the status that it will have.

        None when that is not plain: then it is the caller's to apply.
        """
        row = view.instance
        if not decisions:
            self._idle.append(row)
            return row.status
        if row.status is not InstanceStatus.WAITING_ON_DEPENDENCIES or row.attempt_count:
            return None
        match decisions:
            case [StartAttempt(number=1, charged=False) as start, become] if (
                become == _BEGIN and start.ready_at <= self.transaction.now
            ):
                attempt = new_attempt(self.transaction, row, view.policy, start)
                self._begun.append((view, attempt))
                return _BEGIN.status
            case [Become(status=InstanceStatus.CANCELED) as become] if (
                row.category != Category.DATANODE
            ):
                self._canceled.setdefault(become, []).append(view)
                return become.status
            case _:
                return None

    def carry_out(self, *, are_due: bool = False) -> None:
        """Write all that was noted; with `are_due` also that they are not due any more."""
        asleep = {"due_at": None, "place_wanted": False} if are_due else {}
        if are_due and self._idle:
            ids = [row.instance_id for row in self._idle]
            instance_store.put_off(self.transaction.conn, self._idle[0].pipeline_id, ids, None)
        if self._begun:
            self._begin(asleep)
        for become, views in self._canceled.items():
            self._cancel(become, views, asleep)

    def _begin(self, asleep: Mapping[str, Any]) -> None:
        transaction = self.transaction
        rows = [view.instance for view, _ in self._begun]
        values = {"status": _BEGIN.status, "attempt_count": 1, **_reasons(_BEGIN), **asleep}
        instance_store.update_unbegun(transaction.conn, rows, **values)
        attempt_store.insert_attempts(transaction.conn, [attempt for _, attempt in self._begun])
        for view, attempt in self._begun:
            wake_resource(transaction, view)
            if attempt.worker_group:
                transaction.ready.add(attempt.worker_group)

    def _cancel(self, become: Become, views: Sequence[View], asleep: Mapping[str, Any]) -> None:
        transaction = self.transaction
        values = {"status": become.status, "actual_end": transaction.now, "due_at": None}
        instance_store.update_unbegun(
            transaction.conn,
            [view.instance for view in views],
            **{**values, **_reasons(become), **asleep},
        )
        for view in views:
            ended(transaction, view)


def _reasons(become: Become) -> dict[str, str | None]:
    return {
        "error_id": become.error_id,
        "error_message": become.error_message,
        "cause": become.cause,
    }

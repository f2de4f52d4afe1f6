"""What many instances of a round become alike: carried out for all of them by one statement.

A thousand pipelines that fall due at once begin everything they have; a year of a pipeline that is
deactivated ends all of it. Whatever is not as plain as that is `apply`'s, one instance at a time.
The caller holds the instances, so that each is as its row says until the transaction ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from taskrunner.model.decisions import Become, Decision, StartAttempt, View
from taskrunner.model.instances import Category
from taskrunner.model.rows import AttemptRow
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

    def take(self, view: View, decisions: Sequence[Decision]) -> InstanceStatus | None:
        """Note what was decided about an instance; returns the status that it will have.

        None when that is not plain: then it is the caller's to apply.
        """
        row = view.instance
        if row.status is not InstanceStatus.WAITING_ON_DEPENDENCIES or row.attempt_count:
            return None
        match decisions:
            case [StartAttempt(number=1, charged=False) as start, become] if become == _BEGIN:
                if start.ready_at > self.transaction.now:
                    return None
                attempt = new_attempt(self.transaction, row, view.policy, start)
                self._begun.append((view, attempt))
                return _BEGIN.status
            case [Become(status=InstanceStatus.CANCELED) as become]:
                if row.category == Category.DATANODE:
                    return None
                self._canceled.setdefault(become, []).append(view)
                return become.status
            case _:
                return None

    def carry_out(self) -> None:
        """Write all that was noted."""
        if self._begun:
            self._begin()
        for become, views in self._canceled.items():
            self._cancel(become, views)

    def _begin(self) -> None:
        transaction = self.transaction
        rows = [view.instance for view, _ in self._begun]
        instance_store.update_unbegun(
            transaction.conn, rows, status=_BEGIN.status, attempt_count=1, **_reasons(_BEGIN)
        )
        attempt_store.insert_attempts(transaction.conn, [attempt for _, attempt in self._begun])
        for view, attempt in self._begun:
            wake_resource(transaction, view)
            if attempt.worker_group:
                transaction.ready.add(attempt.worker_group)

    def _cancel(self, become: Become, views: Sequence[View]) -> None:
        transaction = self.transaction
        instance_store.update_unbegun(
            transaction.conn,
            [view.instance for view in views],
            status=become.status,
            actual_end=transaction.now,
            due_at=None,
            **_reasons(become),
        )
        for view in views:
            ended(transaction, view)


def _reasons(become: Become) -> dict[str, str | None]:
    return {
        "error_id": become.error_id,
        "error_message": become.error_message,
        "cause": become.cause,
    }

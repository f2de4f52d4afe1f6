"""The four operations of runners: hand out, acknowledge, keep alive, conclude.

Every hand-out has a fresh random task id. Whatever a runner says is taken only from the hand-out
that holds the attempt; nothing is ever identified by host or runner name.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError, ErrorId, InvalidRequest, TaskNotFound
from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import AttemptStatus, InstanceStatus
from taskrunner.model.task import Task
from taskrunner.service.callers import Caller
from taskrunner.service.definitions import Load
from taskrunner.service.masking import hidden
from taskrunner.service.runtime import moment
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import resources as resource_store
from taskrunner.service.store.attempts import Held
from taskrunner.service.store.rows import HandoutRow
from taskrunner.service.views import task_objects

#: Random bytes in a task id: far beyond guessing.
TASK_ID_BYTES = 32

_VERDICTS = {"FINISHED": AttemptStatus.FINISHED, "FAILED": AttemptStatus.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """An attempt whose verdict was taken, and its instance, which the transaction holds."""

    #: As it was before.
    instance: InstanceRow
    #: As it is now.
    attempt: AttemptRow


@dataclass(frozen=True, slots=True)
class Tasks:
    """Runner operations within one write transaction."""

    conn: Connection
    now: datetime
    load: Load
    settings: ServiceSettings
    #: Who polls gets what its account has; who reports speaks for what it was given itself.
    caller: Caller

    def any(self, worker_group: str) -> bool:
        """Whether a claim would change anything; needs no write transaction."""
        if attempt_store.any_ready(self.conn, worker_group, self.now, account=self.caller.account):
            return True
        return self._arriving(worker_group) is not None

    def claim(self, worker_group: str, hostname: str | None) -> Task | None:
        """Hand out the attempt of the group that has waited longest, if there is one."""
        self._resource_arrived(worker_group)
        account = self.caller.account
        while found := attempt_store.claim_ready(
            self.conn, worker_group, self.now, account=account
        ):
            handed_out = self._hand_out(*found, hostname)
            if handed_out is not None:
                return handed_out
        return None

    def _hand_out(self, attempt: AttemptRow, row: InstanceRow, hostname: str | None) -> Task | None:
        loaded = self.load(row.pipeline_id, row.version)
        try:
            objects = task_objects(self.conn, loaded, row, attempt)
        except DefinitionError as error:
            failed = AttemptStatus.FAILED
            self._conclude(attempt, failed, ErrorId.INVALID_FIELD, str(error))
            self._wake(attempt)
            return None
        # Digits alone: one that began with a dash the AWS CLI would take for an option.
        task_id = secrets.token_hex(TASK_ID_BYTES)
        report_by = self.now + timedelta(seconds=self.settings.ack_timeout_s)
        attempt_store.update_attempt(
            self.conn,
            attempt,
            queue=Queue.OUT,
            task_id=task_id,
            report_by=report_by,
            hostname=hostname,
        )
        handout = HandoutRow(
            task_id=task_id,
            pipeline_id=attempt.pipeline_id,
            attempt_id=attempt.attempt_id,
            state="ASSIGNED",
            handed_out_at=self.now,
            hostname=hostname,
            account=self.caller.account,
            user_id=self.caller.user,
        )
        attempt_store.insert_handout(self.conn, handout)
        instance_store.look_again(self.conn, row, report_by)
        return Task(
            task_id=task_id,
            pipeline_id=attempt.pipeline_id,
            attempt_id=attempt.attempt_id,
            objects=objects,
        )

    def give_back(self, task_id: str) -> None:
        """End the hand-out's window now: it is known that its runner did not get it."""
        held = self._held(task_id)
        if held.handout.state == "ASSIGNED":
            attempt, _ = self._of(held)
            attempt_store.update_attempt(self.conn, attempt, held_by=task_id, report_by=self.now)
            self._wake(attempt)

    def progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        """Take a report of progress, the first being the acknowledgement; true: stop the work.

        Raises TaskNotFound for a task id that was never handed out.
        """
        held = self._held(task_id)
        if held.handout.state not in {"ASSIGNED", "RUNNING"}:
            return True
        attempt, row = self._of(held)
        report_by = self.now + timedelta(seconds=attempt.lease_s)
        values = {
            "report_by": report_by,
            "progress": dict(fields) or attempt.progress,
        }
        if attempt.status is AttemptStatus.WAITING_FOR_RUNNER:
            self._acknowledged(task_id, attempt, row, report_by)
            values |= {"status": AttemptStatus.RUNNING, "started_at": self.now}
        return not attempt_store.update_attempt(self.conn, attempt, held_by=task_id, **values)

    def _acknowledged(
        self, task_id: str, attempt: AttemptRow, row: InstanceRow, report_by: datetime
    ) -> None:
        attempt_store.start_handout(self.conn, task_id)
        # The lease and attemptTimeout begin now. It is due already at the end of the window that
        # this was in time for, mostly before them: so nothing is to be decided at once.
        ends = [report_by] if row.due_at is None else [report_by, row.due_at]
        if attempt.timeout_s is not None:
            ends.append(self.now + timedelta(seconds=attempt.timeout_s))
        instance_store.update_instance(
            self.conn,
            row,
            status=InstanceStatus.RUNNING,
            actual_start=row.actual_start or self.now,
            due_at=min(ends),
        )

    def conclude(
        self,
        task_id: str,
        status: str,
        error_id: str | None = None,
        message: str | None = None,
        stack_trace: str | None = None,
    ) -> Concluded | None:
        """Take a verdict. The same one again is accepted again, and changes nothing.

        Returns what is to be decided about now; the caller sees to that, or wakes the instance.

        Raises TaskNotFound when the hand-out is superseded or unknown, InvalidRequest for a
        verdict that contradicts the one given before or cannot be.
        """
        held = self._held(task_id)
        handout, digest = held.handout, _digest(status, error_id, message)
        if handout.state == "DONE":
            if handout.verdict != digest:
                raise InvalidRequest("the task has ended with another status already")
            return None
        if handout.state == "SUPERSEDED":
            raise TaskNotFound("the task has been given to another runner or was canceled")
        attempt, row = self._of(held)
        message, stack_trace = self._without_secrets(row, message, stack_trace)
        if status == "FALSE":
            accepted = self._not_yet(attempt, row, message)
        elif status in _VERDICTS:
            ended = _VERDICTS[status]
            accepted = self._conclude(attempt, ended, error_id, message, stack_trace)
        else:
            raise InvalidRequest(f"task status {status!r}: wanted FINISHED, FAILED or FALSE")
        if accepted is None or not (
            attempt_store.close_handout(self.conn, task_id, "DONE", verdict=digest)
        ):
            raise TaskNotFound("the task has been given to another runner or was canceled")
        return Concluded(instance=row, attempt=accepted)

    def _without_secrets(self, row: InstanceRow, *texts: str | None) -> tuple[str | None, ...]:
        """What a runner says, as it may be shown: not every runner takes care of secrets."""
        if not any(texts):
            return texts
        loaded = self.load(row.pipeline_id, row.version)
        secrets = loaded.secret_texts(moment(loaded, row))
        return tuple(text and hidden(text, secrets) for text in texts)

    def _not_yet(
        self, attempt: AttemptRow, row: InstanceRow, message: str | None
    ) -> AttemptRow | None:
        if row.category != Category.PRECONDITION:
            raise InvalidRequest("only a precondition can be FALSE")
        # The message is kept for the case that it never holds: it says what was found instead.
        return self._changed(attempt, queue=Queue.FALSE, report_by=None, error_message=message)

    def _conclude(
        self,
        attempt: AttemptRow,
        status: AttemptStatus,
        error_id: str | None,
        message: str | None,
        stack_trace: str | None = None,
    ) -> AttemptRow | None:
        return self._changed(
            attempt,
            status=status,
            queue=Queue.DONE,
            report_by=None,
            started_at=attempt.started_at or self.now,
            ended_at=self.now,
            error_id=error_id,
            error_message=message,
            error_stack_trace=stack_trace,
        )

    def _changed(self, attempt: AttemptRow, **values: Any) -> AttemptRow | None:
        """An attempt with other values, unless it is not as it was any more."""
        taken = attempt_store.update_attempt(self.conn, attempt, held_by=attempt.task_id, **values)
        return replace(attempt, **values) if taken else None

    def _wake(self, attempt: AttemptRow) -> None:
        """Have the instance decided about."""
        instance_store.wake(self.conn, attempt.pipeline_id, [attempt.instance_id], self.now)

    def _resource_arrived(self, worker_group: str) -> None:
        """A managed resource runs from the moment that its own runner asks for work."""
        found = self._arriving(worker_group)
        if found is not None:
            instance_store.update_instance(
                self.conn,
                found,
                status=InstanceStatus.RUNNING,
                actual_start=found.actual_start or self.now,
                due_at=self.now,
                # Which said that it waits for just this.
                error_message=None,
            )

    def _arriving(self, worker_group: str) -> InstanceRow | None:
        if not worker_group.startswith("resource:"):
            return None
        account = self.caller.account
        return resource_store.creating_resource(self.conn, worker_group, account=account)

    def _held(self, task_id: str) -> Held:
        """The hand-out, with its instance held: the scheduler decides before or after this.

        Another caller's is not found: it is answered as an id that never was.
        """
        account, user = self.caller.account, self.caller.user
        held = attempt_store.load_held(self.conn, task_id, account=account, user=user)
        if held is None:
            raise TaskNotFound("no task has this id")
        return held

    def _of(self, held: Held) -> tuple[AttemptRow, InstanceRow]:
        """What the hand-out is of, while it is."""
        attempt, row = held.attempt, held.instance
        if attempt is None or row is None or attempt.task_id != held.handout.task_id:
            raise TaskNotFound("the task has been given to another runner")
        return attempt, row


def _digest(status: str, error_id: str | None, message: str | None) -> str:
    text = "\0".join((status, error_id or "", message or ""))
    return f"{status} {hashlib.sha256(text.encode()).hexdigest()[:32]}"

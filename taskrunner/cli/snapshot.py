"""What a run looks like at one moment: read from the service, shown by the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from graphlib import CycleError, TopologicalSorter

from taskrunner.model.blocked import blocked, over
from taskrunner.model.instances import Dependency
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import InstanceStatus, PipelineState
from taskrunner.service.engine import Service
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links
from taskrunner.service.store.rows import AlarmRow

_DONE_WELL = frozenset({InstanceStatus.FINISHED, InstanceStatus.SKIPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The instances, attempts and alarms of one pipeline."""

    pipeline_id: str
    state: PipelineState
    now: datetime
    instances: tuple[InstanceRow, ...]
    attempts: Mapping[str, tuple[AttemptRow, ...]]
    alarms: tuple[AlarmRow, ...]
    #: Waiting instances that can never run -> what holds them back.
    blocked: Mapping[str, str]

    @classmethod
    def take(cls, service: Service, pipeline_id: str) -> Snapshot:
        """Read everything in one transaction."""
        state = service.pipeline(pipeline_id).state
        with service.store.read() as conn:
            rows = instance_store.load_instances(conn, pipeline_id)
            ids = [row.instance_id for row in rows]
            waits = links.dependencies_of(conn, pipeline_id, ids) if ids else {}
            attempts = attempt_store.load_attempts(conn, pipeline_id)
            alarms = alarm_store.load_alarms(conn, pipeline_id)
        grouped: dict[str, list[AttemptRow]] = {}
        for attempt in attempts:
            grouped.setdefault(attempt.instance_id, []).append(attempt)
        return cls(
            pipeline_id=pipeline_id,
            state=state,
            now=service.clock.now(),
            instances=tuple(_in_order(rows, waits)),
            attempts={key: tuple(found) for key, found in grouped.items()},
            alarms=tuple(alarms),
            blocked=blocked({row.instance_id: row.status for row in rows}, waits),
        )

    @property
    def over(self) -> bool:
        """Whether nothing more will happen: all at their end, or only waiting for ever."""
        # Not while the scheduler has yet to look at one: the failure may cascade to it.
        due = any(
            row.due_at is not None and row.due_at <= self.now
            for row in self.instances
            if row.instance_id in self.blocked
        )
        return not due and over(self.instances, self.blocked)

    @property
    def succeeded(self) -> bool:
        """Whether every instance ended well."""
        return bool(self.instances) and all(row.status in _DONE_WELL for row in self.instances)

    def origin(self, row: InstanceRow) -> str:
        """The instance that, over however many others, holds a blocked one back."""
        found = row.instance_id
        while found in self.blocked:
            found = self.blocked[found]
        return found

    def head(self, row: InstanceRow) -> AttemptRow | None:
        """The newest attempt of an instance."""
        found = self.attempts.get(row.instance_id)
        return found[-1] if found else None

    def elapsed_s(self, row: InstanceRow) -> float | None:
        """Seconds since an instance started, or that it took."""
        if row.actual_start is None:
            return None
        end = row.actual_end or self.now
        return max(0.0, (end - row.actual_start).total_seconds())

    def progress(self, row: InstanceRow) -> str:
        """What is to be said of an instance beyond its status, in a few words."""
        if row.instance_id in self.blocked:
            return f"never: {self.origin(row)} has not FINISHED"
        head = self.head(row)
        if row.status is InstanceStatus.RUNNING and head is not None:
            return _told(head.progress)
        if row.error_message and row.status is not InstanceStatus.FINISHED:
            return row.error_message.splitlines()[0]
        if head is not None and head.number > 1 and row.status not in _DONE_WELL:
            return self._last_failure(row)
        return ""

    def _last_failure(self, row: InstanceRow) -> str:
        failed = [a for a in self.attempts[row.instance_id] if a.error_message]
        return (failed[-1].error_message or "").splitlines()[0] if failed else ""


def _told(progress: Mapping[str, str]) -> str:
    return ", ".join(
        f"{_amount(key, value)} {key}" if value.isdigit() else f"{key} {value}"
        for key, value in progress.items()
    )


def _amount(key: str, value: str) -> str:
    return value if key == "percent" else f"{int(value):,}"


def _in_order(
    rows: Sequence[InstanceRow], waits: Mapping[str, Sequence[Dependency]]
) -> list[InstanceRow]:
    """By period, and within a period what is waited for before who waits."""
    graph = {
        row.instance_id: [d.instance_id for d in waits.get(row.instance_id, ())] for row in rows
    }
    try:
        order = {key: n for n, key in enumerate(TopologicalSorter(graph).static_order())}
    except CycleError:
        # Validation refuses cycles; whatever gets here is still to be shown.
        order = {}
    return sorted(rows, key=lambda row: (row.scheduled_start, order.get(row.instance_id, 0)))

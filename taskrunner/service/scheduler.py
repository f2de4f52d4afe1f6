"""Scheduling: make the instances whose time has come, decide about those that are due."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.engine import Connection

from taskrunner.model.states import PipelineState
from taskrunner.service.advance import advance_instances
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.definitions import Load
from taskrunner.service.meters import Meters
from taskrunner.service.savepoint import TROUBLE_PAUSE, in_savepoint
from taskrunner.service.schedule_expander import INSTANCES_AT_ONCE, ScheduleExpander
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import due as due_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import ScheduleRow
from taskrunner.service.traces import INSTANCES
from taskrunner.service.unchanged import Unchanged
from taskrunner.service.wakeups import WorkReady
from taskrunner.tracing import Kind

#: Instances decided about in one transaction.
BATCH = 100
#: No nap is longer, in seconds: another process that changed something may have died before it
#: decided what follows from that.
LONGEST_NAP_S = 1.0
SHORTEST_NAP_S = 0.01


@dataclass(frozen=True)
class Scheduler:
    """One pass over everything that is due; safe in several processes at once on PostgreSQL."""

    store: Store
    settings: ServiceSettings
    load: Load
    work_ready: WorkReady
    meters: Meters = field(default_factory=Meters)
    unchanged: Unchanged = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unchanged", Unchanged(self.store))

    def step(self, now: datetime) -> float:
        """Do what is due; how long nothing will be due then, in seconds. 0: there may be more."""
        done, due = self._round(now)
        if done:
            return 0
        left_s = LONGEST_NAP_S if due is None else (due - now).total_seconds()
        # What another process has claimed is still due.
        return min(LONGEST_NAP_S, max(SHORTEST_NAP_S, left_s))

    def tick(self, now: datetime) -> bool:
        """Make due instances and decide about due ones; whether anything was done."""
        return self._round(now)[0]

    def _round(self, now: datetime) -> tuple[bool, datetime | None]:
        """Whether anything was done, and what was due next before that."""
        look = self.unchanged.look(now)
        if not look.is_needed:
            return False, look.until
        with self.store.read() as conn:
            # Mostly there is nothing: looking must not wait in line with the writers.
            schedule, instance = due_store.next_moments(conn)
        due = _earlier(schedule, instance)
        if not _is_due(due, now):
            self.unchanged.found_nothing(look, until=due)
            return False, due
        found, made = self._make_instances(now) if _is_due(schedule, now) else (False, 0)
        decided = self._decide(now) if _is_due(instance, now) or found else 0
        done, left = found or bool(decided), made - decided
        # All that was made, before more is: else their definitions would have made room for those
        # of the next ones, and be loaded a second time.
        while decided and left > 0:
            decided = self._decide(now)
            left -= decided
        return done, due

    def is_soon_due(self, conn: Connection, now: datetime) -> bool:
        """Whether anything may be due before the next look that nobody asks for."""
        return _is_due(
            _earlier(*due_store.next_moments(conn)), now + timedelta(seconds=LONGEST_NAP_S)
        )

    def _make_instances(self, now: datetime) -> tuple[bool, int]:
        """Whether any schedule was due that nobody else has claimed, and how many were made."""
        with (
            self.settings.tracing.span("make instances", Kind.INTERNAL) as span,
            self.store.write() as conn,
        ):
            due = pipeline_store.due_schedules(conn, now, 20)
            left = INSTANCES_AT_ONCE
            span.is_dropped = not due
            for row in due:
                made: list[int] = []
                step = partial(self._make, conn, row, now, left, made)
                if not in_savepoint(conn, row.pipeline_id, step):
                    later = now + TROUBLE_PAUSE
                    pipeline_store.set_schedule(conn, row, row.next_index, later)
                left -= sum(made)
                span.note(INSTANCES, INSTANCES_AT_ONCE - left)
                if left <= 0:
                    break
        return bool(due), INSTANCES_AT_ONCE - left

    def _make(
        self, conn: Connection, row: ScheduleRow, now: datetime, most: int, made: list[int]
    ) -> None:
        pipeline = pipeline_store.load_pipeline(conn, row.pipeline_id)
        if pipeline.state is not PipelineState.SCHEDULED:
            pipeline_store.set_schedule(conn, row, row.next_index, None)
            return
        loaded = self.load(row.pipeline_id, pipeline.active_version)
        expander = ScheduleExpander(pipeline, loaded, checks=self.settings.checks)
        made.append(expander.advance(conn, row, now, most))

    def _decide(self, now: datetime) -> int:
        """Decide about some of what is due; about how many."""
        with (
            self.settings.tracing.span("decide about instances", Kind.INTERNAL) as span,
            self.store.write() as conn,
        ):
            transaction = SchedulingTransaction(conn, now, self.settings)
            rows = due_store.claim_due(conn, now, BATCH)
            span.note(INSTANCES, len(rows))
            span.is_dropped = not rows
            advance_instances(transaction, rows, self.load)
            self.work_ready.tell(conn, transaction.ready, now)
        # Only after the commit: a woken poll must find what it was woken for.
        self.work_ready.announce(transaction.ready)
        transaction.committed(self.meters)
        return len(rows)


def _is_due(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _earlier(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)

"""Changing instances by hand: rerun, cancel, finish, backfill. All of them may be tried dry.

What a dry run tells is what a transaction did that was undone: nothing is told that would not be
so. Many instances are changed in portions, each a transaction of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from taskrunner.errors import InvalidRequest
from taskrunner.model.instances import DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.model.run_status import run_status
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, InstanceStatus
from taskrunner.service import backfill
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.backfills import new_backfill_id
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.rerun import in_portions
from taskrunner.service.set_status import begin_again, set_status
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links, summaries
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.backfills import BackfillRow, BackfillStage
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import instances
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.outcomes import (
    BackfillAction,
    BackfillPlan,
    BackfillRun,
    Changed,
    ChangedInstance,
    Overwritten,
    Reason,
)
from taskrunner.service.v1.requests import Backfill, Cancel, Finish, OfInstances, Order, Rerun

#: Instances that are changed in one transaction, and by one call.
_PORTION = 200
_MOST = 20_000
_MOST_TOLD = 1000
_LIVE = frozenset(InstanceStatus) - INSTANCE_TERMINAL

#: (transaction, pipeline, rows) -> what was changed, as it was.
_Change = Callable[
    [SchedulingTransaction, PipelineRow, Sequence[InstanceRow]], Sequence[InstanceRow]
]


class _Undone(Exception):
    """Nothing of a dry run stays."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A change of a pipeline's instances."""

    service: Service
    pipeline: PipelineRow
    request: OfInstances

    def carry_out(
        self, rows: Sequence[InstanceRow], can: Collection[InstanceStatus], change: _Change
    ) -> Changed:
        """Change those that can be, in portions."""
        wanted = {row.instance_id for row in rows}
        fit = [row for row in rows if row.status in can]
        done: dict[str, InstanceRow] = {}
        for some in in_portions(fit, _PORTION):
            with self._transaction() as transaction:
                for row in self._change(transaction, some, can, change):
                    done.setdefault(row.instance_id, row)
        told = sorted(done.values(), key=lambda row: (row.scheduled_start, row.instance_id))
        return Changed(
            dry_run=self.request.dry_run,
            count=len(done),
            unchanged=len(wanted - done.keys()),
            instances=tuple(self._told(row, wanted) for row in told[:_MOST_TOLD]),
        )

    def _change(
        self,
        transaction: SchedulingTransaction,
        some: Sequence[InstanceRow],
        can: Collection[InstanceStatus],
        change: _Change,
    ) -> Sequence[InstanceRow]:
        conn, key = transaction.conn, self.pipeline.pipeline_id
        pipeline = pipeline_store.load_pipeline(conn, key, lock=True)
        ids = [row.instance_id for row in some]
        # As they are now: others may have changed them, or they came along with a portion before.
        found = instance_store.load_instances(conn, key, ids, lock=True)
        rows = [row for row in found if row.status in can]
        return change(transaction, pipeline, rows) if rows else ()

    @contextmanager
    def _transaction(self) -> Iterator[SchedulingTransaction]:
        with suppress(_Undone), self.service.transaction() as transaction:
            yield transaction
            if self.request.dry_run:
                raise _Undone

    def _told(self, row: InstanceRow, wanted: Collection[str]) -> ChangedInstance:
        return ChangedInstance(
            id=row.instance_id,
            component_id=row.component_id,
            start=row.scheduled_start,
            was=row.status,
            reason=Reason.SELECTED if row.instance_id in wanted else Reason.ALONG,
        )


def rerun(service: Service, caller: Caller, request: Rerun) -> Changed:
    """Begin ended instances again."""
    pipeline = service.pipeline(request.pipeline_id, caller)
    default = () if request.ids or request.status else sorted(INSTANCE_FAILED)
    rows = _selected(service, pipeline, request, default)
    below = _downstream(service, pipeline, rows) if request.downstream else []

    def change(
        transaction: SchedulingTransaction, row: PipelineRow, some: Sequence[InstanceRow]
    ) -> Sequence[InstanceRow]:
        return begin_again(transaction, row, some)

    work = _Work(service, pipeline, request)
    changed = work.carry_out([*rows, *below], INSTANCE_TERMINAL, change)
    return _with_reasons(changed, {row.instance_id for row in below})


def cancel(service: Service, caller: Caller, request: Cancel) -> Changed:
    """End instances that have not ended."""
    return _by_word(service, caller, request, "CANCEL", _LIVE)


def finish(service: Service, caller: Caller, request: Finish) -> Changed:
    """Take instances for finished, so that what waits for them goes on."""
    able = frozenset(InstanceStatus) - {InstanceStatus.FINISHED}
    return _by_word(service, caller, request, "MARK_FINISHED", able)


def _by_word(
    service: Service,
    caller: Caller,
    request: OfInstances,
    word: str,
    able: Collection[InstanceStatus],
) -> Changed:
    pipeline = service.pipeline(request.pipeline_id, caller)

    def change(
        transaction: SchedulingTransaction, row: PipelineRow, some: Sequence[InstanceRow]
    ) -> Sequence[InstanceRow]:
        ids = [one.instance_id for one in some]
        set_status(transaction, row, ids, word, service.loaded, caller)
        return some

    rows = _selected(service, pipeline, request, ())
    return _Work(service, pipeline, request).carry_out(rows, able, change)


def _selected(
    service: Service,
    pipeline: PipelineRow,
    request: OfInstances,
    default: Sequence[InstanceStatus],
) -> list[InstanceRow]:
    """The instances that are meant. Raises InvalidRequest where none are named, NotFound."""
    statuses = request.status or default
    where: list[sa.ColumnElement[bool]] = []
    for column, wanted in (
        (instances.c.component_id, request.component),
        (instances.c.status, request.status),
    ):
        if wanted:
            where.append(column.in_(wanted))
    start = instances.c.scheduled_start
    if request.run is not None:
        where.append(start == request.run)
    if request.first is not None:
        where.append(start >= request.first)
    if request.last is not None:
        where.append(start <= request.last)
    if not (where or request.ids):
        raise InvalidRequest(
            "say which instances: ids, or one of run, first, last, component and status"
        )
    if statuses and not request.status:
        where.append(instances.c.status.in_(statuses))
    with service.store.read() as conn:
        if request.ids:
            return _named(
                instance_store.load_instances(conn, pipeline.pipeline_id, request.ids),
                request.ids,
                pipeline.pipeline_id,
            )
        rows = summaries.page_of_instances(conn, pipeline.pipeline_id, _MOST + 1, where=where)
    if len(rows) > _MOST:
        raise InvalidRequest(f"that are more than {_MOST} instances: wanted fewer at once")
    return rows[::-1]


def _named(found: list[InstanceRow], ids: Sequence[str], pipeline_id: str) -> list[InstanceRow]:
    missing = set(ids) - {row.instance_id for row in found}
    if missing:
        raise NotFound(f"no instance {min(missing)!r} in {pipeline_id}")
    return found


def _downstream(
    service: Service, pipeline: PipelineRow, rows: Sequence[InstanceRow]
) -> list[InstanceRow]:
    """Everything that depends on some instances, step by step."""
    key = pipeline.pipeline_id
    known = {row.instance_id for row in rows}
    found: list[InstanceRow] = []
    waiting = sorted(known)
    with service.store.read() as conn:
        while waiting:
            ids = {
                of.instance_id
                for some in in_portions(waiting)
                for followers in links.dependents_of(conn, key, some).values()
                for of in followers
                if of.kind is not DependencyKind.RESOURCE
            }
            waiting = sorted(ids - known)
            known |= ids
            for some in in_portions(waiting):
                found += instance_store.load_instances(conn, key, some)
            if len(known) > _MOST:
                raise InvalidRequest(f"on these depend more than {_MOST} instances")
    return found


def _with_reasons(changed: Changed, below: Collection[str]) -> Changed:
    told = tuple(
        ChangedInstance(
            id=one.id,
            component_id=one.component_id,
            start=one.start,
            was=one.was,
            reason=Reason.DOWNSTREAM if one.id in below else one.reason,
        )
        for one in changed.instances
    )
    return Changed(
        dry_run=changed.dry_run, count=changed.count, unchanged=changed.unchanged, instances=told
    )


def backfill_periods(service: Service, caller: Caller, request: Backfill) -> BackfillPlan:
    """Run periods of the past, or tell which would run and what they would overwrite."""
    row = service.pipeline(request.pipeline_id, caller)
    if request.order is Order.NEWEST and request.limit is None:
        raise InvalidRequest(
            "order: newest takes a limit; without one all periods are set going at once"
        )
    wanted = backfill.Wanted(
        first=request.first,
        last=request.last,
        redo=backfill.REDO[request.redo],
        components=frozenset(request.component),
    )
    periods = backfill.plan(service, row, wanted)
    backfill_id = None if request.dry_run else _carried_out(service, caller, request, periods)
    runs = tuple(_run(service, row, period) for period in periods)
    return BackfillPlan(
        dry_run=request.dry_run,
        runs=runs,
        count=sum(run.action is not BackfillAction.KEEP for run in runs),
        backfill_id=backfill_id,
    )


def _carried_out(
    service: Service, caller: Caller, request: Backfill, periods: Sequence[backfill.Period]
) -> str | None:
    """The id of the backfill; None when nothing of it runs."""
    row = BackfillRow(
        backfill_id=new_backfill_id(),
        pipeline_id=request.pipeline_id,
        stage=BackfillStage.GOING,
        first=request.first,
        last=request.last,
        redo=request.redo,
        components=request.component,
        reason=request.reason,
        asked_by=caller.user,
        asked_at=service.clock.now(),
        periods=len(periods),
        newest_first=request.order is Order.NEWEST,
        at_once=request.limit,
    )
    return row.backfill_id if backfill.carry_out(service, row, periods) else None


def _run(service: Service, row: PipelineRow, period: backfill.Period) -> BackfillRun:
    loaded = service.loaded(row.pipeline_id, row.active_version)
    counts: dict[InstanceStatus, int] = {}
    for found in period.found:
        counts[found.status] = counts.get(found.status, 0) + 1
    begins: BackfillAction = BackfillAction.KEEP
    if period.made:
        begins = BackfillAction.MAKE
    elif period.again:
        begins = BackfillAction.RERUN
    return BackfillRun(
        start=period.occurrence.start,
        end=period.occurrence.end,
        schedule_id=period.schedule_id,
        action=begins,
        status=run_status(counts) if counts else None,
        components=period.component_ids,
        overwrites=tuple(
            Overwritten(component_id=component_id, node_id=node_id, place=place)
            for component_id, node_id, place in backfill.overwritten(loaded, period)
        ),
    )


def newest_runs(
    service: Service, pipeline: PipelineRow, runs: int
) -> tuple[datetime, datetime] | None:
    """The first and the last start of the newest runs of a pipeline; None: it has none."""
    with service.store.read() as conn:
        starts = summaries.run_starts(conn, pipeline.pipeline_id, runs)
    return (starts[-1], starts[0]) if starts else None

"""Ending what may be large, a pipeline's instances or all of its rows, a portion at a time.

Each portion is a transaction of its own, and others write in between: the time for which they wait
does not grow with the pipeline. What a service that died amid it has left is taken up by the next
one, and once an hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from taskrunner.errors import PipelineDeleted
from taskrunner.model.decisions import Decision, View
from taskrunner.model.planner import decide
from taskrunner.model.shared_decisions import cancel, end_with_pipeline
from taskrunner.model.states import INSTANCE_LIVE, PipelineState
from taskrunner.service.activation import decide_about, stop
from taskrunner.service.advance import finish_pipelines
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.definitions import Load
from taskrunner.service.rerun import in_portions
from taskrunner.service.store import audit, removal
from taskrunner.service.store import backfills as backfill_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import resources as resource_store
from taskrunner.service.store.backfills import BackfillRow, BackfillStage
from taskrunner.service.store.database import Store

#: Instances that are ended in one transaction.
PORTION = 50


@dataclass(frozen=True, slots=True)
class Stopping:
    """Deactivating and deleting pipelines."""

    store: Store
    transaction: Callable[[], AbstractContextManager[SchedulingTransaction]]
    load: Load

    def deactivate(self, pipeline_id: str, *, cancel_active: bool) -> None:
        """Make no more instances, begin nothing new, and end what waits.

        What a runner has is ended too with `cancel_active`; else it goes on to its end, and the
        pipeline is INACTIVE then. The guide: "you can have AWS Data Pipeline wait until the
        activities finish before deactivating the pipeline". Raises InvalidRequest when it is not
        active.
        """
        with self.transaction() as transaction:
            row = pipeline_store.load_pipeline(transaction.conn, pipeline_id, lock=True)
            stop(transaction, row, cancel_active=cancel_active)
            how = "with what runs" if cancel_active else "once what runs has ended"
            audit.note(transaction.conn, pipeline_id, before=str(row.state), after=f"stops {how}")
        _all(self._end(pipeline_id, transaction.now, cancel_active=cancel_active))

    def _end(self, pipeline_id: str, since: datetime, *, cancel_active: bool) -> Iterator[None]:
        """End instances, a portion for each value that is yielded."""
        # The planner knows what a pipeline that is being deactivated lets go on.
        what = _cancel if cancel_active else decide
        with self.store.read() as conn:
            ids = instance_store.live_ids(conn, pipeline_id)
        for some in in_portions(ids, PORTION):
            self.store.give_way()
            with self.transaction() as transaction:
                if not self._is_stopped(transaction, pipeline_id, since):
                    return  # activated again, deactivated again or deleted: no more our business
                found = instance_store.load_instances(
                    transaction.conn, pipeline_id, some, lock=True
                )
                rows = [row for row in found if row.status in INSTANCE_LIVE]
                decide_about(transaction, pipeline_id, rows, self.load, what)
            yield
        with self.transaction() as transaction:
            if self._is_stopped(transaction, pipeline_id, since):
                finish_pipelines(transaction.conn, [pipeline_id], self.load, transaction.now)

    def _is_stopped(
        self, transaction: SchedulingTransaction, pipeline_id: str, since: datetime
    ) -> bool:
        try:
            row = pipeline_store.load_pipeline(transaction.conn, pipeline_id, lock=True)
        except PipelineDeleted:
            return False
        return row.state is PipelineState.DEACTIVATING and row.last_deactivated_at == since

    def delete(self, pipeline_id: str, now: datetime) -> list[str]:
        """Delete a pipeline with all that it has; what runs is canceled.

        From the first moment on nobody sees it any more. Returns the handles of the resources that
        were launched for it.
        """
        with self.store.write() as conn:
            row = pipeline_store.load_pipeline(conn, pipeline_id, lock=True)
            launched = resource_store.launched_resources(conn, pipeline_id)
            removal.mark_deleted(conn, row, now)
            audit.note(conn, pipeline_id, before=f"{row.name} ({row.state})", after="deleted")
        _all(self._remove(pipeline_id))
        return launched

    def _remove(self, pipeline_id: str) -> Iterator[None]:
        """Remove rows, a portion for each value that is yielded."""
        more = True
        while more:
            self.store.give_way()
            with self.store.write() as conn:
                # Their runners learn from the missing hand-out that they are to stop.
                more = removal.remove_some(conn, pipeline_id)
            yield

    def end_backfill(self, row: BackfillRow) -> None:
        """Cancel what has not ended of a backfill that is CANCELING."""
        _all(self._end_backfill(row))

    def _end_backfill(self, row: BackfillRow) -> Iterator[None]:
        with self.store.read() as conn:
            ids = backfill_store.live_ids(conn, row)
        for some in in_portions(ids, PORTION):
            self.store.give_way()
            with self.transaction() as transaction:
                if not self._is_there(transaction, row.pipeline_id):
                    return
                found = instance_store.load_instances(
                    transaction.conn, row.pipeline_id, some, lock=True
                )
                # Another backfill may have taken one meanwhile.
                rows = [one for one in found if one.backfill_id == row.backfill_id]
                decide_about(transaction, row.pipeline_id, rows, self.load, _cancel_backfill)
            yield
        with self.transaction() as transaction:
            if self._is_there(transaction, row.pipeline_id):
                conn = transaction.conn
                backfill_store.update(conn, row.backfill_id, stage=BackfillStage.CANCELED)
                pause_store.remove_pauses(conn, row.pipeline_id, [row.backfill_id])
                finish_pipelines(conn, [row.pipeline_id], self.load, transaction.now)

    def _is_there(self, transaction: SchedulingTransaction, pipeline_id: str) -> bool:
        try:
            pipeline_store.load_pipeline(transaction.conn, pipeline_id, lock=True)
        except PipelineDeleted:
            return False
        return True

    def take_up(self) -> Iterator[None]:
        """Go on with what was begun and not finished, by whatever service; a portion a step."""
        with self.store.read() as conn:
            stopped = pipeline_store.being_deactivated(conn)
            canceled = backfill_store.being_canceled(conn)
            deleted = removal.half_removed(conn)
        for row in stopped:
            if row.last_deactivated_at is not None:
                since, cancel_active = row.last_deactivated_at, bool(row.cancels_active)
                yield from self._end(row.pipeline_id, since, cancel_active=cancel_active)
        for backfill in canceled:
            yield from self._end_backfill(backfill)
        for pipeline_id in deleted:
            yield from self._remove(pipeline_id)


def _all(portions: Iterator[None]) -> None:
    deque(portions, maxlen=0)


def _cancel_backfill(view: View, _now: datetime) -> list[Decision]:
    return cancel(view, "its backfill was canceled")


def _cancel(view: View, _now: datetime) -> list[Decision]:
    return end_with_pipeline(view)

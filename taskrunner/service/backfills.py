"""What becomes of a backfill once it was asked for: paused, resumed, canceled.

It is paused as a component is: by its id, in the table of pauses. What of it has begun goes on to
its end, the rest waits. Ending it is work for `stopping`, which does that in portions.
"""

from __future__ import annotations

import secrets

from taskrunner.errors import InvalidRequest
from taskrunner.service.apply import SchedulingTransaction
from taskrunner.service.engine import Service
from taskrunner.service.pauses import hold, let_go
from taskrunner.service.store import audit
from taskrunner.service.store import backfills as backfill_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.backfills import BackfillRow, BackfillStage


def new_backfill_id() -> str:
    """An id that no component has by chance."""
    return f"bf-{secrets.token_hex(8).upper()}"


def pause(service: Service, backfill: BackfillRow, user: str) -> None:
    """Let nothing new of a backfill begin. Raises InvalidRequest for one that is over."""
    with service.transaction() as transaction:
        row = _held(transaction, backfill, "PAUSE")
        if row.stage is not BackfillStage.GOING:
            raise InvalidRequest(
                f"the backfill {row.backfill_id} is {row.stage}: it cannot be held"
            )
        if not backfill_store.live_ids(transaction.conn, row) and row.begun == row.periods:
            raise InvalidRequest(
                f"the backfill {row.backfill_id} has finished: nothing of it is left to be paused"
            )
        hold(transaction, row.pipeline_id, [row.backfill_id], user)


def resume(service: Service, backfill: BackfillRow) -> None:
    """Let a backfill go on; no error for one that is not paused."""
    with service.transaction() as transaction:
        row = _held(transaction, backfill, "RESUME")
        let_go(transaction, row.pipeline_id, [row.backfill_id])


def cancel(service: Service, backfill: BackfillRow) -> None:
    """End all of a backfill that has not ended; a second time does nothing."""
    with service.transaction() as transaction:
        row = _held(transaction, backfill, "CANCEL")
        if row.stage is BackfillStage.CANCELED:
            return
        # Noted before anything is ended: a service that starts again goes on with it.
        backfill_store.update(transaction.conn, row.backfill_id, stage=BackfillStage.CANCELING)
    service.stopping.end_backfill(row)


def _held(transaction: SchedulingTransaction, backfill: BackfillRow, what: str) -> BackfillRow:
    """A backfill as it is now, its pipeline held until the transaction ends."""
    conn = transaction.conn
    pipeline_store.load_pipeline(conn, backfill.pipeline_id, lock=True)
    row = backfill_store.load(conn, backfill.backfill_id)
    if row is None:
        raise InvalidRequest(f"the backfill {backfill.backfill_id} is not kept any more")
    audit.note(conn, row.pipeline_id, objects=[row.backfill_id], after=what)
    return row

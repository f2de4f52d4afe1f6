"""Backfills with a limit: the next period is set going when one of them has ended."""

from __future__ import annotations

from datetime import datetime

from taskrunner.errors import StoreError, TaskrunnerError
from taskrunner.logs import get_logger
from taskrunner.service.backfill import Surroundings, give_up_the_rest, go_on
from taskrunner.service.store import backfills as backfill_store

log = get_logger()

#: Between two looks, in seconds; and where no backfill has anything left to be set going.
NAP_S, IDLE_S = 2.0, 10.0


class BackfillRounds:
    """The duty that goes on with them; of several processes any may."""

    def __init__(self, service: Surroundings) -> None:
        self._service = service

    def step(self, _now: datetime) -> float:
        """Go on with all; how long nothing is to be done, in seconds."""
        with self._service.store.read() as conn:
            found = backfill_store.to_go_on(conn)
        done = [self._go_on(row) for row in found]
        if any(done):
            return 0
        return NAP_S if found else IDLE_S

    def _go_on(self, row: backfill_store.BackfillRow) -> bool:
        try:
            return go_on(self._service, row)
        except StoreError:
            raise
        except TaskrunnerError as error:
            # Else it would be tried for ever: what of it has begun is the whole of it then.
            log.warning(
                "a backfill cannot go on: the rest of it is given up",
                backfill=row.backfill_id,
                pipeline_id=row.pipeline_id,
                error=str(error),
            )
            give_up_the_rest(self._service, row)
            return True

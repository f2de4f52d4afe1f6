"""Sealing anew what an earlier version of the program, or an older data key, has left behind."""

from __future__ import annotations

from datetime import datetime, timedelta

from taskrunner.logs import get_logger
from taskrunner.service.store import resealing
from taskrunner.service.store.database import Store
from taskrunner.service.store.keyring import remove_retired
from taskrunner.service.unchanged import Unchanged

log = get_logger()

#: Rows of each kind in one transaction: nobody waits for it for long.
BATCH = 20
#: Between two transactions, and between two looks at whether there is a newer key, in seconds.
PAUSE_S, LOOK_S = 0.05, 1.0
#: Between two searches for what is still sealed by a retired key.
SEARCH = timedelta(minutes=10)
#: A retired key is kept for so long, for what a process that knew no better has sealed by it, and
#: for answers to calls, which nobody seals anew. They are over in minutes.
KEPT = timedelta(days=1)


class Reencryption:
    """Goes over the store whenever there is a newer data key, and once at the start."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._done_for: str | None = None
        self._sealed = 0
        self._searched_at: datetime | None = None
        self._unchanged = Unchanged(store)

    def step(self, now: datetime) -> float:
        """Do a little; returns how long nothing is to be done, in seconds. Raises StoreError."""
        look = self._unchanged.look(now)
        if not look.is_needed:
            return LOOK_S
        with self._store.read() as conn:
            self._store.keyring.refresh(conn)
        current = self._store.keyring.current
        if current == self._done_for:
            self._forget_retired(now)
            if not self._store.keyring.retired():
                self._unchanged.found_nothing(look, until=None)
            return LOOK_S
        if self.batch():
            return PAUSE_S
        if self.is_complete():  # else another process is at the rest
            self._done_for = current
        return LOOK_S

    def is_complete(self) -> bool:
        """Whether everything is sealed by the newest key. Raises StoreError."""
        with self._store.read() as conn:
            return not resealing.anything_left(conn)

    def batch(self) -> int:
        """Seal some rows anew; how many, 0 when others have the rest. Raises StoreError."""
        with self._store.write(scrub=True) as conn:
            done = resealing.reseal(conn, BATCH)
        self._sealed += done
        if not done and self._sealed:
            self._store.scrub()
            log.info(
                "secrets in the store were sealed anew",
                rows=self._sealed,
                data_key=self._store.keyring.current,
            )
            self._sealed = 0
        return done

    def _forget_retired(self, now: datetime) -> None:
        retired = self._store.keyring.retired()
        if not retired or not self._may_search(now):
            return
        for key_id in retired:
            with self._store.read() as conn:
                if resealing.is_in_use(conn, key_id):
                    self._done_for = None  # sealed by a process that did not know the newer one
                    continue
            with self._store.write() as conn:
                # As it is now: nothing is lost to one that has begun by it since.
                if not resealing.is_in_use(conn, key_id):
                    remove_retired(conn, key_id, now - KEPT)

    def _may_search(self, now: datetime) -> bool:
        last = self._searched_at
        if last is not None and last <= now < last + SEARCH:
            return False
        self._searched_at = now
        return True


def rotate(store: Store) -> tuple[str, int]:
    """Begin with a new data key, or go on where an earlier call has stopped.

    Returns the key's id, and how many data keys another of the operator's keys had sealed. All
    rows are sealed by it once `Reencryption.batch` says that there is nothing left to do.
    """
    with store.write() as conn:
        taken_over = store.keyring.take_over(conn)
        begun = any(resealing.is_in_use(conn, key_id) for key_id in store.keyring.retired())
        return store.keyring.current if begun else store.keyring.add(conn), taken_over

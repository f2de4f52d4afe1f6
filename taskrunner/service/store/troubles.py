"""What is wrong with the store: told apart by the drivers' codes, and logged once."""

from __future__ import annotations

import sqlite3
import threading

from sqlalchemy.exc import DBAPIError

from taskrunner.errors import StoreError, StoreTrouble
from taskrunner.logs import get_logger

log = get_logger()

_SQLITE = {
    sqlite3.SQLITE_FULL: StoreTrouble.FULL,
    sqlite3.SQLITE_IOERR_SHMSIZE: StoreTrouble.FULL,
    sqlite3.SQLITE_BUSY: StoreTrouble.LOCKED,
    sqlite3.SQLITE_LOCKED: StoreTrouble.LOCKED,
    sqlite3.SQLITE_CORRUPT: StoreTrouble.LOST,
    sqlite3.SQLITE_NOTADB: StoreTrouble.LOST,
    # A page of the write-ahead log is not there.
    sqlite3.SQLITE_IOERR_SHORT_READ: StoreTrouble.LOST,
    # What was not flushed may be lost although a second try succeeds: it must not be tried.
    sqlite3.SQLITE_IOERR_FSYNC: StoreTrouble.LOST,
    sqlite3.SQLITE_IOERR_DIR_FSYNC: StoreTrouble.LOST,
}
_POSTGRESQL = {
    "53100": StoreTrouble.FULL,
    "55P03": StoreTrouble.LOCKED,
    "40P01": StoreTrouble.LOCKED,
    # A table is not there.
    "42P01": StoreTrouble.LOST,
}


def trouble_of(error: Exception) -> StoreTrouble:
    """What a driver's error is about."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0)
        return _SQLITE.get(code) or _SQLITE.get(code & 0xFF) or StoreTrouble.UNUSABLE
    return _POSTGRESQL.get(getattr(cause, "sqlstate", None) or "", StoreTrouble.UNUSABLE)


class Troubles:
    """Logs the first failure of each kind, and the first success after it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[StoreTrouble, int] = {}

    def failed(self, error: StoreError) -> None:
        """Take note of a failure."""
        with self._lock:
            before = self._failures.get(error.trouble, 0)
            self._failures[error.trouble] = before + 1
        if not before:
            log.error("the store failed; further failures like it are counted", error=str(error))

    def worst(self) -> StoreTrouble | None:
        """What has failed and not worked since, if anything."""
        with self._lock:
            return next(iter(self._failures), None)

    def worked(self, *, wrote: bool) -> None:
        """Take note of a success. Only one that has written shows that a disk is not full."""
        if not self._failures:
            return
        with self._lock:
            kinds = [k for k in self._failures if wrote or k is StoreTrouble.UNUSABLE]
            failures = sum(self._failures.pop(kind) for kind in kinds)
        if failures:
            log.warning("the store works again", failures=failures)

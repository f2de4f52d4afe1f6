from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from taskrunner.errors import StoreError, StoreTrouble
from taskrunner.service.store.troubles import Troubles, trouble_of

T = StoreTrouble


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("it said so")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("cause", "trouble"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), T.FULL),
        (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), T.FULL),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), T.LOCKED),
        (sqlite_error(sqlite3.SQLITE_LOCKED), T.LOCKED),
        (sqlite_error(sqlite3.SQLITE_CORRUPT_INDEX), T.LOST),
        (sqlite_error(sqlite3.SQLITE_NOTADB), T.LOST),
        (sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), T.LOST),
        (sqlite_error(sqlite3.SQLITE_IOERR_WRITE), T.UNUSABLE),
        (sqlite_error(sqlite3.SQLITE_READONLY), T.UNUSABLE),
        (sqlite3.OperationalError("without a code"), T.UNUSABLE),
        (psycopg.errors.DiskFull(), T.FULL),
        (psycopg.errors.DeadlockDetected(), T.LOCKED),
        (psycopg.errors.UndefinedTable(), T.LOST),
        (psycopg.errors.AdminShutdown(), T.UNUSABLE),
        (psycopg.OperationalError("connection refused"), T.UNUSABLE),
    ],
)
def test_what_is_wrong_is_told_by_the_drivers_code(cause: Exception, trouble: T) -> None:
    assert trouble_of(OperationalError("SELECT 1", {}, cause)) is trouble


def test_each_kind_is_logged_once_until_it_is_over() -> None:
    troubles = Troubles()

    def failed(trouble: T) -> None:
        troubles.failed(StoreError(f"because: {trouble.name}", trouble=trouble))

    with capture_logs() as log:
        for _ in range(3):
            failed(T.FULL)
            failed(T.UNUSABLE)
        troubles.worked(wrote=False)  # what reads works on a full disk
        failed(T.FULL)
        troubles.worked(wrote=True)
        troubles.worked(wrote=True)
        failed(T.FULL)
    assert [(told["log_level"], told.get("error") or told["failures"]) for told in log] == [
        ("error", "because: FULL"),
        ("error", "because: UNUSABLE"),
        ("warning", 3),
        ("warning", 4),
        ("error", "because: FULL"),
    ]

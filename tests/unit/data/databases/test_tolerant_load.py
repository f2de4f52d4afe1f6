from __future__ import annotations

import psycopg
import pymysql
import pytest

from taskrunner.data.databases import mysql_errors, postgresql_errors
from taskrunner.data.databases.base import Database, Row, Target
from taskrunner.data.databases.oracle import OracleDatabase
from taskrunner.data.databases.redshift import RedshiftDatabase
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.sqlserver import SqlServerDatabase
from taskrunner.data.databases.tolerant_load import TolerantLoad
from taskrunner.data.redshift.data_api import RedshiftDataApi
from taskrunner.errors import PermanentTaskError, TaskError


def never(*told: object) -> None:
    raise AssertionError(told)


def reject(number: int, row: Row, reason: str) -> None:
    never(number, row, reason)


@pytest.mark.parametrize("kind", [RedshiftDatabase, RedshiftDataApi])
def test_a_server_without_savepoints_is_refused(kind: type[Database]) -> None:
    database = kind(DatabaseSpec(id="Db", scheme="redshift", host="h", port=1))
    load = TolerantLoad(database, Target(table="t"), reject)
    with pytest.raises(PermanentTaskError, match="onBadRow reject needs savepoints"):
        load.run([[["1"]]], before_commit=never)


def test_some_have_savepoints_of_another_kind() -> None:
    assert not OracleDatabase.has_savepoints
    assert not SqlServerDatabase.has_savepoints


def caused(error: Exception) -> TaskError:
    told = TaskError("in rows 1 to 2")
    told.__cause__ = TaskError("cannot insert rows")
    told.__cause__.__cause__ = error
    return told


@pytest.mark.parametrize(
    ("error", "is_of_rows"),
    [
        (psycopg.errors.UniqueViolation(), True),
        (psycopg.errors.InvalidTextRepresentation(), True),
        (psycopg.errors.DeadlockDetected(), False),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.DiskFull(), False),
        (psycopg.errors.UndefinedTable(), False),
        (psycopg.OperationalError("the connection is closed"), False),
    ],
)
def test_what_postgresql_says_of_rows(error: psycopg.Error, is_of_rows: bool) -> None:
    assert postgresql_errors.is_of_rows(caused(error)) == is_of_rows


@pytest.mark.parametrize(
    ("code", "is_of_rows"),
    [(1062, True), (1366, True), (4025, True), (1213, False), (1205, False), (2013, False)],
)
def test_what_mysql_says_of_rows(code: int, is_of_rows: bool) -> None:
    assert mysql_errors.is_of_rows(caused(pymysql.err.OperationalError(code, ""))) == is_of_rows

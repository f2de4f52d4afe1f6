"""Prepared statements do what SQLAlchemy's own execution of them does, on every kind of store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from taskrunner.errors import StoreError
from taskrunner.model.decisions import Queue
from taskrunner.model.rows import AttemptRow
from taskrunner.model.states import AttemptStatus
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.prepared import Prepared
from taskrunner.service.store.records import insert_missing
from taskrunner.service.store.tables import attempts
from tests.contract.stores import OPENING
from tests.statements import asked

NOW = datetime(2026, 2, 13, 2, 0, 0, 123456, tzinfo=UTC)
SELECTED = sa.select(attempts).order_by(attempts.c.number)
THESE = sa.select(attempts.c.number).where(
    attempts.c.number.in_(sa.bindparam("numbers", expanding=True))
)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    store = Store(database_url, opening=OPENING)
    yield store
    store.close()


def row(number: int = 1, **values: Any) -> AttemptRow:
    given: dict[str, Any] = {
        "pipeline_id": "df-1",
        "attempt_id": f"@A_Attempt={number}",
        "instance_id": "@A",
        "number": number,
        "status": AttemptStatus.RUNNING,
        "worker_group": "g",
        "queue": Queue.OUT,
        "ready_at": NOW,
        "lease_s": 2.5,
        "created_at": NOW,
    }
    return AttemptRow(**{**given, **values})


def test_rows_go_in_and_come_out_as_by_sqlalchemy(store: Store) -> None:
    elsewhere = timezone(timedelta(hours=5))
    rows = [
        row(1, report_by=NOW.astimezone(elsewhere), timeout_s=1e-3, progress={"a": "é😀"}),
        row(2, error_message="'; -- \n%s :x ?", error_id=""),
    ]
    with store.write() as conn:
        Prepared(attempts.insert()).change(conn, rows[0].columns())
        conn.execute(attempts.insert(), rows[1].columns())
        found = [AttemptRow.from_columns(line) for line in conn.execute(SELECTED).mappings()]
        assert found == rows
        assert Prepared(SELECTED).rows(conn, AttemptRow, {}) == rows
        first = Prepared(SELECTED).first_row(conn, AttemptRow, {})
        # Moments come out in UTC, whatever they went in as.
        assert first is not None
        assert first.report_by is not None
        assert first.report_by.utcoffset() == timedelta(0)


def test_many_rows_go_in_as_one_after_the_other_do(store: Store) -> None:
    rows = [row(number, progress={"n": str(number)}) for number in range(3)]
    insert = Prepared(attempts.insert())
    with store.write() as conn:
        insert.change_all(conn, [])
        insert.change_all(conn, [one.columns() for one in rows])
        assert Prepared(SELECTED).rows(conn, AttemptRow, {}) == rows
        again = [one.columns() for one in (row(7), row(1, error_message="hunter2"))]
        with pytest.raises(IntegrityError) as raised, conn.begin_nested():
            insert.change_all(conn, again)
        assert "hunter2" not in str(raised.value).partition("DETAIL")[0]
        assert Prepared(SELECTED).rows(conn, AttemptRow, {}) == rows


def test_a_list_may_be_as_long_as_by_sqlalchemy(store: Store) -> None:
    prepared = Prepared(THESE)
    with store.write() as conn:
        for number in (1, 19_999, 20_000):
            attempt_store.insert_attempt(conn, row(number))
        for _ in range(2):
            found = prepared.tuples(conn, {"numbers": range(20_000)})
            assert sorted(found) == [(1,), (19_999,)]
    assert len(prepared._compiled) == 0


@pytest.mark.parametrize("count", range(7))
def test_a_list_of_any_length_finds_just_what_it_has(store: Store, count: int) -> None:
    prepared = Prepared(THESE)
    with store.write() as conn:
        for number in range(9):
            attempt_store.insert_attempt(conn, row(number))
        for wanted in [list(range(count)), list(range(3, 3 + count))]:
            found = prepared.tuples(conn, {"numbers": wanted})
            assert sorted(number for (number,) in found) == wanted


def test_what_is_set_may_differ_from_one_time_to_the_next(store: Store) -> None:
    change = Prepared(attempts.update().where(attempts.c.number == sa.bindparam("of_number")))
    with store.write() as conn:
        attempt_store.insert_attempt(conn, row(hostname="h", queue=Queue.OUT))
        assert change.change(conn, {"of_number": 1, "queue": Queue.DONE}) == 1
        assert change.change(conn, {"of_number": 1, "hostname": None}) == 1
        assert change.change(conn, {"of_number": 2, "hostname": None}) == 0
        assert _only(conn) == row(hostname=None, queue=Queue.DONE)


def test_nothing_is_found_where_nothing_is(store: Store) -> None:
    prepared = Prepared(THESE)
    with store.read() as conn:
        assert prepared.tuples(conn, {"numbers": [1]}) == []
        assert prepared.first(conn, {"numbers": [1]}) is None
        assert prepared.scalar(conn, {"numbers": [1]}) is None
        assert Prepared(SELECTED).first_row(conn, AttemptRow, {}) is None


def test_a_broken_constraint_is_told_as_by_sqlalchemy_and_without_values(store: Store) -> None:
    with store.write() as conn:
        attempt_store.insert_attempt(conn, row())
        with pytest.raises(IntegrityError) as raised, conn.begin_nested():
            attempt_store.insert_attempt(conn, row(error_message="hunter2"))
        assert "hunter2" not in str(raised.value).partition("DETAIL")[0]
        # The savepoint was undone, and the transaction goes on.
        assert _only(conn) == row()


def test_a_connection_that_was_cut_is_not_used_again(store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("a file has no connection to be cut")
    own = sa.text("SELECT pg_backend_pid()")

    def cut() -> None:
        with store.read() as conn, store.read() as other:
            backend = conn.execute(own).scalar_one()
            other.execute(sa.text("SELECT pg_terminate_backend(:it)"), {"it": backend})
            Prepared(SELECTED).tuples(conn, {})

    with pytest.raises(StoreError) as raised:
        cut()
    cause = raised.value.__cause__
    assert isinstance(cause, sa.exc.OperationalError)
    assert cause.connection_invalidated
    with store.read() as conn:
        assert Prepared(SELECTED).tuples(conn, {}) == []


def test_what_fails_is_the_stores_failure(store: Store) -> None:
    missing = Prepared(sa.select(sa.Table("no_such_table", sa.MetaData(), sa.Column("x"))))
    # Of a table that is not there PostgreSQL says so by a code of its own: the store is lost.
    wanted = sa.exc.OperationalError if store.is_sqlite else sa.exc.ProgrammingError
    with pytest.raises(StoreError) as raised, store.read() as conn:
        missing.tuples(conn, {})
    assert isinstance(raised.value.__cause__, wanted)


def test_who_listens_to_statements_hears_of_prepared_ones(store: Store) -> None:
    with asked(store) as found, store.write() as conn:
        attempt_store.insert_attempt(conn, row())
        attempt_store.insert_attempts(conn, [row(2), row(3)])
    # PostgreSQL takes several rows by one statement.
    assert found.writes == [3 if store.is_sqlite else 2]
    assert {text[:20] for text in found.samples} == {"INSERT INTO attempts"}


def _only(conn: Connection) -> AttemptRow:
    (found,) = Prepared(SELECTED).rows(conn, AttemptRow, {})
    return found


def test_many_rows_of_any_value_go_in_as_one_after_the_other_do(store: Store) -> None:
    """On PostgreSQL as the texts of arrays."""
    elsewhere = timezone(timedelta(hours=5))
    texts = ['a"b', "a\\b\\", "NULL", "", "{x,y}", " , ", "'; -- \n%s :x ?", "é😀\t"]
    rows = [row(number, error_message=text, worker_group=text) for number, text in enumerate(texts)]
    rows += [
        row(20, report_by=NOW.astimezone(elsewhere), timeout_s=1e-3, progress={"a": 'é😀"\\'}),
        row(21, lease_s=300, timeout_s=7),
    ]
    with store.write() as conn:
        attempt_store.insert_attempts(conn, rows)
        assert Prepared(SELECTED).rows(conn, AttemptRow, {}) == rows
        again = [row(30), row(1, error_message="hunter2")]
        with pytest.raises(IntegrityError) as raised, conn.begin_nested():
            attempt_store.insert_attempts(conn, again)
        assert "hunter2" not in str(raised.value).partition("DETAIL")[0]
        insert_missing(conn, attempts, again)
        assert Prepared(SELECTED).rows(conn, AttemptRow, {}) == [*rows, row(30)]

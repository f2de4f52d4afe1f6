from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from taskrunner.data.databases.base import Database, Result
from taskrunner.data.databases.insert_query import placed
from taskrunner.data.databases.script import Statement, parse_statement
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.fitting.columns import TargetColumn


class Tables(Database):
    """A database with one table, t."""

    def connect(self) -> None: ...
    def close(self) -> None: ...
    def prepare_load(self) -> None: ...
    def commit(self) -> None: ...
    def insert(self, statement: Statement, rows: object) -> None: ...

    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        return 0

    @contextmanager
    def stream(self, query: str) -> Iterator[Result]:
        yield Result(columns=(), batches=iter(()))

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        return "t" if (table, schema) in {("t", None), ("t", "s")} else None

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        hidden = TargetColumn(name="h", type="", is_hidden=True)
        return [*(TargetColumn(name=name, type="") for name in "abC"), hidden]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("insert into t (c, a) values (?, ?)", "Ca"),
        ("INSERT INTO `s`.`t`(`c`,`a`) VALUES (%s,%s)", "Ca"),
        ("insert ignore into t values (?, ?, ?)", "abC"),
        ("insert or replace into t values (?, 1, ?)", "aC"),
        ('insert into "t" as x ("a") values (?) on conflict (a) do update set b = ?', "ab"),
        ("insert into t (a) values (?) on duplicate key update b = ?, c = ?", "abC"),
        ("insert into t (a, b) values (?, ? + 1)", "a-"),
        ("insert into t (a, b, c) values (f(?, ?), 'x,(', ?)", "--C"),
        ("insert into t (a) values (?) on duplicate key update b = ? + 1", "a-"),
        ("insert into t (a) values (?) on conflict (a) do update set b = 1 where c = ?", "a-"),
        ("insert into t (a) values (?) on conflict (a) do update set b = ? where c = ?", "ab-"),
        ("insert into t select ?, ?", "--"),
        ("insert into t (c, a) select ?, ? from dual where ? < 100", "Ca-"),
        ("insert into t (c, a) select ? as c, coalesce(?, 1) where not exists (select ?)", "C--"),
        ("insert into t (a, b) select ?, f(?) on duplicate key update c = ?", "a-C"),
        ("insert into t set c = ?, a = ?", "Ca"),
        ("replace into t set a = ?, b = ? + 1", "a-"),
        ("insert into t (a, b) values (?, 1), (?, ?)", "aab"),
        ("insert /* a comment, (b) */ into t -- values (\n (a, c) values (?, ?)", "aC"),
        ("insert into t (a) overriding system value values (?)", "a"),
        ("update t as x set a = ?, b = ? where c = ?", "ab-"),
        ("delete from t where a = ?", "-"),
        ("insert into other (a) values (?)", "-"),
        ("update t set a = ?", "a"),
        ("insert into t (d) values (?)", "-"),
        ("insert into t values (?, ?)", "--"),
    ],
)
def test_where_values_go(query: str, names: str) -> None:
    database = Tables(DatabaseSpec(id="Db", scheme="x"))
    found = placed(parse_statement(query, database.dialect, percent_s=True), database).columns
    assert "".join("-" if column is None else column.name for column in found) == names

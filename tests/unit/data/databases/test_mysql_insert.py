from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.mysql_insert import (
    engine_of,
    first_change,
    is_repeatable,
    pieces,
)
from taskrunner.data.databases.script import parse_statement

ROWS = [["1", "a%"], ["2", "b"]]


def mogrify(template: str, row: Sequence[object]) -> str:
    return template % tuple(map(repr, row))


def made(query: str, rows: Sequence[Sequence[object]] = ROWS) -> list[str]:
    statement = parse_statement(query, Dialect(), percent_s=True)
    return [piece.sql for piece in pieces(statement, rows, mogrify)]


@pytest.mark.parametrize(
    ("query", "sql"),
    [
        ("insert into t values (?, ?)", "insert into t values ('1', 'a%'),('2', 'b')"),
        ("replace t value(%s,%s)", "replace t value('1','a%'),('2','b')"),
        (
            "insert into `100%` values (?, ?) on duplicate key update b = 1",
            "insert into `100%` values ('1', 'a%'),('2', 'b') on duplicate key update b = 1",
        ),
    ],
)
def test_rows_go_into_one_statement(query: str, sql: str) -> None:
    assert made(query) == [sql]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        (
            "insert into t (a) values (?) on duplicate key update b = ?",
            "insert into t (a) values ('1') on duplicate key update b = 'a%'",
        ),
        ("insert into t values (?, ? + 1)", "insert into t values ('1', 'a%' + 1)"),
        ("insert into t select ?, ?", "insert into t select '1', 'a%'"),
        ("insert into t values (?, ?), (1, '%')", "insert into t values ('1', 'a%'), (1, '%')"),
    ],
)
def test_other_forms_are_run_row_by_row(query: str, first: str) -> None:
    assert made(query)[0] == first
    assert len(made(query)) == 2


def test_a_statement_has_a_megabyte_or_one_row() -> None:
    rows = [["x" * 400_000], ["y" * 400_000], ["z" * 3_000_000], ["1"]]
    statement = parse_statement("insert into t values (?)", Dialect())
    found = list(pieces(statement, rows, mogrify))
    assert [piece.first for piece in found] == [1, 3, 4]
    assert [piece.sql.count("'") // 2 for piece in found] == [2, 1, 1]
    assert found[1].row_in("Data too long for column 'v' at row 1") == 3
    assert found[1].row_in("something else") is None


def test_what_the_server_says_of_changed_values() -> None:
    duplicate = ("Warning", 1062, "Duplicate entry '1' for key 'PRIMARY'")
    cut = ("Note", 1265, "Data truncated for column 'v' at row 1")
    assert first_change([duplicate, cut]) == cut[2]
    assert first_change([duplicate]) is None


def test_inserts_that_may_be_repeated() -> None:
    assert is_repeatable("replace into t values (?)")
    assert is_repeatable("INSERT IGNORE INTO t VALUES (?)")
    assert is_repeatable("insert low_priority ignore t values (?)")
    assert is_repeatable("insert into t values (?) on duplicate key update a = values(a)")
    assert not is_repeatable("insert into t values (?)")
    assert not is_repeatable("insert into t values (replace(?, 'a', 'b'))")
    assert not is_repeatable("")


def test_the_engine_of_a_table() -> None:
    table = (
        "CREATE TABLE `t` (\n  `a` varchar(20) DEFAULT ') ENGINE=InnoDB'\n) ENGINE=MyISAM DEFAULT"
    )
    assert engine_of(table) == "MyISAM"
    assert engine_of("CREATE VIEW `v` AS select 1") == ""

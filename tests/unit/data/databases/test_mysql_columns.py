from __future__ import annotations

import pytest

from taskrunner.data.databases.mysql_columns import column_of, converter_of, whole_key
from taskrunner.data.databases.values import binary_of
from taskrunner.data.fitting.numbers import Binary, BitsAsNumber, Scaled
from taskrunner.data.fitting.rules import Rule
from taskrunner.data.fitting.texts import Length, Padded, Words, Year
from taskrunner.data.fitting.times import Temporal


def row(kind: str, **more: str) -> dict[str, str | None]:
    plain = {"Field": "v", "Type": kind, "Collation": None, "Null": "YES", "Extra": ""}
    return {**plain, **more}


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("int(11)", Scaled()),
        ("int unsigned", Scaled()),
        ("bigint(20) unsigned zerofill", Scaled()),
        ("decimal(5,2)", Scaled(2)),
        ("decimal(10,0) unsigned", Scaled()),
        ("float", Binary(4)),
        ("double", Binary(8)),
        ("float(7,2)", Binary(4, digits=2)),
        ("double(7,2) unsigned", Binary(8, digits=2)),
        ("date", Temporal(has_time=False)),
        ("datetime", Temporal()),
        ("timestamp(6)", Temporal(digits=6)),
        ("time(3)", Temporal(has_date=False, digits=3)),
        ("year(4)", Year()),
        ("bit(8)", BitsAsNumber()),
        ("char(3)", Length(3)),
        ("varchar(3)", Length(3)),
        ("tinytext", Length(255, in_bytes=True)),
        ("longtext", None),
        ("binary(4)", Padded(4)),
        ("varbinary(4)", None),
        ("enum('a','it''s','(1,2)')", Words(("a", "it's", "(1,2)"))),
        ("set('a','b')", Words(("a", "b"), several=True)),
        ("json", None),
        ("geometry", None),
        ("uuid", None),
    ],
)
def test_rules(kind: str, rule: Rule | None) -> None:
    assert column_of(row(kind, Collation="utf8mb4_general_ci")).rule == rule


def test_texts_in_other_character_sets_are_counted_in_characters() -> None:
    assert column_of(row("tinytext", Collation="latin1_swedish_ci")).rule == Length(255)


def test_who_makes_the_value() -> None:
    assert column_of(row("int", Extra="VIRTUAL GENERATED")).is_generated
    assert column_of(row("int", Extra="STORED GENERATED")).is_generated
    assert not column_of(row("timestamp", Extra="DEFAULT_GENERATED")).is_generated
    assert column_of(row("int", Extra="INVISIBLE")).is_hidden
    assert column_of(row("timestamp", Null="NO")).null_becomes == "the present time"
    assert column_of(row("timestamp")).null_becomes is None
    assert column_of(row("datetime", Null="NO")).null_becomes is None


def test_what_takes_no_texts() -> None:
    assert converter_of("bit(1)") is int
    for kind in ("binary(4)", "varbinary(9)", "longblob", "point"):
        assert converter_of(kind) is binary_of
    assert converter_of("varchar(9)") is None


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        ([("id", "int(11)")], "id"),
        ([("id", "bigint unsigned")], "id"),
        ([("id", "decimal(10,0)")], None),
        ([("id", "varchar(10)")], None),
        ([("a", "int"), ("b", "int")], None),
        ([], None),
    ],
)
def test_a_key_that_can_be_cut_is_one_column_of_whole_numbers(
    columns: list[tuple[str, str]], name: str | None
) -> None:
    assert whole_key(columns) == name

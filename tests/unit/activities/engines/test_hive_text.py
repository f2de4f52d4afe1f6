from __future__ import annotations

import pytest

from taskrunner.activities.engines.hive_text import (
    blanked,
    statements,
    storage_handler,
    with_values,
)


@pytest.mark.parametrize(
    ("text", "handler"),
    [
        ("CREATE TABLE t (a INT) STORED BY 'org.x.DynamoDBStorageHandler'", "org.x.DynamoDB"),
        ('create table t (a int) stored\n by\n "org.x.H"', "org.x.H"),
        ("CREATE TABLE t STORED BY HANDLER", "?"),
        ("SELECT 'STORED BY', \"x STORED BY 'y'\" -- STORED BY 'z'", None),
        ("SELECT 'it\\'s STORED BY'", None),
        ("SELECT `STORED BY` FROM t STORED AS TEXTFILE", None),
    ],
)
def test_tables_of_storage_handlers_are_found(text: str, handler: str | None) -> None:
    found = storage_handler(text)
    assert (found is None) == (handler is None)
    assert (found or "").startswith(handler or "")


def test_statements_keep_every_character() -> None:
    text = "-- a;\nSET x = ';'; SELECT `a;b` FROM t; "
    assert list(statements(text)) == ["-- a;\nSET x = ';';", " SELECT `a;b` FROM t;", " "]
    assert "".join(statements(text)) == text


def test_what_is_hidden_keeps_its_length() -> None:
    text = """SELECT 'it\\'s', "b" -- c\nFROM `d'` """
    assert blanked(text) == "SELECT " + " " * 7 + "," + " " * 9 + "\nFROM `d'` "
    assert blanked(text, comments_only=True) == """SELECT 'it\\'s', "b"     \nFROM `d'` """
    assert len(blanked(text)) == len(text)


def test_values_take_the_place_of_variables() -> None:
    text = "LOCATION 's3://${B}/${hivevar:K}' ${UNKNOWN} ${hiveconf:K}"
    assert with_values(text, (("B", "b"), ("K", "${B}"))) == (
        "LOCATION 's3://b/${B}' ${UNKNOWN} ${hiveconf:K}"
    )

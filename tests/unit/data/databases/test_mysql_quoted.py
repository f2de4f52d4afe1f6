"""The SQL of quoted values; tests/integration/test_text_paths.py has what a server makes of it."""

from __future__ import annotations

from taskrunner.data.databases.mysql_quoted import in_quotes_if_needed, literal
from taskrunner.data.formats.quoting import Quoting


def test_texts_are_hexadecimal_whatever_quotes_the_server_takes() -> None:
    assert literal("'é") == "_utf8mb4 0x27c3a9"
    assert literal("") == "_utf8mb4 ''"


def test_only_the_first_value_is_looked_at_for_a_mark_and_only_a_lone_one_for_the_end() -> None:
    mark, end = literal("\ufeff"), literal(r"\.")
    among, first, alone = (
        in_quotes_if_needed("`v`", Quoting(), is_first=is_first, is_only=is_only)
        for is_first, is_only in ((False, False), (True, False), (True, True))
    )
    assert [mark in sql for sql in (among, first, alone)] == [False, True, True]
    assert [end in sql for sql in (among, first, alone)] == [False, False, True]


def test_each_character_of_the_dialect_calls_for_quotes() -> None:
    sql = in_quotes_if_needed(
        "`v`", Quoting(separator=";", quote="'"), is_first=False, is_only=False
    )
    assert [literal(c) in sql for c in ";'\n\r,\""] == [True] * 4 + [False] * 2
    assert f"REPLACE(`v`, {literal(chr(39))}, {literal(chr(39) * 2)})" in sql

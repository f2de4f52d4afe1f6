"""How MySQL and MariaDB read a script, which their `sql_mode` changes. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache

from taskrunner.data.databases.dialect import Dialect, Family

_ESCAPED = r"'(?:[^'\\]|\\.|'')*+'", r"\"(?:[^\"\\]|\\.|\"\")*+\""
_PLAIN = r"'(?:[^']|'')*+'", r"\"(?:[^\"]|\"\")*+\""
#: Modes that stand for others.
_COMBINED = {
    "ANSI": {"ANSI_QUOTES"},
    "DB2": {"ANSI_QUOTES"},
    "MAXDB": {"ANSI_QUOTES"},
    "MSSQL": {"ANSI_QUOTES"},
    "ORACLE": {"ANSI_QUOTES"},
    "POSTGRESQL": {"ANSI_QUOTES"},
}
_SETS = re.compile(r"\bsql_mode\s*:?=\s*(?P<value>[^;]*)", re.IGNORECASE)
_TEXT = re.compile(r"\s*(?:'(?P<single>[^'\\]*)'|\"(?P<double>[^\"\\]*)\")\s*(?:,|\*/|$)")
_ADDED = re.compile(
    r"\s*concat\s*\(\s*@@(?:session\.)?sql_mode\s*,\s*['\"](?P<added>[\w,\s]*)['\"]\s*\)",
    re.IGNORECASE,
)


def dialect_of(modes: Collection[str]) -> Dialect:
    """How texts are written in a `sql_mode`, given as its words."""
    meant = {mode.strip().upper() for mode in modes}
    for mode, others in _COMBINED.items():
        meant |= others if mode in meant else set()
    return _dialect("NO_BACKSLASH_ESCAPES" not in meant, "ANSI_QUOTES" in meant)


def modes_of(dialect: Dialect) -> set[str]:
    """Of a session's modes those that a dialect of `dialect_of` shows."""
    found = {"NO_BACKSLASH_ESCAPES"} if _PLAIN[0] in dialect.quoted else set()
    return found | ({"ANSI_QUOTES"} if _ESCAPED[1] not in dialect.quoted and not found else set())


def assumed_after(text: str, dialect: Dialect) -> Dialect | None:
    """How what follows a statement is probably read; None: as before, for certain.

    The server is asked when the statement has run. This is for whoever has to know before.
    """
    if "sql_mode" not in text.lower():
        return None
    found = _SETS.search(text)
    value = found["value"] if found else ""
    if match := _TEXT.match(value):
        return dialect_of((match["single"] or match["double"] or "").split(","))
    if match := _ADDED.match(value):
        return dialect_of(modes_of(dialect) | set(match["added"].split(",")))
    return dialect


@cache
def _dialect(escapes: bool, ansi_quotes: bool) -> Dialect:
    single = (_ESCAPED if escapes else _PLAIN)[0]
    # What is a name in double quotes has no escapes in any mode.
    double = (_ESCAPED if escapes and not ansi_quotes else _PLAIN)[1]
    return Dialect(
        quoted=rf"{single}|{double}|`[^`]*+`",
        # Its beginning only: what the server runs is read by the client, too.
        code=r"/\*M?!\d*+",
        comment=r"--(?=\s|\Z)[^\n]*+|\#[^\n]*+|/\*.*?\*/",
        opening=r"'|\"|`|/\*",
        name_quotes=("`", "`"),
        family=Family.MYSQL,
    )

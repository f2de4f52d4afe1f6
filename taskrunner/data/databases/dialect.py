"""How SQL is written for a kind of database: quotes, comments, and whose client reads scripts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Family(Enum):
    """Whose own client says what a script means: where statements end, which lines are not SQL."""

    #: psql: semicolons inside parentheses and `BEGIN ATOMIC` bodies, COPY data, backslash commands.
    POSTGRESQL = auto()
    #: psql again, and another list of what refuses a transaction.
    REDSHIFT = auto()
    #: mariadb and mysql: DELIMITER, backslash commands.
    MYSQL = auto()
    #: sqlite3: triggers end at `; END ;`.
    SQLITE = auto()
    #: SQL*Plus: blocks of PL/SQL end at a line with `/` alone.
    ORACLE = auto()
    #: sqlcmd: batches end at a line with GO alone.
    SQLSERVER = auto()
    #: A plugin's database.
    OTHER = auto()

    @property
    def is_psql(self) -> bool:
        """Whether scripts are read as psql reads them."""
        return self in {Family.POSTGRESQL, Family.REDSHIFT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Whose quotes and comments a text is written in; a driver has its own.

    The texts are regular expressions, tried in the order in which they stand here; a dot is any
    character. What is left out is as the standard of SQL has it.
    """

    #: Texts and names in quotes, whole.
    quoted: str = r"'(?:[^']|'')*+'|\"(?:[^\"]|\"\")*+\""
    #: Comments that the server runs: whole, or their beginning, and what is in them is SQL.
    code: str | None = None
    #: Comments, whole.
    comment: str = r"--[^\n]*+|/\*.*?\*/"
    #: Comments of the form /* ... */ may hold others; `comment` leaves that form out then.
    comments_nest: bool = False
    #: The beginning of what never ends: tried after all that would have been whole.
    opening: str = r"'|\"|/\*"
    #: What stands around a name.
    name_quotes: tuple[str, str] = ('"', '"')
    #: Whose client the scripts are written for.
    family: Family = Family.OTHER

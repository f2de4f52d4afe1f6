"""Whether a semicolon ends a statement, or stands in the body of what the statement makes. Pure.

Each kind of database has a client of its own, and each client its own rule. PostgreSQL's and
SQLite's are repeated here as they are. MySQL's clients know none: there an author says DELIMITER.
Where he did not (JDBC has no such thing), the blocks of its language are followed.
"""

from __future__ import annotations

from typing import Protocol

from taskrunner.data.databases.dialect import Family
from taskrunner.data.databases.script_tokens import Token

#: What CREATE makes that has a body of statements.
_WITH_BODY = {"PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"}
_WITHOUT_BODY = {
    *("DATABASE", "FULLTEXT", "INDEX", "ROLE", "SCHEMA", "SEQUENCE", "SERVER", "SPATIAL"),
    *("TABLE", "TABLESPACE", "TEMPORARY", "TYPE", "UNIQUE", "USER", "VIEW"),
}
_BLOCKS = {"IF", "LOOP", "WHILE", "REPEAT", "FOR"}
_AFTER_END = {"CASE", *_BLOCKS}
#: A body that begins so is one statement, and ends at the next semicolon.
_SIMPLE = {
    *("ALTER", "CALL", "CREATE", "DELETE", "DO", "DROP", "INSERT", "REPLACE", "RESIGNAL"),
    *("RETURN", "SELECT", "SET", "SIGNAL", "TRUNCATE", "UPDATE", "WITH"),
}

#: The last word before the body; that of a routine comes behind its parameters.
_BEFORE_BODY = {"TRIGGER": "ROW", "EVENT": "DO"}


class Body(Protocol):
    """Follows one statement from its beginning."""

    @property
    def open(self) -> bool:
        """Whether a semicolon here belongs to the statement."""
        ...

    def take(self, token: Token) -> None:
        """The next token that is neither blank nor comment, semicolons included."""
        ...


def body_for(family: Family) -> Body:
    """What follows a new statement."""
    if family.is_psql:
        return AtomicBody()
    if family is Family.SQLITE:
        return TriggerBody()
    if family is Family.ORACLE:
        return PlSqlBody()
    if family is Family.SQLSERVER:
        return Batch()
    return BlockBody(stands_alone=family is Family.MYSQL)


class Batch:
    """As sqlcmd has it: whatever is between two lines with GO is one."""

    open = True

    def take(self, token: Token) -> None:
        """It goes on."""


class PlSqlBody:
    """As SQL*Plus has it: what begins as PL/SQL does goes on to a line with `/` alone."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._is_open = False

    @property
    def open(self) -> bool:
        """Whether it is PL/SQL."""
        return self._is_open

    def take(self, token: Token) -> None:
        """Look at the first words: CREATE OR REPLACE EDITIONABLE PACKAGE are four."""
        if self._is_open or len(self._words) > 4 or token.kind != "word":
            return
        self._words.append(token.text.upper())
        first, last = self._words[0], self._words[-1]
        if len(self._words) == 1:
            self._is_open = first in {"BEGIN", "DECLARE"}
        else:
            between = set(self._words[1:-1]) <= _BEFORE_KIND
            self._is_open = first == "CREATE" and between and last in _PL_SQL


#: What CREATE makes that is written in PL/SQL (or Java), and what may stand before that.
_PL_SQL = {"FUNCTION", "JAVA", "LIBRARY", "PACKAGE", "PROCEDURE", "TRIGGER", "TYPE"}
_BEFORE_KIND = {"AND", "COMPILE", "EDITIONABLE", "NOFORCE", "FORCE", "NONEDITIONABLE", "OR"}
_BEFORE_KIND |= {"REPLACE", "RESOLVE"}


class AtomicBody:
    """As psql counts (psqlscan.l): parentheses, and BEGIN ... END of functions in SQL."""

    def __init__(self) -> None:
        self._words = 0
        self._initials = ["", "", "", ""]
        self._parentheses = 0
        self._depth = 0

    @property
    def open(self) -> bool:
        """Whether a semicolon here belongs to the statement."""
        return self._parentheses > 0 or self._depth > 0

    def take(self, token: Token) -> None:
        """Count a word, or the parentheses of signs."""
        if token.kind == "word":
            self._count(token.text.lower())
        elif token.kind == "other":
            for sign in token.text:
                if sign == "(":
                    self._parentheses += 1
                elif sign == ")" and self._parentheses > 0:
                    self._parentheses -= 1

    def _count(self, word: str) -> None:
        if self._words < len(self._initials):
            known = word in {"create", "function", "procedure", "or", "replace"}
            self._initials[self._words] = word[0] if known else ""
        self._words += 1
        if self._parentheses or not self._makes_routine:
            return
        if word == "begin" or (word == "case" and self._depth):
            self._depth += 1
        elif word == "end" and self._depth:
            self._depth -= 1

    @property
    def _makes_routine(self) -> bool:
        first = "".join(initial or " " for initial in self._initials)
        return first[:2] in {"cf", "cp"} or first in {"corf", "corp"}


class TriggerBody:
    """As SQLite has it (complete.c): CREATE TRIGGER ends at `; END ;`."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._last = ""
        self._closed = False

    @property
    def open(self) -> bool:
        """Whether a semicolon here belongs to the statement."""
        return self._is_trigger and not self._closed

    def take(self, token: Token) -> None:
        """Remember the last two tokens."""
        text = token.text.upper() if token.kind == "word" else token.text.strip()
        if token.kind == "word" and len(self._words) < 4:
            self._words.append(text)
        self._closed = text == "END" and self._last == ";"
        self._last = text

    @property
    def _is_trigger(self) -> bool:
        words = self._words[1:] if self._words[:1] == ["EXPLAIN"] else self._words
        if words[:1] != ["CREATE"]:
            return False
        return words[1:2] == ["TRIGGER"] or (
            words[1:2] in (["TEMP"], ["TEMPORARY"]) and words[2:3] == ["TRIGGER"]
        )


class BlockBody:
    """The blocks of stored programs: BEGIN, IF, CASE, LOOP, WHILE, REPEAT and FOR, to their END.

    A word opens or closes a block only where a statement may begin, so that the functions IF() and
    REPEAT() and columns called `begin` and `end` are let be.
    """

    def __init__(self, *, stands_alone: bool) -> None:
        #: Blocks may be statements by themselves: MariaDB's IF, LOOP, BEGIN NOT ATOMIC.
        self._stands_alone = stands_alone
        self._words = 0
        #: What CREATE makes, or "" as long as that is not known; None: it has no body.
        self._makes: str | None = ""
        #: What comes before the body is over.
        self._in_body = False
        #: The body is one statement.
        self._simple = False
        self._blocks: list[str] = []
        #: A statement may begin here.
        self._fresh = False
        self._parentheses = 0
        self._last = ""
        #: A word that may be a label, if a colon follows.
        self._label = False
        self._handler = self._until = self._ended = False

    @property
    def open(self) -> bool:
        """Whether a semicolon here belongs to the statement."""
        return bool(self._blocks)

    def take(self, token: Token) -> None:
        """Follow the blocks."""
        if token.kind == "word":
            self._words += 1
            word = token.text.upper()
            self._word(word)
            self._last = word
            return
        self._ended = False
        if token.kind == "semicolon":
            self._fresh, self._handler = True, False
        elif token.kind == "other":
            self._signs(token.text.strip())
        elif token.kind != "code":
            self._label, self._fresh = self._fresh, False
        self._last = token.text.strip()[-1:]

    def _signs(self, text: str) -> None:
        if text == ":" and self._label:
            self._fresh = True
        elif text:
            self._fresh = False
        before = self._parentheses
        self._parentheses += text.count("(") - text.count(")")
        if self._makes in {"PROCEDURE", "FUNCTION"} and ")" in text and self._parentheses == 0:
            # Behind the parameters; a name may be followed by `()` in one.
            self._in_body = self._in_body or before > 0 or "(" in text

    def _word(self, word: str) -> None:
        if self._words == 1 and not self._begin(word):
            return
        if self._makes is None or self._last == ".":
            self._fresh = False
        elif self._makes == "":
            self._find_kind(word)
        elif self._ended and word in _AFTER_END:
            self._ended = False
        else:
            self._ended = False
            self._follow(word)

    def _begin(self, word: str) -> bool:
        """Take the first word; whether it is to be followed as one of a body."""
        if word in {"CREATE", "ALTER"}:
            return False
        if self._stands_alone and word in {"CASE", "BEGIN", *_BLOCKS}:
            # BEGIN alone begins a transaction: what follows tells.
            self._makes, self._in_body, self._fresh = "BLOCK", True, True
            return word != "BEGIN"
        self._makes = None
        return False

    def _find_kind(self, word: str) -> None:
        if word in _WITH_BODY:
            self._makes = word
        elif word in _WITHOUT_BODY:
            self._makes = None

    def _follow(self, word: str) -> None:
        if self._makes == "BLOCK" and self._words == 2 and self._last == "BEGIN":
            # BEGIN NOT ATOMIC is a block; BEGIN, BEGIN WORK: a transaction.
            self._makes = "BLOCK" if word == "NOT" else None
            self._blocks = ["BEGIN"] if word == "NOT" else []
            return
        if not self._blocks and not self._may_open(word):
            return
        fresh = self._fresh
        self._label, self._fresh = fresh, word == "ATOMIC" and self._words == 3
        if not self._open(word, fresh=fresh):
            self._go_on(word, fresh=fresh)

    def _may_open(self, word: str) -> bool:
        """Whether a word outside of all blocks may open one; see where the body begins."""
        if self._simple or (self._in_body and self._is_simple(word)):
            self._simple = True
            return word == "CASE"
        if _BEFORE_BODY.get(self._makes or "") == word:
            self._in_body = True
            return False
        self._fresh = word == "BEGIN" or self._in_body
        return self._fresh

    def _is_simple(self, word: str) -> bool:
        return word in _SIMPLE and not (word == "SET" and self._last in {"CHARACTER", "CHAR"})

    def _open(self, word: str, *, fresh: bool) -> bool:
        """See a block begin, if one does."""
        if word == "CASE":
            self._blocks.append("CASE" if fresh else "expression")
        elif word == "BEGIN" and (fresh or self._handler):
            self._blocks.append(word)
            self._fresh = True
        elif word in _BLOCKS and fresh:
            self._blocks.append(word)
            self._fresh = word in {"LOOP", "REPEAT"}
        else:
            return False
        return True

    def _go_on(self, word: str, *, fresh: bool) -> None:
        """See where the next statement of a block may begin, and where the block ends."""
        top = self._blocks[-1] if self._blocks else ""
        if word == "END" and top:
            if self._last != "XA" and (fresh or self._until or top == "expression"):
                self._blocks.pop()
                self._ended, self._until = True, False
        elif word in {"THEN", "ELSE"}:
            self._fresh = top != "expression"
        elif word == "DO":
            # That of a loop; a statement of this name can stand there, too.
            self._fresh = not fresh and top in {"WHILE", "FOR"}
        elif word == "UNTIL":
            self._until = fresh and top == "REPEAT"
        elif word == "HANDLER":
            self._handler = True

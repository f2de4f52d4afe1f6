"""SQL scripts taken apart: statements, and placeholders outside quotes and comments. Pure.

The statements themselves are the server's business. Only what could hide a semicolon or a
question mark is understood, as the server's own client understands it: quotes, comments, dollar
quotes, the bodies of procedures and triggers, and the lines that are meant for the client.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from taskrunner.data.databases import script_client as client
from taskrunner.data.databases.dialect import Dialect, Family
from taskrunner.data.databases.script_bodies import body_for
from taskrunner.data.databases.script_client import Refused
from taskrunner.data.databases.script_tokens import Token, token_at, tokens
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.secret import quoted

_T = TypeVar("_T")
_SEMICOLON = ";"
#: What rules look at; a COPY may name more columns before it says where from.
_SHAPE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What of a script comes behind a statement, for a reader to go on with."""

    text: str
    position: int
    line: int
    delimiter: str = _SEMICOLON
    #: Lines that were taken out of the text, by the offset where they were.
    taken: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement: its text is `parts` with a placeholder between each two of them."""

    parts: tuple[str, ...]
    #: Where it begins in the script; lines and columns count from 1.
    line: int
    column: int = 1
    #: Its first word in capitals: SELECT, INSERT, ...
    verb: str
    #: As it was written, without the semicolon.
    text: str
    #: Its first words in capitals and its signs; of names and texts only the quotes.
    shape: str = field(default="", repr=False)
    #: How many characters of `text` come before the first word: comments.
    lead: int = field(default=0, repr=False)
    #: The lines behind it that are its data: COPY ... FROM stdin.
    data: str | None = field(default=None, repr=False)
    #: It may be more than one statement to the server: semicolons within another delimiter.
    several: bool = False
    rest: Rest | None = field(default=None, repr=False, compare=False)

    @property
    def kind(self) -> str:
        """What messages call it: its verb, if SQL has it; else it may be a piece of a secret."""
        return self.verb if self.verb in _VERBS else "statement"

    @property
    def placeholders(self) -> int:
        """How many values it takes."""
        return len(self.parts) - 1

    def with_markers(self, marker: str, *, percent: str = "%") -> str:
        """The text with a driver's own placeholders; `percent` stands for each percent sign."""
        return marker.join(part.replace("%", percent) for part in self.parts)

    def place(self, offset: int = 0) -> str:
        """Where in the script a character of its text is, counted from its first word."""
        before = self.text[self.lead : self.lead + offset]
        line = self.line + before.count("\n")
        column = len(before) - before.rfind("\n") if "\n" in before else self.column + len(before)
        return f"line {line}, column {column}"


_VERBS = frozenset(
    {
        *("ALTER", "ANALYZE", "ATTACH", "BEGIN", "CALL", "CHECKPOINT", "CLOSE"),
        *("CLUSTER", "COMMENT", "COMMIT", "COPY", "CREATE", "DECLARE", "DELETE"),
        *("DETACH", "DO", "DROP", "END", "EXEC", "EXECUTE", "EXPLAIN", "FETCH"),
        *("FLUSH", "GRANT", "HANDLER", "IMPORT", "INSERT", "KILL", "LOAD", "LOCK"),
        *("MERGE", "OPTIMIZE", "PRAGMA", "PREPARE", "REFRESH", "REINDEX", "RELEASE"),
        *("RENAME", "REPLACE", "RESET", "REVOKE", "ROLLBACK", "SAVEPOINT", "SELECT"),
        *("SET", "SHOW", "START", "TABLE", "TRUNCATE", "UNLOAD", "UNLOCK", "UPDATE"),
        *("USE", "VACUUM", "VALUES", "WITH"),
    }
)


def split(script: str, dialect: Dialect) -> list[Statement]:
    """The statements of a script, comments kept inside them; empty ones are left out.

    Raises PermanentTaskError when a quote or a comment has no end.
    """
    return list(Reader(script, dialect))


def parse_statement(query: str, dialect: Dialect, *, percent_s: bool = False) -> Statement:
    """A text that must be one statement; with `percent_s`, `%s` is a placeholder as `?` is."""
    reader = Reader(query, dialect)
    found = list(reader)
    if len(found) != 1:
        message = f"found {len(found)} SQL statements, wanted one: {quoted(query, 200)}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    if not percent_s:
        return found[0]
    pieces = [t for t in tokens(query, dialect, reader.unfinished) if t.kind != "semicolon"]
    for token in pieces:
        token.kind = "question" if token.kind == "percent" else token.kind
        token.text = "?" if token.kind == "question" else token.text
    statement = _statement(pieces)
    return statement or found[0]


class Reader:
    """Reads a script statement by statement, as the client of its dialect does.

    `dialect` may be changed between two statements: it is what the next ones are read by.
    """

    def __init__(self, script: str | Rest, dialect: Dialect, *, name: str = "the SQL text") -> None:
        rest = Rest(text=script, position=0, line=1) if isinstance(script, str) else script
        self.dialect = dialect
        self._name = name
        self._text, self._position = rest.text, rest.position
        self._delimiter = rest.delimiter
        #: The line of the offset `_counted`.
        self._line, self._counted = rest.line, rest.position
        #: Lines that were taken out of the text, by the offset where they were.
        self._taken = rest.taken

    def __iter__(self) -> Iterator[Statement]:
        return self

    def __next__(self) -> Statement:
        """The next statement that is more than blank."""
        while self._position < len(self._text):
            found, delimited = self._read()
            statement = _statement(found, delimited=delimited)
            if statement is not None:
                return self._placed(statement, found)
        raise StopIteration

    def unfinished(self, offset: int) -> PermanentTaskError:
        """The error for a quote or comment that begins at an offset and has no end."""
        begins = f"the quote or comment that begins in {self._place(offset)}"
        return _invalid(f"{self._name} ends inside {begins}")

    def _read(self) -> tuple[list[Token], bool]:
        """The tokens up to where a statement ends, or the script does; and if DELIMITER said so."""
        current: list[Token] = []
        body = body_for(self.dialect.family)
        begun = False
        while self._position < len(self._text):
            until = "" if self._delimiter == _SEMICOLON else self._delimiter
            if until and self._text.startswith(until, self._position):
                self._position += len(until)
                return current, True
            if (ended := self._command(current, begun=begun)) is not None:
                if ended:
                    return current, bool(until)
                continue
            token = self._token(until, begun=begun)
            self._position = token.end
            if token.kind == "semicolon" and not until and not body.open:
                break
            current.append(token)
            if token.is_real:
                begun = True
                body.take(token)
        return current, self._delimiter != _SEMICOLON

    def _token(self, until: str, *, begun: bool) -> Token:
        text, position = self._text, self._position
        if not begun and self.dialect.family is Family.MYSQL and text.startswith("--", position):
            # Before a statement the client takes any two dashes for a comment.
            end = text.find("\n", position)
            return Token("comment", text[position : end if end >= 0 else len(text)], position)
        return token_at(text, position, self.dialect, self.unfinished, until=until)

    def _command(self, current: list[Token], *, begun: bool) -> bool | None:
        """Obey what is meant for the client here; whether it ends the statement.

        None: it is SQL.
        """
        family, sign = self.dialect.family, self._text[self._position]
        if family is Family.MYSQL:
            return self._command_of_mysql(current, sign, begun=begun)
        if family.is_psql and sign == "\\":
            if (end := self._obeyed(client.sent_by(self._text, self._position, begun=begun))) > 0:
                self._position = end
                return True
            self._position = self._obeyed(client.psql_command(self._text, self._position))
            return False
        if family in {Family.ORACLE, Family.SQLSERVER} and self._indent() is not None:
            return self._line_of_a_vendor(family, begun=begun)
        if family is Family.SQLITE and sign == "." and not begun and self._indent() == "":
            self._obeyed(client.dot_command(self._text, self._position))
        return None

    def _line_of_a_vendor(self, family: Family, *, begun: bool) -> bool | None:
        """A line that ends a statement (`GO`, `/`), or is SQL*Plus's own."""
        text, position = self._text, self._position
        if family is Family.SQLSERVER:
            end = self._obeyed(client.batch_end(text, position))
            if end is not None:
                self._position = end
            return None if end is None else True
        end = client.slash_end(text, position)
        if end is not None:
            if not begun:
                why = "a / behind a statement that has ended would run it again: leave one out"
                self._obeyed(Refused(why))
            self._position = end
            return True
        passed = None if begun else self._obeyed(client.sql_plus_line(text, position))
        if passed is not None:
            self._position = passed
        return None if passed is None else False

    def _command_of_mysql(self, current: list[Token], sign: str, *, begun: bool) -> bool | None:
        text, position = self._text, self._position
        if sign == "\\":
            if not self._obeyed(client.backslash_ends(text, position)):
                return None
            self._position += 2
            return True
        if sign in "dD" and client.is_delimiter(text, position):
            forgotten = self._delimiter != _SEMICOLON and self._indent() is not None
            if not begun or forgotten:
                set_to = client.new_delimiter(text, position)
                self._delimiter, self._position = self._obeyed(set_to)
                return begun
        if begun or self._indent() is None:
            return None
        line = self._obeyed(client.mysql_line(text, position, self._delimiter))
        if line is None:
            return None
        name, argument = line.split(maxsplit=1)
        current += [Token("word", name, position), Token("other", f" {argument}", position)]
        self._position += len(line)
        return True

    def _obeyed(self, outcome: _T | Refused) -> _T:
        if isinstance(outcome, Refused):
            raise _invalid(f"{self._name}, {self._place(self._position)}: {outcome.why}")
        return outcome

    def _indent(self) -> str | None:
        """The blank before the position in its line; None: there is more in it."""
        start = self._text.rfind("\n", 0, self._position) + 1
        before = self._text[start : self._position]
        return before if not before or before.isspace() else None

    def _placed(self, statement: Statement, found: list[Token]) -> Statement:
        """The statement with where it is, its data, and what comes behind it."""
        first = next(token for token in found if token.is_real)
        line = self._line_of(first.start)
        column = first.start - self._text.rfind("\n", 0, first.start)
        data = None
        if client.takes_data(_shape(found, len(found)), self.dialect.family):
            data = self._data()
        rest = Rest(
            text=self._text,
            position=self._position,
            line=self._line_of(self._position),
            delimiter=self._delimiter,
            taken=self._taken,
        )
        return replace(statement, line=line, column=column, data=data, rest=rest)

    def _data(self) -> str:
        """Take the lines behind this one out of the text."""
        start = client.end_of_line(self._text, self._position) + 1
        data, end = client.data_at(self._text, start)
        if not self._text[self._position : start].strip():
            self._position = end
            return data
        # More statements in the same line: their data, if any, comes next.
        self._taken[start] = self._taken.get(start, 0) + self._text.count("\n", start, end)
        self._text = self._text[:start] + self._text[end:]
        return data

    def _line_of(self, offset: int) -> int:
        """The line of an offset; asked for in order."""
        self._line += self._text.count("\n", self._counted, offset)
        self._line += sum(n for at, n in self._taken.items() if self._counted < at <= offset)
        self._counted = offset
        return self._line

    def _place(self, offset: int) -> str:
        column = offset - self._text.rfind("\n", 0, offset)
        return f"line {self._line_of(offset)}, column {column}"


def _invalid(message: str) -> PermanentTaskError:
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def _statement(found: list[Token], *, delimited: bool = False) -> Statement | None:
    real = [token for token in found if token.is_real]
    if not real:
        return None
    parts = [""]
    for token in found:
        if token.kind == "question" and token.text == "?":
            parts.append("")
        else:
            # JDBC's way to write a question mark that is no placeholder is to double it.
            parts[-1] += "?" if token.kind == "question" else token.text
    parts[0], parts[-1] = parts[0].lstrip(), parts[-1].rstrip()
    text = "".join(token.text for token in found)
    before = "".join(token.text for token in found[: found.index(real[0])])
    return Statement(
        parts=tuple(parts),
        line=1,
        verb=next((token.text.upper() for token in real if token.kind == "word"), ""),
        text=text.strip(),
        shape=_shape(real, _SHAPE),
        lead=len(before.lstrip()),
        several=delimited and any(token.kind == "semicolon" for token in real[:-1]),
    )


def _shape(found: list[Token], most: int) -> str:
    pieces = (_shown(token) for token in found[:most] if token.is_real)
    return " ".join(filter(None, pieces))


def _shown(token: Token) -> str:
    if token.kind == "word":
        return token.text.upper()
    if token.kind == "quoted":
        return token.text[-1] * 2
    return "" if token.kind == "code" else token.text.strip()

"""SQL text taken apart: statements, and placeholders outside quotes and comments.

The statements themselves are the server's business. Only what could hide a semicolon or a
question mark is understood: quotes, comments, dollar quotes, and the bodies of procedures and
triggers between BEGIN and END.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.secret import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Whose quotes and comments a text is written in; a driver has its own.

    The texts are regular expressions, tried in the order in which they stand here; a dot is any
    character. What is left out is as the standard of SQL has it.
    """

    #: Texts and names in quotes, whole.
    quoted: str = r"'(?:[^']|'')*+'|\"(?:[^\"]|\"\")*+\""
    #: Comments that the server runs.
    code: str | None = None
    #: Comments, whole.
    comment: str = r"--[^\n]*+|/\*.*?\*/"
    #: Comments of the form /* ... */ may hold others; `comment` leaves that form out then.
    comments_nest: bool = False
    #: The beginning of what never ends: tried after all that would have been whole.
    opening: str = r"'|\"|/\*"
    #: What stands around a name.
    name_quotes: tuple[str, str] = ('"', '"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement: its text is `parts` with a placeholder between each two of them."""

    parts: tuple[str, ...]
    #: Where it begins in the script; lines count from 1.
    line: int
    #: Its first word in capitals: SELECT, INSERT, ...
    verb: str
    #: As it was written, without the semicolon.
    text: str

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


_VERBS = frozenset(
    [
        "ALTER",
        "ANALYZE",
        "ATTACH",
        "BEGIN",
        "CALL",
        "CHECKPOINT",
        "CLOSE",
        "CLUSTER",
        "COMMENT",
        "COMMIT",
        "COPY",
        "CREATE",
        "DECLARE",
        "DELETE",
        "DETACH",
        "DO",
        "DROP",
        "END",
        "EXEC",
        "EXECUTE",
        "EXPLAIN",
        "FETCH",
        "FLUSH",
        "GRANT",
        "HANDLER",
        "IMPORT",
        "INSERT",
        "KILL",
        "LOAD",
        "LOCK",
        "MERGE",
        "OPTIMIZE",
        "PRAGMA",
        "PREPARE",
        "REFRESH",
        "REINDEX",
        "RELEASE",
        "RENAME",
        "REPLACE",
        "RESET",
        "REVOKE",
        "ROLLBACK",
        "SAVEPOINT",
        "SELECT",
        "SET",
        "SHOW",
        "START",
        "TABLE",
        "TRUNCATE",
        "UNLOAD",
        "UNLOCK",
        "UPDATE",
        "USE",
        "VACUUM",
        "VALUES",
        "WITH",
    ]
)
_WORD = r"(?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*+)"
_COMMON = r"(?P<question>\?\??)|(?P<semicolon>;)|(?P<percent>%s)|(?P<other>[\s\d(),.=<>+*]++|.)"
_NESTED = re.compile(r"/\*|\*/")
#: What CREATE makes that has a body of statements.
_WITH_BODY = {"PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"}
_CLOSED_BY_NAME = {"IF", "LOOP", "WHILE", "REPEAT", "FOR"}


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    line: int


def split(script: str, dialect: Dialect) -> list[Statement]:
    """The statements of a script, comments kept inside them; empty ones are left out.

    Raises PermanentTaskError when a quote or a comment has no end.
    """
    found = []
    current: list[_Token] = []
    body = _Body()
    for token in _tokens(script, dialect):
        if token.kind == "semicolon" and not body.open:
            found.append(_statement(current))
            current, body = [], _Body()
            continue
        current.append(token)
        if token.kind == "word":
            body.see(token.text.upper())
    found.append(_statement(current))
    return [statement for statement in found if statement is not None]


def parse_statement(query: str, dialect: Dialect, *, percent_s: bool = False) -> Statement:
    """A text that must be one statement; with `percent_s`, `%s` is a placeholder as `?` is."""
    found = split(query, dialect)
    if len(found) != 1:
        message = f"found {len(found)} SQL statements, wanted one: {quoted(query, 200)}"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    if not percent_s:
        return found[0]
    tokens = [t for t in _tokens(query, dialect) if t.kind != "semicolon"]
    for token in tokens:
        token.kind = "question" if token.kind == "percent" else token.kind
        token.text = "?" if token.kind == "question" else token.text
    statement = _statement(tokens)
    return statement or found[0]


class _Body:
    """Whether a semicolon is inside the body of what CREATE makes."""

    def __init__(self) -> None:
        self._words = 0
        self._creates = False
        self._has_body = False
        self._depth = 0
        self._last = ""

    @property
    def open(self) -> bool:
        return self._depth > 0

    def see(self, word: str) -> None:
        """Take the next word of the statement."""
        self._words += 1
        if self._words == 1:
            self._creates = word == "CREATE"
        if not self._creates:
            return
        self._has_body = self._has_body or word in _WITH_BODY
        if self._has_body:
            self._count(word)
        self._last = word

    def _count(self, word: str) -> None:
        if self._last == "END":
            # END IF closes what no BEGIN opened: take back the END.
            self._depth += 1 if word in _CLOSED_BY_NAME else 0
            return
        if word in {"BEGIN", "CASE"}:
            self._depth += 1
        elif word == "END":
            self._depth -= 1


def _tokens(script: str, dialect: Dialect) -> Iterator[_Token]:
    pattern = _pattern(dialect)
    position, line = 0, 1
    while position < len(script):
        match = pattern.match(script, position)
        kind = (match and match.lastgroup) or "other"
        end = match.end() if match else position + 1
        if kind == "nested":
            kind, end = "comment", _nested_end(script, position, line)
        if kind == "open":
            raise _unfinished(line)
        text = script[position:end]
        yield _Token(kind, text, line)
        line += text.count("\n")
        position = end


@cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    tokens = {
        "quoted": dialect.quoted,
        "code": dialect.code,
        "comment": dialect.comment,
        "nested": r"/\*" if dialect.comments_nest else None,
        "open": dialect.opening,
    }
    named = [f"(?P<{name}>{pattern})" for name, pattern in tokens.items() if pattern]
    return re.compile("|".join([*named, _WORD, _COMMON]), re.DOTALL)


def _nested_end(script: str, start: int, line: int) -> int:
    depth = 0
    for match in _NESTED.finditer(script, start):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise _unfinished(line)


def _unfinished(line: int) -> PermanentTaskError:
    message = f"the SQL text ends inside the quote or comment that begins in line {line}"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def _statement(tokens: list[_Token]) -> Statement | None:
    real = [t for t in tokens if t.kind != "comment" and not t.text.isspace()]
    if not real:
        return None
    parts = [""]
    for token in tokens:
        if token.kind == "question" and token.text == "?":
            parts.append("")
        else:
            # JDBC's way to write a question mark that is no placeholder is to double it.
            parts[-1] += "?" if token.kind == "question" else token.text
    parts[0], parts[-1] = parts[0].lstrip(), parts[-1].rstrip()
    return Statement(
        parts=tuple(parts),
        line=real[0].line,
        verb=next((t.text.upper() for t in real if t.kind == "word"), ""),
        text="".join(t.text for t in tokens).strip(),
    )

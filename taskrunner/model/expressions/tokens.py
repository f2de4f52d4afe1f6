"""Cutting the inside of `#{...}` into tokens, with exact positions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from taskrunner.errors import ExpressionError

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?|\.\d+)
      | (?P<name>@?[^\W\d]\w*)
      | (?P<text>'(?:[^'\\]|\\.|'')*+'|"(?:[^"\\]|\\.|"")*+")
      | (?P<open>\#\{)
      | (?P<mark>[-+*/^().,}])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\([\\'"])|''|"\"""")


def wrong(message: str, column: int) -> ExpressionError:
    """The error for something at a column of the field's text."""
    return ExpressionError(f"{message} (at column {column})", column=column)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of source: `kind` is number, name, text, end, or the mark itself."""

    kind: str
    text: str
    start: int
    stop: int

    @property
    def column(self) -> int:
        """Where it begins, from 1."""
        return self.start + 1

    @property
    def shown(self) -> str:
        """How an error message calls it."""
        return "the end of the text" if self.kind == "end" else repr(self.text)


class Lexer:
    """Reads tokens of `source` one by one from a position; `peek` is the one to come."""

    __slots__ = ("_source", "peek")

    def __init__(self, source: str, position: int) -> None:
        self._source = source
        self.peek = self._read(position)

    def take(self) -> Token:
        """The next token; raises ExpressionError when what follows it is none."""
        token = self.peek
        # What follows the last brace is literal text again, and none of this lexer's business.
        if token.kind != "end":
            self.peek = self._read(token.stop)
        return token

    def _read(self, position: int) -> Token:
        match = _TOKEN.match(self._source, position)
        if match is None:
            raise self._unreadable(position)
        group = match.lastgroup or "end"
        text = match[group]
        kind = text if group in {"open", "mark"} else group
        return Token(kind, text, match.start(group), match.end())

    def _unreadable(self, position: int) -> ExpressionError:
        rest = self._source[position:]
        start = position + len(rest) - len(rest.lstrip())
        found = self._source[start]
        if found in "'\"":
            return wrong(f"a text that begins with {found} has no {found} at its end", start + 1)
        return wrong(f"found {found!r}, which has no meaning in an expression", start + 1)


def unquote(text: str) -> str:
    """The content of a quoted text: a doubled or escaped quote stands for itself."""
    quote, body = text[0], text[1:-1]
    if "\\" not in body and quote not in body:
        return body

    def plain(match: re.Match[str]) -> str:
        doubled = match[1] is None
        return match[0] if doubled and match[0][0] != quote else match[1] or quote

    return _ESCAPE.sub(plain, body)

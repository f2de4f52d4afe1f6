"""The words of a filter in Hive's SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

_TOKEN = re.compile(
    r"""
      (?P<blank>\s+)
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<quoted>`(?:[^`]|``)+`)
    | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?(?![A-Za-z0-9_]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign><=>|<=|>=|<>|!=|==|[=<>(),+*-])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_SPELLED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}


class Kind(Enum):
    """What a token is."""

    TEXT = "text"
    QUOTED = "quoted"
    NUMBER = "number"
    WORD = "word"
    SIGN = "sign"
    END = "end"


class BadFilter(Exception):
    """A filter that is not understood; the message says where and what was wanted."""

    def __init__(self, message: str, *, column: int) -> None:
        super().__init__(f"column {column}: {message}")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, its content without quotes, and where it stands (from 1)."""

    kind: Kind
    text: str
    column: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of the words, in any case."""
        return self.kind is Kind.WORD and self.text.upper() in words

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of the signs."""
        return self.kind is Kind.SIGN and self.text in signs

    def __str__(self) -> str:
        return "the end" if self.kind is Kind.END else repr(self.text)


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a filter, the end last; raises BadFilter."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            found = text[at : at + 10]
            raise BadFilter(f"found {found!r}, which is not understood", column=at + 1)
        kind, content = match.lastgroup, match[0]
        if kind == "text":
            content = _ESCAPED.sub(_unescaped, content[1:-1])
        elif kind == "quoted":
            content = content[1:-1].replace("``", "`")
        if kind != "blank":
            yield Token(Kind(kind), content, at + 1)
        at = match.end()
    yield Token(Kind.END, "", len(text) + 1)


def _unescaped(match: re.Match[str]) -> str:
    what = match[1]
    if len(what) == 5:
        return chr(int(what[1:], 16))
    # Before the wildcards of LIKE the backslash stays.
    return f"\\{what}" if what in "%_" else _SPELLED.get(what, what)

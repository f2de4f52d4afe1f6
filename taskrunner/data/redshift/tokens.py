"""Redshift's COPY and UNLOAD taken apart into words, texts, numbers and signs. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from taskrunner.errors import ErrorId, PermanentTaskError


class Kind(StrEnum):
    """What a token is."""

    WORD = "word"
    TEXT = "text"  # between single quotes
    NAME = "name"  # between double quotes
    NUMBER = "number"
    SIGN = "sign"


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a statement, as it was written."""

    kind: Kind
    written: str

    @property
    def word(self) -> str:
        """The word in capitals; empty for all else."""
        return self.written.upper() if self.kind is Kind.WORD else ""

    @property
    def meant(self) -> str:
        """What a text or a name says, without its quotes."""
        if self.kind is Kind.TEXT:
            return meaning(self.written[1:-1])
        if self.kind is Kind.NAME:
            return self.written[1:-1].replace('""', '"')
        return self.written


_TOKEN = re.compile(
    r"(?P<text>'(?:[^'\\]|\\.|'')*')|(?P<name>\"(?:[^\"]|\"\")*\")"
    r"|(?P<word>[^\W\d][\w$#]*)|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<blank>\s+|--[^\n]*|/\*.*?\*/)|(?P<sign>.)",
    re.DOTALL,
)
_ESCAPED = re.compile(r"''|\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_SPELLED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_SHOWN = 60


def tokens(text: str) -> list[Token]:
    """The tokens; raises PermanentTaskError for a text in quotes that never ends."""
    found = [match for match in _TOKEN.finditer(text) if match.lastgroup != "blank"]
    for match in found:
        if match[0] in {"'", '"'}:
            raise unreadable(f"the quote has no end in {text[match.start() :][:_SHOWN]!r}")
    return [Token(Kind(match.lastgroup or ""), match[0]) for match in found]


def meaning(inside: str) -> str:
    """What stands between single quotes, read as Redshift does: backslashes escape."""
    return _ESCAPED.sub(_unescaped, inside)


def _unescaped(match: re.Match[str]) -> str:
    if match[0] == "''":
        return "'"
    if match[1]:
        return chr(int(match[1], 8))
    if match[2]:
        return chr(int(match[2], 16))
    return _SPELLED.get(match[3], match[3])


def quoted(text: str) -> str:
    """A text as it stands in Redshift's SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def unreadable(problem: str) -> PermanentTaskError:
    """The error for a text that is no statement or option of Redshift's."""
    return PermanentTaskError(problem, error_id=ErrorId.INVALID_FIELD)

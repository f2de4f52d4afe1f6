"""SQL text taken apart into words, quotes, comments and signs. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from taskrunner.data.databases.dialect import Dialect

_WORD = r"(?P<word>[A-Za-z_\x80-\U0010ffff][\w$]*+)"
_COMMON = r"(?P<question>\?\??)|(?P<semicolon>;)|(?P<percent>%s)|(?P<other>\s++|[\d(),.=<>+*]++|.)"
_NESTED = re.compile(r"/\*|\*/")
#: What may hold a delimiter anywhere; quotes and comments are passed over whole.
_MAY_BE_CUT = {"word", "other", "question", "percent", "semicolon"}

#: Called with the offset of a quote or comment that has no end; returns what to raise.
Unfinished = Callable[[int], Exception]


@dataclass(slots=True)
class Token:
    """A piece of a script."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.start + len(self.text)

    @property
    def is_real(self) -> bool:
        """Whether it is more than blank or comment."""
        return self.kind != "comment" and not self.text.isspace()


def token_at(
    script: str, position: int, dialect: Dialect, unfinished: Unfinished, *, until: str = ""
) -> Token:
    """The token that begins at an offset; it ends before the text `until`, if that is given."""
    match = _pattern(dialect).match(script, position)
    kind = (match and match.lastgroup) or "other"
    end = match.end() if match else position + 1
    if kind == "nested":
        kind, end = "comment", _nested_end(script, position, unfinished)
    if kind == "open":
        raise unfinished(position)
    if until and kind in _MAY_BE_CUT:
        cut = script.find(until, position, end + len(until) - 1)
        end = cut if cut > position else end
    return Token(kind, script[position:end], position)


def tokens(script: str, dialect: Dialect, unfinished: Unfinished) -> Iterator[Token]:
    """All tokens of a text."""
    position = 0
    while position < len(script):
        token = token_at(script, position, dialect, unfinished)
        yield token
        position = token.end


@cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    patterns = {
        "quoted": dialect.quoted,
        "code": dialect.code,
        "comment": dialect.comment,
        "nested": r"/\*" if dialect.comments_nest else None,
        "open": dialect.opening,
    }
    named = [f"(?P<{name}>{pattern})" for name, pattern in patterns.items() if pattern]
    return re.compile("|".join([*named, _WORD, _COMMON]), re.DOTALL)


def _nested_end(script: str, start: int, unfinished: Unfinished) -> int:
    depth = 0
    for match in _NESTED.finditer(script, start):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    raise unfinished(start)

"""What can be told of a Hive script from its text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from taskrunner.model.steps.works import Pairs

_HIDDEN = re.compile(r"""(--[^\n]*)|('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|`[^`]*`""", re.DOTALL)
_STORED_BY = re.compile(r"\bSTORED\s+BY\b", re.IGNORECASE)
_CLASS = re.compile(r"""\s*['"]([^'"]*)['"]""")
_NAME = re.compile(r"\$\{(?:hivevar:)?(\w+)\}")


def with_values(text: str, variables: Pairs) -> str:
    """A text with the values of its variables in place of `${NAME}`."""
    values = dict(variables)
    return _NAME.sub(lambda match: values.get(match[1], match[0]), text)


def blanked(text: str, *, comments_only: bool = False) -> str:
    """A script with blanks for its comments and, unless those are wanted, for its texts in quotes.

    It has the same length, so that places stay the same; names in backticks stay, too.
    """

    def shown(match: re.Match[str]) -> str:
        hides = match[1] or (match[2] and not comments_only)
        return " " * len(match[0]) if hides else match[0]

    return _HIDDEN.sub(shown, text)


def statements(text: str) -> Iterator[str]:
    """A script's statements, each with its semicolon and what is before it; nothing is lost."""
    plain, begun = _HIDDEN.sub(lambda match: " " * len(match[0]), text), 0
    while (at := plain.find(";", begun)) >= 0:
        yield text[begun : at + 1]
        begun = at + 1
    yield text[begun:]


def storage_handler(text: str) -> str | None:
    """The class of the first table that is STORED BY one; None where no table is."""
    plain = _HIDDEN.sub(lambda match: " " * len(match[0]), text)
    found = _STORED_BY.search(plain)
    if found is None:
        return None
    named = _CLASS.match(text, found.end())
    return named[1] if named else "?"

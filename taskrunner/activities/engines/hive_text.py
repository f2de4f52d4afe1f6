"""What can be told of a Hive script from its text."""

from __future__ import annotations

import re

from taskrunner.model.steps.works import Pairs

_HIDDEN = re.compile(r"""--[^\n]*|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`""", re.DOTALL)
_STORED_BY = re.compile(r"\bSTORED\s+BY\b", re.IGNORECASE)
_CLASS = re.compile(r"""\s*['"]([^'"]*)['"]""")
_NAME = re.compile(r"\$\{(?:hivevar:)?(\w+)\}")


def with_values(text: str, variables: Pairs) -> str:
    """A text with the values of its variables in place of `${NAME}`."""
    values = dict(variables)
    return _NAME.sub(lambda match: values.get(match[1], match[0]), text)


def storage_handler(text: str) -> str | None:
    """The class of the first table that is STORED BY one; None where no table is."""
    # Of the same length, so that places stay the same.
    plain = _HIDDEN.sub(lambda match: " " * len(match[0]), text)
    found = _STORED_BY.search(plain)
    if found is None:
        return None
    named = _CLASS.match(text, found.end())
    return named[1] if named else "?"


def why_not_spark(text: str) -> str | None:
    """What in a Hive script spark-sql cannot do; None where nothing is known."""
    handler = storage_handler(text)
    if handler is None:
        return None
    what = f"the script has a table STORED BY {handler.rpartition('.')[2]}"
    return f"{what}, which spark-sql cannot read or write: that needs Hive (a hive command, or EMR)"

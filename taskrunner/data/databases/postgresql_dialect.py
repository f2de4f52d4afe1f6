"""How PostgreSQL reads a script, which `standard_conforming_strings` changes. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from taskrunner.data.databases.dialect import Dialect, Family

_NAME = r"\"[^\"]*+\""
_DOLLARS = r"\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff]\w*)?)\$.*?\$(?P=tag)\$"
_PLAIN = r"'(?:[^']|'')*+'"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*+'"
_SETTING = "standard_conforming_strings"
_SETS = re.compile(
    rf"\bSET\s+(?:SESSION\s+|LOCAL\s+)?\"?{_SETTING}\"?\s*(?:=|\bTO\b)\s*['\"]?(?P<value>\w+)",
    re.IGNORECASE,
)
_SETS_BY_FUNCTION = re.compile(
    rf"\bSET_CONFIG\s*\(\s*'{_SETTING}'\s*,\s*'(?P<value>\w+)'", re.IGNORECASE
)

STANDARD = Dialect(
    quoted=rf"[eE]{_ESCAPED}|{_PLAIN}|{_NAME}|{_DOLLARS}",
    comment=r"--[^\n\r]*+",
    comments_nest=True,
    opening=r"'|\"",
    family=Family.POSTGRESQL,
)
#: With the setting off a backslash escapes in every text, but for those of bits and code points.
OLD = replace(STANDARD, quoted=rf"(?:[uU]&|[bBxX]){_PLAIN}|{_ESCAPED}|{_NAME}|{_DOLLARS}")
REDSHIFT = replace(STANDARD, quoted=rf"{_ESCAPED}|{_NAME}|{_DOLLARS}", family=Family.REDSHIFT)


def dialect_of(standard_conforming_strings: str) -> Dialect:
    """How texts are written with a value of the setting."""
    return OLD if standard_conforming_strings == "off" else STANDARD


def assumed_after(text: str) -> Dialect | None:
    """How what follows a statement is probably read; None: as before, for certain.

    The server is asked when the statement has run. This is for whoever has to know before.
    """
    if _SETTING not in text.lower():
        return None
    found = _SETS.search(text) or _SETS_BY_FUNCTION.search(text)
    off = found is not None and found["value"].lower() in {"off", "false", "no", "0", "f", "n"}
    return OLD if off else STANDARD

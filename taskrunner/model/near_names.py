"""Whether one name of a worker group could be meant for another."""

from __future__ import annotations

import re
from enum import Enum


class Near(Enum):
    """How one name could be meant for another."""

    SPELLING = "case, dashes and the like"
    PREFIX = "one begins with the other"


def nearness(name: str, other: str) -> Near | None:
    """How near two different names are; None: they have nothing to do with each other."""
    one, two = (re.sub(r"[\W_]+", "-", text.strip().casefold()) for text in (name, other))
    if one == two:
        return Near.SPELLING
    return Near.PREFIX if one.startswith(two) or two.startswith(one) else None


def difference(name: str, other: str) -> str:
    """In which way two near names differ, in a few words."""
    if name.strip() == other.strip():
        return "a blank at its beginning or end"
    if name.casefold() == other.casefold():
        return "letter case"
    if nearness(name, other) is Near.PREFIX:
        return "one begins with the other"
    if name.strip().casefold() == other.strip().casefold():
        return "letter case and blanks"
    same_case = re.sub(r"[\W_]+", "-", name) == re.sub(r"[\W_]+", "-", other)
    return "dash, underscore or the like" if same_case else "letter case, dash or underscore"

"""The filter box: `state:finished tag:team=bi group:prod late orders` as what /v1 takes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

#: What a word before the colon says; the health is asked for by what people call it.
_KEYS = {"state": "state", "health": "health", "tag": "tag", "group": "group", "name": "name"}
_HEALTH = {
    "failed": "ERROR",
    "failing": "ERROR",
    "broken": "ERROR",
    "error": "ERROR",
    "healthy": "HEALTHY",
    "ok": "HEALTHY",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a filter box says."""

    members: Mapping[str, list[str]] = field(default_factory=dict)
    #: Why it cannot be read, for people.
    problem: str = ""


def read_filter(text: str) -> Filter:
    """The members of a request for pipelines, as texts."""
    try:
        words = shlex.split(text)
    except ValueError:
        return Filter(problem="a quotation mark is missing in the filter")
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for word in words:
        key, colon, value = word.partition(":")
        if word == "late":
            found["late"] = ["true"]
        elif word.startswith("name~"):
            names.append(word.removeprefix("name~"))
        elif not colon:
            names.append(word)
        elif key not in _KEYS or not value:
            known = ", ".join(f"{known}:…" for known in _KEYS)
            return Filter(problem=f"{word!r} is no filter: wanted words, late, {known}")
        elif key in {"state", "health"} and value.lower() in _HEALTH:
            found["health"] = [_HEALTH[value.lower()]]
        elif key == "name":
            names.append(value)
        else:
            shown = value.upper() if key in {"state", "health"} else value
            found.setdefault(_KEYS[key], []).append(shown)
    if names:
        found["name"] = [" ".join(names)]
    return Filter(members=found)

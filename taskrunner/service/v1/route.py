"""What a route of /v1 is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from taskrunner.service.auth import Permit
from taskrunner.service.handler import Handler

_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path: who may call it, what it takes and what it answers."""

    method: str
    #: `/v1/pipelines/{pipeline_id}`: members of the request stand in braces.
    path: str
    #: The operation of AWS's API that a key must be allowed to call: roles count here as there.
    action: str
    request: type
    reply: type
    handler: Handler
    #: One line for the documentation.
    summary: str
    #: What else a key must be allowed to call for a request.
    also: Callable[[Any], Iterable[str]] = lambda _request: ()

    def check(self, permit: Permit, message: Any) -> None:
        """Raise AccessDenied where the caller may not make the request."""
        permit.check_action(self.action)
        permit.check_request(message)
        for action in self.also(message):
            permit.check_action(action)

    @property
    def names(self) -> Sequence[str]:
        """The members of the request that stand in the path."""
        return _NAME.findall(self.path)

    @property
    def operation(self) -> str:
        """The name by which clients are generated: that of the handler."""
        name: str = getattr(self.handler, "__name__", "")
        return name

    def takes(self, path: str) -> Mapping[str, str] | None:
        """The members that a path, percent-encoded, holds; None: it is another route's."""
        return named_parts(self.path, path)


def named_parts(pattern: str, path: str) -> Mapping[str, str] | None:
    """What stands in a path, percent-encoded, where a pattern has names in braces; None: no match.

    Parts are told from each other before they are decoded: an id may have a slash in it.
    """
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    found: dict[str, str] = {}
    for place, part in zip(wanted, given, strict=True):
        name = _NAME.fullmatch(place)
        if name is None and place != part:
            return None
        if name is not None:
            found[name[1]] = unquote(part, errors="replace")
    return found if all(found.values()) else None

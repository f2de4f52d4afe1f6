"""Requests and replies as values, and the one method that whoever carries them has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request; header names are in lower case, repeated ones joined by a comma."""

    method: str = "POST"
    path: str = "/"
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """A reply, whole; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


class TransportError(Exception):
    """No whole reply came; the message says why in a few words."""


class GivenUp(TransportError):
    """Another thread asked for the call's end."""


class Transport(Protocol):
    """Carries requests to one endpoint."""

    def send(self, request: HttpRequest, *, deadline_s: float) -> HttpReply:
        """The reply, all of it, within `deadline_s` seconds; raises TransportError."""
        ...

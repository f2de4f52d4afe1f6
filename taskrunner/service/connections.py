"""Which connections there are, and which one goes when there is no place for another.

A connection is *idle* until a request on it was found to be from the holder of a key: silent ones,
half requests and slow bodies are all idle, whatever they send. When every place is taken, the
connection that has been idle longest is closed, of the address that holds most idle ones: whoever
is new is served, and a crowd from one address crowds out itself.
"""

from __future__ import annotations

import ipaddress
import resource
from collections import OrderedDict
from functools import lru_cache
from typing import Protocol

#: What the store, its files, logs and the program itself need beside connections.
_RESERVE = 128
#: A connection with a request on it holds some 50 KB: more descriptors are no reason for more.
_MOST = 10_000
_FEWEST = 16


class Closable(Protocol):
    """A connection, as far as it is to be closed."""

    def close_now(self) -> None:
        """Close it without a word."""
        ...


def most_connections() -> int:
    """How many connections this process may hold within its limit of descriptors."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _MOST
    return max(_FEWEST, min(_MOST, limit - max(_RESERVE, limit // 8)))


@lru_cache(maxsize=4096)
def origin_of(address: str) -> str:
    """Whom an address stands for: of IPv6, where one host has a whole network, the network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address


class Connections:
    """The places for connections. For the event loop's thread only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = 0
        #: Of each origin, its idle connections: the one that has been idle longest comes first.
        self._idle: dict[str, OrderedDict[Closable, None]] = {}

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self._taken

    def has_room(self) -> bool:
        """Whether there is a place, or one can be had; false: all are taken and at work."""
        return self._taken < self.most or bool(self._idle)

    def make_room(self) -> bool:
        """Have one place free; true when a connection had to be closed for it."""
        return self._taken >= self.most and self.close_one()

    def close_one(self) -> bool:
        """Close the connection that can best be done without; false: all are at work."""
        if not self._idle:
            return False
        origin, crowd = max(self._idle.items(), key=lambda item: len(item[1]))
        victim = next(iter(crowd))
        self.busy(victim, origin)
        victim.close_now()
        return True

    def enter(self, connection: Closable, origin: str) -> None:
        """Take a place for a new connection, which is idle."""
        self._taken += 1
        self.idle(connection, origin)

    def leave(self, connection: Closable, origin: str) -> None:
        """Give the place of a connection that has ended back."""
        self._taken -= 1
        self.busy(connection, origin)

    def idle(self, connection: Closable, origin: str) -> None:
        """From now on nothing is done for the connection: it may be closed."""
        self._idle.setdefault(origin, OrderedDict())[connection] = None

    def busy(self, connection: Closable, origin: str) -> None:
        """From now on the connection is not to be closed."""
        crowd = self._idle.get(origin)
        if crowd is not None:
            crowd.pop(connection, None)
            if not crowd:
                del self._idle[origin]

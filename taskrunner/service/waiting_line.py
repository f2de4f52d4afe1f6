"""Connections that were accepted and wait for their turn to be opened.

To take a connection off the listening socket costs little, to open it and to answer what it sends
much more. So a crowd is taken in at once, and waits here in front of the work; whoever comes
next does not stand behind all of it.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from dataclasses import dataclass

from taskrunner.service.connections import Connections

#: One of so many that are opened is the one that has waited longest, so that nobody waits for ever.
_OLDEST_EACH = 4


@dataclass(eq=False, slots=True)
class Waiting:
    """A connection that waits; it has a place, and may be closed, as any idle one."""

    line: WaitingLine
    sock: socket.socket
    origin: str

    def close_now(self) -> None:
        """Close it without a word."""
        self.line.remove(self)
        self.sock.close()


class WaitingLine:
    """Who is next: by turns of the addresses, of each address mostly the newest.

    An address that is new comes first. Who has just come still waits for an answer; who has waited
    for long may have given up, and is the first to be closed when places are short.
    """

    def __init__(self, places: Connections) -> None:
        self._places = places
        #: Of each origin those that wait, the oldest first; the origin whose turn it is, first.
        self._lines: OrderedDict[str, OrderedDict[Waiting, None]] = OrderedDict()
        self._opened = 0

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._lines)

    def enter(self, sock: socket.socket, origin: str) -> None:
        """A connection begins to wait; there is a place for it."""
        waiting = Waiting(self, sock, origin)
        self._places.enter(waiting, origin)
        line = self._lines.get(origin)
        if line is None:
            line = self._lines[origin] = OrderedDict()
            self._lines.move_to_end(origin, last=False)
        line[waiting] = None

    def next(self) -> tuple[socket.socket, str]:
        """The connection whose turn it is; its place is free, for its protocol to take."""
        origin, line = next(iter(self._lines.items()))
        self._lines.move_to_end(origin)
        self._opened += 1
        oldest = self._opened % _OLDEST_EACH == 0
        waiting = next(iter(line)) if oldest else next(reversed(line))
        self.remove(waiting)
        return waiting.sock, origin

    def remove(self, waiting: Waiting) -> None:
        """It waits no more, and its place is free."""
        line = self._lines[waiting.origin]
        del line[waiting]
        if not line:
            del self._lines[waiting.origin]
        self._places.leave(waiting, waiting.origin)

    def close(self) -> None:
        """Close all that wait."""
        for line in list(self._lines.values()):
            for waiting in list(line):
                waiting.close_now()

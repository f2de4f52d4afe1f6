"""Processes that are made before they are told what to do.

Into its control group a process gets in some ten milliseconds, in which the kernel waits. So one is
made ahead for the next task. It is told its work, over a socket, when the hand-out is in the
journal, and gets all ready while the agent acknowledges it; it begins when it is told to, or never.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from taskrunner.agent.ipc import frames
from taskrunner.host.cgroups import Group

#: It only has to read; one that does not is stopped or broken.
_TAKES_WITHIN_S = 5.0
_BEGIN = b"b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """A process that waits for its work, or for the word to begin it."""

    pid: int
    group: Group | None
    #: The server's end; a process whose other end is closed too early ends.
    sock: socket.socket
    #: When it is not worth keeping any more, on the monotonic clock.
    until: float

    def give(self, work: frames.Frame) -> bool:
        """Tell it what to do; false when it is not there to be told."""
        self.sock.settimeout(_TAKES_WITHIN_S)
        try:
            frames.send(self.sock, work.head, work.payload, work.descriptor)
        except OSError:
            return False
        return True

    def begin(self) -> bool:
        """Have it do what it was told; false when it is gone."""
        with self.sock:
            try:
                return self.sock.send(_BEGIN) > 0
            except OSError:
                return False


def may_begin(sock: socket.socket) -> bool:
    """In the process: wait for the word; false when it will never come."""
    try:
        return sock.recv(1) == _BEGIN
    except OSError:
        return False

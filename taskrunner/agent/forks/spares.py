"""Processes that are made before they are told what to do.

Into its control group a process gets in some ten milliseconds, in which the kernel waits. So an
attempt's process is made when the hand-out arrives, and gets there while the agent writes the
hand-out down and acknowledges it. Its work, over a socket, comes after that, or never.
"""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass

from taskrunner.agent.ipc import frames
from taskrunner.host.cgroups import Group

#: It only has to read; one that does not is stopped or broken.
_TAKES_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spare:
    """A process that waits for its work."""

    pid: int
    group: Group | None
    #: The server's end; a process whose other end is closed without work ends.
    sock: socket.socket
    #: When it is not worth keeping any more, on the monotonic clock.
    until: float

    def give(self, work: frames.Frame) -> bool:
        """Tell it what to do; false when it is not there to be told."""
        self.sock.settimeout(_TAKES_WITHIN_S)
        with closing(self.sock):
            try:
                frames.send(self.sock, work.head, work.payload, work.descriptor)
            except OSError:
                return False
        return True

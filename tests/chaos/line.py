"""A line between agent and service that can be cut: bytes get lost in it, and nobody is told."""

from __future__ import annotations

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from taskrunner.clock import SystemClock

__all__ = ["Line", "line_to"]

_OPERATION = re.compile(rb"x-amz-target: *DataPipeline\.(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Said:
    """A call that an agent began."""

    operation: str
    at: datetime


class Line:
    """Made by `line_to`; its address is to be used in place of the service's."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        assert split.hostname
        assert split.port
        self._target = (split.hostname, split.port)
        self._clock = SystemClock()
        self._cut = threading.Event()
        self._healed = 0
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        #: What agents asked for; a call that is split over two reads is counted all the same.
        self.said: list[Said] = []
        #: Bytes that were swallowed while it was cut.
        self.lost = 0
        #: By connection that stands, how often the line had been healed when it was made.
        self._born: dict[socket.socket, int] = {}
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        """From now on nothing passes; connections seem to stand, and can even be made."""
        self._cut.set()

    def heal(self) -> None:
        """New connections pass again; the old ones are never heard of any more."""
        self._healed += 1
        self._cut.clear()

    def standing(self) -> int:
        """How many connections stand, dead or alive."""
        return len(self._born)

    def dead(self) -> int:
        """How many connections stand of which nothing is heard any more."""
        return sum(born < self._healed for born in list(self._born.values()))

    def close(self) -> None:
        self._closed.set()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._closed.is_set():
            if not select.select([self._listener], [], [], 0.1)[0]:
                continue
            with suppress(OSError):
                agent, _ = self._listener.accept()
                self._born[agent] = self._healed
                thread = threading.Thread(target=self._carry, args=(agent,))
                self._threads.append(thread)
                thread.start()

    def _carry(self, agent: socket.socket) -> None:
        try:
            self._pass_on(agent, self._born[agent])
        finally:
            del self._born[agent]

    def _pass_on(self, agent: socket.socket, born: int) -> None:
        with agent, suppress(OSError), socket.create_connection(self._target) as service:
            head = b""
            while not self._closed.is_set():
                ready, _, _ = select.select([agent, service], [], [], 0.1)
                # What was cut once stays so: its peers wait for bytes that will not come.
                dead = self._cut.is_set() or self._healed > born
                for sock in ready:
                    data = sock.recv(1 << 16)
                    if not data:
                        return
                    if dead:
                        self.lost += len(data)
                        continue
                    if sock is agent:
                        head = self._listen(head + data)
                    (service if sock is agent else agent).sendall(data)

    def _listen(self, text: bytes) -> bytes:
        end = 0
        for found in _OPERATION.finditer(text):
            self.said.append(Said(found[1].decode(), self._clock.now()))
            end = found.end()
        return text[max(end, len(text) - 100) :]


@contextmanager
def line_to(url: str) -> Iterator[Line]:
    """A line that is gone with the block."""
    line = Line(url)
    try:
        yield line
    finally:
        line.close()

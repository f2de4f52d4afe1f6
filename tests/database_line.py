"""A line to a database server that can lose the answer to a COMMIT, or be closed to newcomers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class DatabaseLine:
    """Made by `database_line`; its address is to be used in place of the server's."""

    def __init__(self, url: str) -> None:
        split = urlsplit(url)
        self._target = (split.hostname or "", split.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        login = (split.netloc.rpartition("@")[0] + "@") if "@" in split.netloc else ""
        self.url = urlunsplit(split._replace(netloc=f"{login}127.0.0.1:{port}"))
        #: Whether the next COMMIT is carried out, and nobody hears of it.
        self.loses_commit = False
        #: Whether nobody gets through after that.
        self.then_closed = False
        self.lost = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """No more of it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.lost and self.then_closed:
                client.close()
                continue
            server = socket.create_connection(self._target)
            losing = threading.Event()
            for source, target, up in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._pass, args=(source, target, losing, up))
                self._threads.append(thread)
                thread.start()

    def _pass(
        self, source: socket.socket, target: socket.socket, losing: threading.Event, up: bool
    ) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if up and self.loses_commit and b"COMMIT" in data:
                    self.loses_commit = False
                    losing.set()
                if not up and losing.is_set():
                    self.lost += 1  # the server has answered: it is done
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if not up:
            source.close()
            target.close()


@contextmanager
def database_line(url: str) -> Iterator[DatabaseLine]:
    """A line to the server, until the block ends."""
    line = DatabaseLine(url)
    try:
        yield line
    finally:
        line.close()

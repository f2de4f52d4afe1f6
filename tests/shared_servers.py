"""One server of each kind for a whole test run, however many processes run its tests.

A server starts when a test first asks for it, and ends with the run. The process that was started
first has them all; workers of pytest-xdist ask it for a URL over a connection.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from typing import Protocol

from tests.server_process import ServerMissing

#: What starts a server: it yields its URL.
Starter = Callable[[], AbstractContextManager[str]]


class Servers(Protocol):
    """Where a test gets a server from."""

    def url(self, name: str) -> str:
        """The URL of a running server. Raises ServerMissing when it is not installed."""


class OwnServers:
    """The servers in the process that starts them; `close` ends them."""

    def __init__(self, starters: Mapping[str, Starter]) -> None:
        self._starters = starters
        self._running = ExitStack()
        #: Of each server its URL, or why there is none: nobody tries twice.
        self._found: dict[str, str | Exception] = {}

    def url(self, name: str) -> str:
        """The URL of a running server. Raises ServerMissing when it is not installed."""
        if name not in self._found:
            try:
                self._found[name] = self._running.enter_context(self._starters[name]())
            except Exception as error:
                self._found[name] = error
        found = self._found[name]
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """End them all."""
        self._running.close()


class ServerDesk:
    """Answers workers; one thread starts all servers and ends them.

    It must be one: the kernel stops a server when the thread is gone that started it.
    """

    def __init__(self, starters: Mapping[str, Starter]) -> None:
        self.key = secrets.token_hex(16)
        self._listener = Listener(("127.0.0.1", 0), backlog=32, authkey=self.key.encode())
        self.port = int(self._listener.address[1])
        self._thread = threading.Thread(target=self._serve, args=(OwnServers(starters),))
        self._thread.start()

    def close(self) -> None:
        """End the servers and the thread."""
        _ask(self.port, self.key, None)
        self._thread.join()

    def _serve(self, servers: OwnServers) -> None:
        with self._listener:
            while True:
                try:
                    with self._listener.accept() as client:
                        if (name := client.recv()) is None:
                            # The answer comes when they are gone.
                            servers.close()
                            client.send(None)
                            return
                        client.send(_answer(servers, name))
                except (AuthenticationError, EOFError, OSError):
                    continue  # a stranger, or a worker that ended while it waited


class DeskServers:
    """The servers as a worker has them."""

    def __init__(self, port: int, key: str) -> None:
        self._port = port
        self._key = key

    def url(self, name: str) -> str:
        """The URL of a running server. Raises ServerMissing when it is not installed."""
        kind, text = _ask(self._port, self._key, name)
        if kind == "missing":
            raise ServerMissing(text)
        if kind == "failed":
            raise RuntimeError(text)
        return text


def _answer(servers: OwnServers, name: str) -> tuple[str, str]:
    try:
        return "url", servers.url(name)
    except ServerMissing as missing:
        return "missing", str(missing)
    except Exception as error:
        return "failed", f"{name}: {error!r}"


def _ask(port: int, key: str, name: str | None) -> tuple[str, str]:
    with Client(("127.0.0.1", port), authkey=key.encode()) as desk:
        connection: Connection = desk
        connection.send(name)
        answer: tuple[str, str] = connection.recv()
        return answer

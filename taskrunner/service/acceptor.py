"""Taking connections off the listening socket, with and without descriptors to spare.

asyncio's own accepting takes as many as the backlog holds before it looks at one of them, opens
them all at once, and writes a traceback for each that it has no descriptor for.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from taskrunner.logs import get_logger
from taskrunner.service.connections import Connections, origin_of
from taskrunner.service.http_protocol import EdgeProtocol
from taskrunner.service.waiting_line import WaitingLine

log = get_logger()

#: So many are taken at once; then those that are there get their turn.
_BATCH = 64
_RETRY_S = 0.1
#: An overload is told of once in this time.
_TELL_S = 300.0
_FULL = "as many connections are open as may be: those idle longest are closed for new ones"
_ALL_AT_WORK = "as many connections are open as may be, all at work: new ones have to wait"
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Acceptor:
    """Accepts connections as long as there are places for them."""

    def __init__(
        self,
        sock: socket.socket,
        connections: Connections,
        protocol: Callable[[str], EdgeProtocol],
        secured: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """`protocol` makes the protocol of a connection from an origin.

        `secured` gives what asyncio is to be told of TLS.
        """
        self._secured = secured
        self._sock = sock
        self._connections = connections
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        self._told: dict[str, float] = {}
        self._line = WaitingLine(connections)
        self._turn: asyncio.Handle | None = None
        self._opening: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Accept from now on."""
        self._retry = None
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._accept)

    def stop(self) -> None:
        """Accept no more, and open none of those that wait."""
        self._loop.remove_reader(self._sock)
        if self._retry is not None:
            self._retry.cancel()
        self._line.close()

    def _accept(self) -> None:
        for _ in range(_BATCH):
            if not self._connections.has_room():
                self._tell(_ALL_AT_WORK, connections=self._connections.most)
                self._wait()
                return
            try:
                accepted, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._refused(error)
                return
            if self._connections.make_room():
                self._tell(_FULL, connections=self._connections.most)
            self._line.enter(accepted, origin_of(str(address[0])))
            if self._turn is None:
                self._turn = self._loop.call_soon(self._open_next)

    def _refused(self, error: OSError) -> None:
        """Come back when there may be a descriptor, or memory, again."""
        self._tell("no connection can be taken", error=_reason(error))
        if error.errno in _EXHAUSTED:
            self._connections.close_one()
        self._wait()

    def _wait(self) -> None:
        # The kernel would wake us at once, again and again, for what waits in the backlog.
        self._loop.remove_reader(self._sock)
        self._retry = self._loop.call_later(_RETRY_S, self.start)

    def _open_next(self) -> None:
        """Open the one whose turn it is; the next once the loop has done what is to do by then."""
        self._turn = None
        if self._line:
            self._open(*self._line.next())
            self._turn = self._loop.call_soon(self._open_next)

    def _open(self, accepted: socket.socket, origin: str) -> None:
        accepted.setblocking(False)
        protocol = self._protocol(origin)
        task = self._loop.create_task(self._connect(accepted, protocol))
        # Who never says a word of TLS is as idle as others, and goes when a place is needed.
        protocol.opening = task
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, accepted: socket.socket, protocol: EdgeProtocol) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, accepted, **self._secured())
        except ssl.SSLError as error:
            # Strangers' mistakes, such as plain HTTP: not one line each.
            protocol.give_up()
            accepted.close()
            self._tell("a connection could not be secured", error=str(error.reason or error))
        except OSError as error:
            protocol.give_up()
            accepted.close()
            self._tell("a connection could not be opened", error=_reason(error))
        except asyncio.CancelledError:
            protocol.opening = None
            protocol.close_now()
            accepted.close()
            if not protocol.is_made:
                protocol.give_up()
            raise
        finally:
            protocol.opening = None

    def _tell(self, what: str, **facts: object) -> None:
        now = self._loop.time()
        if now - self._told.get(what, now - _TELL_S) >= _TELL_S:
            self._told[what] = now
            log.warning(what, **facts)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

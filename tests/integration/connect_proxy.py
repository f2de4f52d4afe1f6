"""A proxy that tunnels by CONNECT, to the names that it is told, for those who log in."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

__all__ = ["ConnectProxy", "connect_proxy"]


class ConnectProxy:
    """Runs in a thread of its own; `asked` has each request line with what was answered."""

    def __init__(self, targets: Mapping[str, int], login: str | None) -> None:
        self.asked: list[tuple[str, int]] = []
        self.port = 0
        self._targets = targets
        self._login = base64.b64encode(login.encode()).decode() if login else None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._stop = asyncio.Event()
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._tunnel(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return  # either end hung up
        finally:
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *headers = head.split("\r\n")
        target = line.split(" ")[1]
        status = self._status(line, target, headers)
        self.asked.append((line, status))
        if status != 200:
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        back, forth = await asyncio.open_connection("127.0.0.1", self._targets[target])
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        pumps = [asyncio.ensure_future(_pump(*pair)) for pair in ((reader, forth), (back, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            forth.close()

    def _status(self, line: str, target: str, headers: list[str]) -> int:
        if not line.startswith("CONNECT ") or target not in self._targets:
            return 403
        wanted = f"proxy-authorization: basic {self._login}".lower()
        return 200 if self._login is None or wanted in [h.lower() for h in headers] else 407


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@contextmanager
def connect_proxy(targets: Mapping[str, int], login: str | None = None) -> Iterator[ConnectProxy]:
    """A proxy on loopback that leads `host:port` to a port of this machine."""
    proxy = ConnectProxy(targets, login)
    try:
        yield proxy
    finally:
        proxy.close()

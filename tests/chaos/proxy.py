"""A proxy between agents and the service that does to chosen calls what networks do to them.

It knows the operation by X-Amz-Target. Every fault that has struck is counted, and every call is
told to `on_call` with what the service answered, whether or not that has reached the caller.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from taskrunner.clock import SystemClock

__all__ = ["Call", "Fault", "FaultProxy", "Kind", "Rule", "fault_proxy"]

_RESET = struct.pack("ii", 1, 0)
_LONGEST_HEAD = 1 << 16


class Kind(StrEnum):
    """What befalls a call."""

    REFUSE = "refuse"  # reset before the service hears of it
    BLACKHOLE = "blackhole"  # taken, and never answered; the service does not hear of it
    DROP_REPLY = "drop_reply"  # done by the service, then reset instead of the reply
    TRUNCATE = "truncate"  # the first `size` bytes of the reply, head included, then the end
    SLOW = "slow"  # the reply in pieces of `size` bytes, `seconds` apart
    LATENCY = "latency"  # the reply `seconds` late
    UNAVAILABLE = "unavailable"  # 503; the service does not hear of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault with its measures."""

    kind: Kind
    seconds: float = 0.0
    size: int = 1


@dataclass(slots=True, kw_only=True)
class Rule:
    """Which calls meet a fault: of these operations a share, as often as `times` says."""

    fault: Fault
    #: All of them unless given.
    operations: frozenset[str] = frozenset()
    share: float = 1.0
    #: How often the fault strikes at the most; None: without end.
    times: int | None = None

    def strikes(self, operation: str, chance: random.Random) -> bool:
        """Whether this call meets the fault."""
        if self.times == 0 or (self.operations and operation not in self.operations):
            return False
        if chance.random() >= self.share:
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that came by, and what became of it."""

    #: On the monotonic clock, when the request was there.
    began: float
    #: When all was over.
    ended: float
    operation: str
    request: dict[str, Any]
    fault: Kind | None
    #: What the service answered, if it was asked and did.
    status: int | None = None
    reply: dict[str, Any] = field(default_factory=dict)
    #: Whether the caller was sent all of the reply (and had not hung up).
    delivered: bool = False

    @property
    def error(self) -> str | None:
        """The code of an answer that is an error."""
        return str(self.reply.get("__type")) if self.status not in {None, 200} else None


@dataclass(slots=True)
class _Request:
    operation: str
    head: bytes
    body: bytes


class FaultProxy:
    """Made by `fault_proxy`; rules may be changed at any time, from any thread."""

    def __init__(self, upstream: str, seed: int, on_call: Callable[[Call], None] | None) -> None:
        self.upstream = upstream
        #: How often each fault has struck: (operation, kind) -> times.
        self.fired: collections.Counter[tuple[str, Kind]] = collections.Counter()
        self._rules: tuple[Rule, ...] = ()
        self._chance = random.Random(seed)
        self._on_call = on_call or (lambda _call: None)
        self._clock = SystemClock()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def rules(self, *rules: Rule) -> None:
        """From now on these faults, the first that strikes counts; none: heal."""
        self._rules = rules

    def count(self, kind: Kind, operations: Sequence[str] = ()) -> int:
        """How often a kind of fault has struck (these operations)."""
        return sum(
            times
            for (operation, struck), times in list(self.fired.items())
            if struck is kind and (not operations or operation in operations)
        )

    def run(self) -> None:
        """The proxy's thread."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._close())
            self._loop.close()

    def stop(self) -> None:
        """End the proxy with every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._sock, limit=_LONGEST_HEAD)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the caller has gone, or the proxy ends
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ahead = b""
        while (request := await _read_request(reader, ahead)) is not None:
            hung_up = asyncio.ensure_future(reader.read(1))
            call = await self._handle(request, writer, hung_up)
            self._on_call(replace(call, ended=self._clock.monotonic()))
            if not call.delivered:
                break
            hung_up.cancel()
            await asyncio.wait({hung_up})
            # The next request may have begun: what was read of it is no hanging up.
            ahead = b"" if hung_up.cancelled() else hung_up.result()
            if not (ahead or hung_up.cancelled()):
                break

    async def _handle(
        self, request: _Request, writer: asyncio.StreamWriter, hung_up: asyncio.Future[bytes]
    ) -> Call:
        """One call, which ends early when the caller hangs up."""
        fault = self._pick(request.operation)
        began = self._clock.monotonic()
        call = Call(
            began=began,
            ended=began,
            operation=request.operation,
            request=_json(request.body),
            fault=fault.kind if fault else None,
        )
        work = asyncio.ensure_future(self._exchange(request, writer, fault, call))
        either: set[asyncio.Future[Any]] = {work, hung_up}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and hung_up.done() and hung_up.result():
                await asyncio.wait({work})
        finally:
            work.cancel()
        await asyncio.wait({work})
        return call if work.cancelled() else work.result()

    def _pick(self, operation: str) -> Fault | None:
        rule = next((r for r in self._rules if r.strikes(operation, self._chance)), None)
        if rule is None:
            return None
        self.fired[operation, rule.fault.kind] += 1
        return rule.fault

    async def _exchange(
        self, request: _Request, writer: asyncio.StreamWriter, fault: Fault | None, call: Call
    ) -> Call:
        kind = fault.kind if fault else None
        if kind is Kind.REFUSE:
            _reset(writer)
            return call
        if kind is Kind.BLACKHOLE:
            await asyncio.get_running_loop().create_future()
        if kind is Kind.UNAVAILABLE:
            await _send(writer, _UNAVAILABLE)
            return replace(call, delivered=True)
        try:
            status, raw, body = await self._forward(request)
        except (OSError, asyncio.IncompleteReadError):
            _reset(writer)  # the service is away
            return call
        call = replace(call, status=status, reply=_json(body))
        return await _give(writer, raw, fault, call)

    async def _forward(self, request: _Request) -> tuple[int, bytes, bytes]:
        # A connection for each call: one that is kept may be dead, and no call is made twice here.
        address = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(request.head + request.body)
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(_header(head, "content-length") or 0))
        finally:
            writer.close()
        return int(head.split(b" ", 2)[1]), head + body, body


async def _give(writer: asyncio.StreamWriter, raw: bytes, fault: Fault | None, call: Call) -> Call:
    """Send the reply, or what the fault leaves of it."""
    kind = fault.kind if fault else None
    if kind is Kind.DROP_REPLY:
        _reset(writer)
        return call
    if kind is Kind.TRUNCATE:
        assert fault is not None
        await _send(writer, raw[: fault.size])
        writer.close()
        return replace(call, delivered=fault.size >= len(raw))
    if kind is Kind.SLOW:
        assert fault is not None
        for start in range(0, len(raw), fault.size):
            if start:
                await asyncio.sleep(fault.seconds)
            await _send(writer, raw[start : start + fault.size])
        return replace(call, delivered=True)
    if kind is Kind.LATENCY:
        assert fault is not None
        await asyncio.sleep(fault.seconds)
    await _send(writer, raw)
    return replace(call, delivered=True)


async def _read_request(reader: asyncio.StreamReader, ahead: bytes) -> _Request | None:
    try:
        head = ahead + await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    body = await reader.readexactly(int(_header(head, "content-length") or 0))
    target = _header(head, "x-amz-target") or head.split(b" ", 2)[1].decode()
    return _Request(target.rpartition(".")[2], head, body)


def _header(head: bytes, name: str) -> str | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.encode():
            return value.strip().decode()
    return None


def _json(body: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        content = json.loads(body)
        if isinstance(content, dict):
            return content
    return {}


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Cut the connection as a broken network does, not as a polite peer."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


_TEXT = b'{"__type": "ServiceUnavailable", "message": "later"}'
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/x-amz-json-1.1\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_TEXT), _TEXT)
)


@contextmanager
def fault_proxy(
    upstream: str, *, seed: int = 0, on_call: Callable[[Call], None] | None = None
) -> Iterator[FaultProxy]:
    """A proxy in front of the service at `upstream`; `on_call` runs in the proxy's thread."""
    proxy = FaultProxy(upstream, seed, on_call)
    thread = threading.Thread(target=proxy.run, name="fault-proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()

"""As much of HTTP/1.1 as it takes to ask for something without a body, over one connection.

Source: RFC 9112. Whoever gets an exception closes the connection and asks in another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

#: Longer lines, and bodies, are not those of an answer to a copy.
_MOST = 1 << 16


class HttpLine:
    """A connection of urllib3's that is open, and its socket."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._stream = connection.sock.makefile("rb")
        #: Whether the other side takes another request.
        self.is_open = True

    def put(self, host: str, path: str, headers: Mapping[str, str]) -> None:
        """Ask by a PUT without a body; raises OSError. One answer is to be taken before the next.

        The path is as it stands in the request.
        """
        lines = [f"PUT {path} HTTP/1.1", f"host: {host}", "accept-encoding: identity"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._connection.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def answer(self) -> tuple[int, bytes]:
        """Status and body of the answer; raises OSError, ValueError or KeyError."""
        version, status = self._line().split(maxsplit=2)[:2]
        told = dict(self._headers())
        self.is_open = version == b"HTTP/1.1" and told.get(b"connection", b"").lower() != b"close"
        if told.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = b"".join(self._chunks())
        else:
            body = self._read(int(told[b"content-length"]))
        return int(status), body

    def close(self) -> None:
        """Hang up."""
        self.is_open = False
        with suppress(OSError):
            self._stream.close()
            self._connection.close()

    def _headers(self) -> Iterator[tuple[bytes, bytes]]:
        while line := self._line():
            name, _, value = line.partition(b":")
            yield name.lower(), value.strip()

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._line().partition(b";")[0], 16):
            yield self._read(size)
            self._line()
        dict(self._headers())

    def _line(self) -> bytes:
        line: bytes = self._stream.readline(_MOST)
        if not line.endswith(b"\n"):
            raise OSError("the connection was closed in the midst of an answer")
        return line.rstrip(b"\r\n")

    def _read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size) if 0 <= size <= _MOST else b""
        if len(data) != size:
            raise OSError("the connection was closed in the midst of an answer")
        return data

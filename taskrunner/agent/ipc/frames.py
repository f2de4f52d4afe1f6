"""Messages over a stream socket: a JSON head, a payload of bytes, perhaps a file descriptor."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SIZES = struct.Struct("!II")


@dataclass(frozen=True, slots=True)
class Frame:
    """One message."""

    head: Mapping[str, Any]
    payload: bytes = b""
    descriptor: int | None = None


def send(
    sock: socket.socket,
    head: Mapping[str, Any],
    payload: bytes = b"",
    descriptor: int | None = None,
) -> None:
    """Send one message; callers keep others from sending at the same time."""
    raw = json.dumps(head).encode()
    sizes = _SIZES.pack(len(raw), len(payload))
    # The first byte carries the descriptor; the rest may need several writes.
    if descriptor is not None:
        socket.send_fds(sock, [sizes[:1]], [descriptor])
        sizes = sizes[1:]
    sock.sendall(sizes + raw + payload)


def receive(sock: socket.socket) -> Frame | None:
    """Read one message; None when the other side is gone, in mid message or not."""
    try:
        first, descriptors, _, _ = socket.recv_fds(sock, 1, 1)
        rest = _read(sock, _SIZES.size - 1) if first else b""
        if len(rest) < _SIZES.size - 1:
            return None
        head_size, payload_size = _SIZES.unpack(first + rest)
        body = _read(sock, head_size + payload_size)
    except OSError:  # cut off, or closed by another thread of ours
        return None
    if len(body) < head_size + payload_size:
        return None
    head = json.loads(body[:head_size])
    return Frame(head, bytes(body[head_size:]), descriptors[0] if descriptors else None)


def _read(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (piece := sock.recv(min(size - len(data), 1 << 20))):
        data += piece
    return bytes(data)

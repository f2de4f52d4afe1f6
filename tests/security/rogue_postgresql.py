"""A PostgreSQL server that asks each client for its password, and lets nobody in."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SSL, _GSS = 80877103, 80877104
_CLEARTEXT, _KERBEROS = 3, 7
_TIMEOUT_S = 30


class RoguePostgreSql:
    """Keeps what it is told: `heard`, and whether a certificate was shown to it."""

    def __init__(self, *, wanted: int = _CLEARTEXT, certificate: tuple[Path, Path] | None) -> None:
        """`certificate` and key: with them TLS is offered, and a client's certificate asked for."""
        self.heard = b""
        self.shown: bytes | None = None
        self._wanted = wanted
        self._tls = None if certificate is None else _tls(*certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):  # that of the end
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(_TIMEOUT_S)
                with suppress(OSError), connection:
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        size, code = struct.unpack("!II", _exactly(connection, 8))
        if code == _GSS or (code == _SSL and self._tls is None):
            connection.sendall(b"N")
            self._talk(connection)
        elif code == _SSL and self._tls is not None:
            connection.sendall(b"S")
            with self._tls.wrap_socket(connection, server_side=True) as safe:
                self.shown = self.shown or safe.getpeercert(binary_form=True)
                self._talk(safe)
        else:
            self.heard += _exactly(connection, size - 8)
            connection.sendall(b"R" + struct.pack("!II", 8, self._wanted))
            with suppress(OSError):
                self.heard += connection.recv(4096)


def _tls(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise OSError("the client has gone")
        data += piece
    return data


@contextmanager
def rogue_postgresql(
    *, certificate: tuple[Path, Path] | None = None, kerberos: bool = False
) -> Iterator[RoguePostgreSql]:
    server = RoguePostgreSql(wanted=_KERBEROS if kerberos else _CLEARTEXT, certificate=certificate)
    server.start()
    try:
        yield server
    finally:
        server.stop()

"""The libraries of databases towards a server with a certificate: the handshake decides."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from taskrunner.errors import TaskError
from tests.integration.test_databases import database
from tests.integration.tls import certificate

_SSL_REQUEST = 8


@contextmanager
def postgresql(folder: Path, *names: str) -> Iterator[tuple[int, Path, list[bool]]]:
    """A server that takes TLS and hangs up: port, authority, and which handshakes were whole."""
    ca, key = certificate(folder, *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    handshakes: list[bool] = []

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(_SSL_REQUEST)
                    connection.sendall(b"S")
                    try:
                        with context.wrap_socket(connection, server_side=True) as wrapped:
                            handshakes.append(bool(wrapped.recv(1)))
                    except OSError:
                        handshakes.append(False)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], ca, handshakes
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def refused(url: str) -> str:
    with pytest.raises(TaskError) as caught, database(url):
        pass
    return str(caught.value)


@pytest.mark.parametrize("mode", ["", "&sslmode=prefer", "&sslmode=verify-full"])
def test_a_certificate_of_the_ca_is_taken(tmp_path: Path, mode: str) -> None:
    with postgresql(tmp_path, "127.0.0.1") as (port, ca, handshakes):
        told = refused(f"postgresql://u:p@127.0.0.1:{port}/d?sslrootcert={ca}{mode}")
    assert handshakes[:1] == [True]
    assert "cannot be verified" not in told


def test_a_certificate_of_another_ca_is_refused_without_a_mode_too(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, _ = certificate(tmp_path / "other", "127.0.0.1")
    with postgresql(tmp_path, "127.0.0.1") as (port, _, handshakes):
        told = refused(f"postgresql://u:p@127.0.0.1:{port}/d?sslrootcert={other}")
    assert handshakes == [False]
    assert "the server's certificate cannot be verified" in told
    assert "sslmode=verify-ca does not look at the name" in told


def test_a_certificate_for_another_name_is_refused_unless_only_the_ca_counts(
    tmp_path: Path,
) -> None:
    with postgresql(tmp_path, "db.example") as (port, ca, handshakes):
        url = f"postgresql://u:p@127.0.0.1:{port}/d?sslrootcert={ca}"
        assert "the server's certificate cannot be verified" in refused(url)
        assert "cannot be verified" not in refused(f"{url}&sslmode=verify-ca")
        assert "cannot be verified" not in refused(f"{url}&sslmode=require")
    assert handshakes[-2:] == [True, True]


def test_without_a_ca_the_connection_is_encrypted(tmp_path: Path) -> None:
    with postgresql(tmp_path, "127.0.0.1") as (port, _, handshakes):
        refused(f"postgresql://u:p@127.0.0.1:{port}/d")
    assert handshakes[:1] == [True]

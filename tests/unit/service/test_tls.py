from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskrunner.clock import Clock, SystemClock
from taskrunner.errors import ConfigError
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.http_protocol import Patience
from taskrunner.service.server import Address, ServiceServer, bind
from taskrunner.service.tls import Certificate
from taskrunner.testing import FakeClock, ServiceInProcess
from tests.integration.tls import certificate

PATIENCE_S = 30
#: Nobody is closed for being slow: only for others.
FOR_EVER = Patience(handshake_s=3600)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    chain, key = certificate(tmp_path, "localhost", "127.0.0.1")
    key.chmod(0o600)
    return chain, key


def renewed(files: tuple[Path, Path]) -> bytes:
    """Another certificate in the same files, put there as tools do it; its bytes."""
    chain, key = files
    folder = chain.parent / "renewed"
    folder.mkdir()
    new_chain, new_key = certificate(folder, "localhost", "127.0.0.1")
    new_key.chmod(0o600)
    data = new_chain.read_bytes()
    new_key.replace(key)
    new_chain.replace(chain)
    return data


def read(files: tuple[Path, Path], clock: Clock | None = None) -> Certificate:
    return Certificate(*files, clock or SystemClock())


# -- files ------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_taken_up(files: tuple[Path, Path]) -> None:
    held = read(files)
    before = held.context
    held.refresh()
    assert held.context is before
    renewed(files)
    with capture_logs() as log:
        held.refresh()
        held.refresh()
    assert held.context is not before
    assert [r["event"] for r in log if "ends soon" not in r["event"]] == ["certificate reloaded"]


def test_files_that_are_wrong_change_nothing_and_are_told_of_once(
    files: tuple[Path, Path],
) -> None:
    held = read(files)
    before = held.context
    files[0].write_text("-----BEGIN NOTHING-----")
    with capture_logs() as log:
        held.refresh()
        held.refresh()
        held.ask()
        held.refresh()
    assert held.context is before
    told = [r for r in log if "not reloaded" in r["event"]]
    assert len(told) == 2  # and again when somebody asks
    assert "both in PEM" in told[0]["error"]


def test_a_key_of_another_certificate_is_told(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    _, other = certificate(tmp_path / "other", "localhost")
    with pytest.raises(ConfigError, match="not the key of the certificate in"):
        Certificate(files[0], other, SystemClock())


@pytest.mark.parametrize("gone", [0, 1])
def test_a_file_that_is_not_there_is_told(files: tuple[Path, Path], gone: int) -> None:
    files[gone].unlink()
    with pytest.raises(ConfigError, match=f"{files[gone].name} cannot be read: No such file"):
        read(files)


def test_an_encrypted_key_is_refused_and_no_one_is_asked(files: tuple[Path, Path]) -> None:
    from cryptography.hazmat.primitives import serialization as s

    key = s.load_pem_private_key(files[1].read_bytes(), None)
    files[1].write_bytes(
        key.private_bytes(
            s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"pa55w0rd")
        )
    )
    with pytest.raises(ConfigError, match="the key is encrypted"):
        read(files)


def test_the_key_may_stand_with_the_certificate(files: tuple[Path, Path]) -> None:
    chain, key = files
    chain.write_bytes(chain.read_bytes() + key.read_bytes())
    chain.chmod(0o600)
    Certificate(chain, None, SystemClock())


def test_a_key_that_all_may_read_is_warned_of(files: tuple[Path, Path]) -> None:
    files[1].chmod(0o644)
    with capture_logs() as log:
        read(files)
    assert [record["remedy"] for record in log] == [f"chmod 600 {files[1]}"]


def test_one_that_ends_soon_is_told_of_once_a_day(files: tuple[Path, Path]) -> None:
    clock = FakeClock(SystemClock().now())
    held = read(files, clock)
    with capture_logs() as log:
        for _ in range(3):
            held.refresh()
        clock.advance(86_401)
        held.refresh()
    assert [record["event"] for record in log] == ["the certificate ends soon"] * 2


# -- served -----------------------------------------------------------------------------------


@contextmanager
def served(held: Certificate) -> Iterator[int]:
    with ServiceInProcess() as world:
        app = create_app(
            world.service,
            handlers=HANDLERS,
            authenticator=NoAuthenticator(),
            settings=EdgeSettings(connections=16, key_check_s=0.01, refresh=held.refresh),
        )
        sock = bind(Address(host="127.0.0.1", port=0))
        server = ServiceServer(app, sock, patience=FOR_EVER, certificate=held)
        assert server.url.startswith("https://")
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            server.stop()
            thread.join()


def asked(port: int, trusted: bytes) -> bytes:
    """What GET /livez is answered with, by whoever has this certificate."""
    context = ssl.create_default_context(cadata=trusted.decode())
    raw = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    with closing(raw), context.wrap_socket(raw, server_hostname="localhost") as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(4096), b""))


def test_a_certificate_is_renewed_without_a_restart(files: tuple[Path, Path]) -> None:
    old = files[0].read_bytes()
    with served(read(files)) as port:
        assert b"200 OK" in asked(port, old)
        new = renewed(files)
        for _ in range(1000):
            try:
                answer = asked(port, new)
            except ssl.SSLCertVerificationError:
                continue
            break
        assert b"200 OK" in answer
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(port, old)


def test_whoever_speaks_no_tls_holds_no_place(files: tuple[Path, Path]) -> None:
    """16 places, and more than 16 connections that never say a word."""
    trusted = files[0].read_bytes()
    with served(read(files)) as port, capture_logs():
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        try:
            assert b"200 OK" in asked(port, trusted)
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                answer = plain.recv(100)
            assert b"HTTP/1.1 200" not in answer
            assert b"200 OK" in asked(port, trusted)
        finally:
            for sock in silent:
                sock.close()

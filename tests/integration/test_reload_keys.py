"""Keys that change while `taskrunner serve` runs."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.integration.crowd import ADMIN, KEY_FILE, RUNNER, Crowded, crowded

#: Far less than the 85 seconds of a poll.
SOON_S = 40


def code(sock: socket.socket) -> str:
    """What a connection's answer is about."""
    got = b""
    while b"\r\n\r\n" not in got or b"}" not in got:
        part = sock.recv(4096)
        assert part, got
        got += part
    return got.decode().rpartition("\r\n\r\n")[2]


def held(service: Crowded) -> socket.socket:
    sock = service.connect()
    sock.settimeout(SOON_S)
    sock.sendall(service.request("PollForTask", {"workerGroup": "g"}, RUNNER))
    return sock


def without_runner(folder: Path) -> None:
    """Replace the file, as editors do."""
    new = folder / "keys.new"
    new.touch(0o600)
    new.write_text(KEY_FILE.partition("\n\n")[2])
    new.replace(folder / "keys.toml")


def test_a_key_that_is_revoked_is_good_for_nothing_without_a_restart(tmp_path: Path) -> None:
    with crowded(tmp_path) as service, held(service) as poll:
        service.asked(RUNNER)
        without_runner(tmp_path)

        assert "UnrecognizedClientException" in code(poll)
        with held(service) as again:
            assert "UnrecognizedClientException" in code(again)
        service.asked(ADMIN)


def test_sighup_reloads_and_ends_nothing(tmp_path: Path) -> None:
    with crowded(tmp_path) as service, held(service) as poll:
        (tmp_path / "keys.toml").write_text("[[keys")
        service.process.send_signal(signal.SIGHUP)
        for _ in range(3_000):
            service.asked(RUNNER)
            if "the old ones are in force" in service.log.read_text():
                break
        without_runner(tmp_path)
        service.process.send_signal(signal.SIGHUP)

        assert "UnrecognizedClientException" in code(poll)
        assert service.process.poll() is None
        log = service.log.read_text()
    assert "the old ones are in force" in log
    assert '"revoked": ["AKRUNNER"]' in log
    assert service.process.returncode == 0

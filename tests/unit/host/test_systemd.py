from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

import pytest

from taskrunner.host.systemd import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_states_reach_the_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool
) -> None:
    monkeypatch.chdir(tmp_path)  # the whole path may be too long for a socket's name
    name = f"@taskrunner-test-{os.getpid()}" if abstract else "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(30)
        Notifier(name).send(READY="1", STATUS="two\nlines")
        assert manager.recv(4096) == b"READY=1\nSTATUS=two lines"


def test_without_a_manager_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    Notifier(None).send(READY="1")
    Notifier(str(tmp_path / "nobody")).send(READY="1")


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000"}, 3.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"}, 3.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "3000000"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_only_if_it_says_so(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier.from_environment(environ, pid=7).watchdog_s == watchdog_s


def test_a_long_stop_is_announced_in_microseconds(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        Notifier(str(tmp_path / "notify")).extend_timeout(360.5)
        assert manager.recv(4096) == b"EXTEND_TIMEOUT_USEC=360500000"


def test_without_descriptors_the_manager_hears_the_next_time(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        notifier = Notifier(str(tmp_path / "notify"), watchdog_s=60)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            notifier.send(WATCHDOG="1")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        notifier.send(STATUS="polling")
        assert manager.recv(4096) == b"STATUS=polling"

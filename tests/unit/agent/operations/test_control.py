from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.agent.operations.control import NAME, ControlServer, NotRunning, ask
from taskrunner.clock import SystemClock
from taskrunner.errors import TaskrunnerError


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ControlServer]:
    handlers = {"echo": dict, "status": lambda _request: {"well": True}}
    control = ControlServer(tmp_path, handlers, clock=SystemClock())
    thread = threading.Thread(target=control.loop)
    thread.start()
    yield control
    control.close()
    thread.join(10)
    assert not thread.is_alive(), "the loop went on after the end"


@pytest.fixture(autouse=True)
def in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets' paths have a hundred characters at most, those of test folders may have more."""
    monkeypatch.chdir(tmp_path)


def _raw(folder: Path, data: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(os.path.relpath(folder / NAME))
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        reply: dict[str, object] = json.loads(sock.makefile("rb").read())
    return reply


@pytest.mark.usefixtures("server")
def test_a_request_is_answered_and_the_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert ask(tmp_path, "status") == {"well": True}
    assert ask(tmp_path, "echo", note="é") == {"command": "echo", "note": "é"}
    mode = (tmp_path / NAME).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    "data", [b"", b"nonsense\n", b"[]\n", b"{}\n", b'{"command": "rm"}\n', b"\xff\n", b"x" * 70000]
)
def test_nonsense_is_refused_and_the_next_request_served(tmp_path: Path, data: bytes) -> None:
    if len(data) < 70000:
        reply = _raw(tmp_path, data)
        assert reply["ok"] is False
        assert "wanted a JSON object with a command: echo, status" in str(reply["error"])
    assert ask(tmp_path, "status") == {"well": True}


@pytest.mark.usefixtures("server")
def test_who_connects_and_leaves_holds_nothing_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(os.path.relpath(tmp_path / NAME))
    assert ask(tmp_path, "status") == {"well": True}


@pytest.mark.usefixtures("server")
def test_a_refusal_is_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(TaskrunnerError, match=f"the agent of {tmp_path} refused: wanted a JSON"):
        ask(tmp_path, "rm")


def test_without_an_agent_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match=str(tmp_path)):
        ask(tmp_path, "status")
    with pytest.raises(NotRunning):
        ask(tmp_path / "no-such-folder", "status")
    left = socket.socket(socket.AF_UNIX)
    left.bind(os.path.relpath(tmp_path / NAME))
    left.close()
    with pytest.raises(NotRunning):
        ask(tmp_path, "status")


def test_a_socket_that_was_left_behind_is_replaced_and_a_closed_one_goes(tmp_path: Path) -> None:
    killed = ControlServer(tmp_path, {}, clock=SystemClock())
    killed._listener.close()
    assert (tmp_path / NAME).exists()
    ControlServer(tmp_path, {}, clock=SystemClock()).close()
    assert not (tmp_path / NAME).exists()


def test_a_folder_of_systemds_holds_it_and_a_link_leads_there(tmp_path: Path) -> None:
    work, runtime = tmp_path / "work", tmp_path / ("r" * 120)
    work.mkdir()
    runtime.mkdir()
    handlers = {"status": lambda _request: "here"}
    control = ControlServer(work, handlers, clock=SystemClock(), runtime_dir=runtime)
    thread = threading.Thread(target=control.loop)
    thread.start()
    assert ask(work, "status") == "here", "also when the path is longer than the kernel takes"
    assert (work / NAME).is_symlink()
    control.close()
    thread.join(10)
    assert list(work.iterdir()) == list(runtime.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_is_refused_even_if_the_socket_lets_him_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = ControlServer(tmp_path, {"status": dict}, clock=SystemClock())
    (tmp_path / NAME).chmod(0o666)
    tmp_path.chmod(0o711)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as sock:
        os.seteuid(65534)
        try:
            sock.connect(NAME)
        finally:
            os.seteuid(0)
        control.tick()
        assert json.loads(sock.recv(200)) == {
            "ok": False,
            "error": "only root and the agent's user",
        }
    control.close()

"""The control socket: one JSON request and one JSON reply a connection, for this host's operators.

It is a unix socket that only the agent's own user can open; root and that user are served, by
what the kernel says of the peer. There is no other way in, and none by the network.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from taskrunner.clock import Clock
from taskrunner.errors import TaskrunnerError
from taskrunner.logs import get_logger

log = get_logger()

#: The socket, or a link to it, is always in the work folder, where commands look for it.
NAME = "control.sock"
_PATIENCE_S = 5.0
_MOST_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("3i")

Handler = Callable[[Mapping[str, Any]], object]


class NotRunning(TaskrunnerError):
    """No agent listens in the work folder."""


class ControlServer:
    """Answers one request after another; each has a few seconds in all."""

    def __init__(
        self,
        work_dir: Path,
        handlers: Mapping[str, Handler],
        *,
        clock: Clock,
        runtime_dir: Path | None = None,
    ) -> None:
        """With `runtime_dir` the socket is made there: the work folder may not be able to hold it.

        Raises OSError.
        """
        self._handlers = handlers
        self._clock = clock
        self._closed = False
        self._paths = {work_dir / NAME, (runtime_dir or work_dir) / NAME}
        for path in self._paths:
            # What the last agent left; this one has the folder for itself by now.
            path.unlink(missing_ok=True)
        self._listener = _listen(runtime_dir or work_dir)
        if runtime_dir is not None and runtime_dir != work_dir:
            (work_dir / NAME).symlink_to(runtime_dir / NAME)

    def loop(self) -> None:
        """Serve until it is closed."""
        while not self._closed:
            self.tick()

    def tick(self) -> None:
        """Wait for one connection and answer it."""
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if self._closed or error.errno == errno.EBADF:
                self._closed = True
                return
            # Out of descriptors, say: it passes, and no request is worth the agent's life.
            log.warning("control socket: no connection taken", error=str(error))
            self._clock.wait(threading.Event(), 1.0)
            return
        with connection, suppress(OSError):
            self._serve(connection)

    def close(self) -> None:
        """Take the socket away."""
        for path in self._paths:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        self._closed = True
        with suppress(OSError):  # nobody is connected, which shutdown minds; it wakes the loop
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_S)
        if not _may_ask(connection):
            connection.sendall(_encoded({"ok": False, "error": "only root and the agent's user"}))
            return
        until = self._clock.monotonic() + _PATIENCE_S
        line = _read_line(connection, lambda: self._clock.monotonic() < until)
        connection.sendall(_encoded(self._answer(line)))

    def _answer(self, line: bytes) -> Mapping[str, object]:
        try:
            request = json.loads(line)
            name = request["command"]
            handler = self._handlers[name]
        except (ValueError, TypeError, KeyError):
            known = ", ".join(self._handlers)
            return {"ok": False, "error": f"wanted a JSON object with a command: {known}"}
        return {"ok": True, "reply": handler(request)}


def _listen(folder: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # never open to others, not even between bind and chmod
    try:
        with _short(folder) as short:
            listener.bind(f"{short}/{NAME}")
        listener.listen(8)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    return listener


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """A path to the folder that fits the 107 bytes that the kernel has for a socket's."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _may_ask(connection: socket.socket) -> bool:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    return uid in {0, os.geteuid()}


def _read_line(connection: socket.socket, in_time: Callable[[], bool]) -> bytes:
    data = bytearray()
    while b"\n" not in data and len(data) < _MOST_BYTES and in_time():
        chunk = connection.recv(4096)
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _encoded(reply: Mapping[str, object]) -> bytes:
    return json.dumps(reply).encode() + b"\n"


def ask(work_dir: Path, command: str, **arguments: object) -> Any:
    """Ask the agent of a work folder; returns its reply.

    Raises NotRunning when no agent is there, TaskrunnerError when it does not answer or refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(2 * _PATIENCE_S)
        _connect(sock, work_dir)
        try:
            sock.sendall(_encoded({"command": command, **arguments}))
            with sock.makefile("rb") as stream:
                reply = json.loads(stream.readline())
        except (OSError, ValueError) as error:
            message = f"the agent of {work_dir} took the request but did not answer: {error}"
            raise TaskrunnerError(message) from None
    if not reply["ok"]:
        raise TaskrunnerError(f"the agent of {work_dir} refused: {reply['error']}")
    return reply["reply"]


def _connect(sock: socket.socket, work_dir: Path) -> None:
    try:
        with _short((work_dir / NAME).resolve().parent) as short:
            sock.connect(f"{short}/{NAME}")
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        message = f"no agent is running with the work folder {work_dir} (--work-dir names another)"
        raise NotRunning(message) from None
    except PermissionError:
        message = f"{work_dir / NAME}: only root and the agent's own user may talk to the agent"
        raise TaskrunnerError(message) from None
    except OSError as error:
        raise TaskrunnerError(f"{work_dir / NAME}: {error.strerror}") from None

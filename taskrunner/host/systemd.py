"""sd_notify without a library: tells systemd READY, STATUS, STOPPING and WATCHDOG."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Notifier:
    """Sends states to the service manager; does nothing where there is none."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self._address = address
        #: Within how many seconds systemd wants to hear WATCHDOG; None: it does not watch.
        self.watchdog_s = watchdog_s if address else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pid: int | None = None) -> Notifier:
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        micros = environ.get("WATCHDOG_USEC", "")
        meant_for = environ.get("WATCHDOG_PID") or str(pid or os.getpid())
        ours = micros.isdigit() and meant_for == str(pid or os.getpid())
        watchdog_s = int(micros) / 1e6 if ours else None
        return cls(environ.get("NOTIFY_SOCKET") or None, watchdog_s)

    def extend_timeout(self, seconds: float) -> None:
        """Ask for this long to stop, where the unit's own timeout is shorter."""
        self.send(EXTEND_TIMEOUT_USEC=str(int(seconds * 1e6)))

    def reloading(self, monotonic_s: float) -> None:
        """Say that settings are read anew; READY says that they are in force."""
        self.send(RELOADING="1", MONOTONIC_USEC=str(int(monotonic_s * 1e6)))

    def send(self, **states: str) -> None:
        """Send e.g. READY="1", STATUS="polling"; a manager that does not listen is no error.

        Nor is it one that there is no descriptor to say it with: the next time there may be.
        """
        if self._address is None:
            return
        text = "\n".join(f"{key}={value}".replace("\n", " ") for key, value in states.items())
        # A name that starts with @ is in the abstract namespace, whose first byte is NUL.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
        with suppress(OSError), socket.socket(socket.AF_UNIX, kind) as sock:
            sock.connect(address)
            sock.sendall(text.encode())

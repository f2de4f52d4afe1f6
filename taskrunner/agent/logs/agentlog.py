"""The agent's own log as files: one an hour, pushed when the hour is over and at the end.

Each line is a JSON object, whatever stderr shows. A file that was not pushed, or has grown since,
is pushed by the next agent in the same work folder.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from random import Random

from taskrunner.agent.backoff import Backoff, Outage
from taskrunner.agent.logs.logparts import PASSING, PartShipper
from taskrunner.agent.logs.run_every import run_every
from taskrunner.clock import Clock
from taskrunner.errors import TaskError
from taskrunner.host import durable
from taskrunner.logs import get_logger
from taskrunner.model.log_names import safe_name

log = get_logger()

#: As AWS's Task Runner names it; the hour is UTC.
_PREFIX = "TaskRunner.log."
#: A file that has grown to so much takes no more until the next hour.
_LARGEST = 256 << 20
_EVERY_S = 60.0
_BACKOFF = Backoff(first_s=_EVERY_S, most_s=3600.0)
_DAY_S = 86400.0


class HourlyLog:
    """Writes lines to the file of the hour. Safe for threads; never raises."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._file: int | None = None

    def current(self) -> Path:
        """The file of this hour."""
        return self._folder / f"{_PREFIX}{self._clock.now():%Y-%m-%d-%H}"

    def write(self, line: str) -> None:
        """Add a line; one that cannot be written is lost here, but not on stderr."""
        with self._lock, suppress(OSError):
            file = self._open()
            if os.fstat(file).st_size < _LARGEST:
                os.write(file, line.encode("utf-8", "backslashreplace") + b"\n")

    def _open(self) -> int:
        path = self.current()
        if self._file is None or path != self._path:
            if self._file is not None:
                os.close(self._file)
                self._file = None
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._file, self._path = os.open(path, flags, 0o600), path
        return self._file


class AgentLogs:
    """Pushes the files whose hour is over, and removes old ones."""

    def __init__(
        self,
        hourly: HourlyLog,
        folder: Path,
        *,
        shipper: PartShipper,
        log_uri: str | None,
        state: Path,
        keep_days: float,
        clock: Clock,
    ) -> None:
        """`log_uri`: the folder for this agent's files; without it none are pushed.

        `state` remembers how much of each file is in the store.
        """
        self.keep_days = keep_days
        self._hourly = hourly
        self._folder = folder
        self._shipper = shipper
        self._log_uri = log_uri
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._pushed = _read_state(state)
        self._under_way: set[str] = set()
        #: The store refuses: that is said in these very files, which must not pile up for it.
        self._refused = False
        self._try_again_at = 0.0
        self._outage = Outage(
            began=lambda error: log.warning("the agent's own log was not pushed", error=str(error)),
            goes_on=lambda error, failures: log.warning(
                "the agent's own log is still not pushed", error=str(error), failures=failures
            ),
            ended=lambda failures: log.info("the agent's own log is pushed", failures=failures),
            backoff=_BACKOFF,
            random=Random(),  # noqa: S311  spreads load, guards nothing
        )

    def loop(self, closing: threading.Event) -> None:
        """Push and tidy up until the agent closes."""
        run_every(
            "pushing its own log", self.tick, clock=self._clock, closing=closing, every_s=_EVERY_S
        )

    def tick(self) -> None:
        """Push every file of an earlier hour, and remove those that have been kept for long."""
        current = self._hourly.current()
        due = self._clock.monotonic() >= self._try_again_at
        for path in sorted(self._folder.glob(f"{_PREFIX}*")):
            if path < current:
                if due and self._push(path):
                    # While the store is away, one file is enough to see whether it is back.
                    due = not self._outage.lasts
                self._remove_old(path)

    def push_all(self) -> None:
        """The agent ends: push this hour's file as well. Waits for nothing."""
        with suppress(OSError):  # out of descriptors, say: the next agent pushes them
            for path in sorted(self._folder.glob(f"{_PREFIX}*")):
                self._push(path)

    def _push(self, path: Path) -> bool:
        """Start pushing a file if it is not in the store yet; returns whether it did."""
        with self._lock:
            size = _size(path)
            known = size == self._pushed.get(path.name, 0) or path.name in self._under_way
            if self._log_uri is None or known:
                return False
            self._under_way.add(path.name)
        uri = f"{self._log_uri}/{path.name}.gz"
        # Not under the lock: it may tell at once how it ended.
        self._shipper.push(path, uri, 0, size, lambda error: self._ended(path, size, error))
        return True

    def _ended(self, path: Path, size: int, error: TaskError | None) -> None:
        with self._lock:
            self._under_way.discard(path.name)
            self._refused = error is not None and error.error_id not in PASSING
            if error is None:
                self._pushed[path.name] = size
                self._write_state()
                self._try_again_at = 0.0
        # Not under the lock: what is said here is written to these files.
        if error is None:
            self._outage.succeeded()
        else:
            self._try_again_at = self._clock.monotonic() + self._outage.failed(error)

    def _remove_old(self, path: Path) -> None:
        with self._lock, suppress(OSError):
            status = path.stat()
            age = self._clock.now().timestamp() - status.st_mtime
            owed = self._log_uri is not None and self._pushed.get(path.name, 0) != status.st_size
            if (self._refused or not owed) and age >= self.keep_days * _DAY_S:
                path.unlink()
                if self._pushed.pop(path.name, None) is not None:
                    self._write_state()

    def _write_state(self) -> None:
        with suppress(OSError):
            durable.write_atomically(self._state, json.dumps(self._pushed).encode(), sync=False)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _read_state(path: Path) -> dict[str, int]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, Mapping):
            return {str(name): size for name, size in found.items() if isinstance(size, int)}
    return {}


def place(log_uri: str, hostname: str, name_file: Path) -> str:
    """The URI for the agent's own logs; it stays the same over restarts in one work folder.

    The folder has a name that was made once: a host may have several agents.
    """
    try:
        name = name_file.read_text().strip()
    except OSError:
        name = ""
    if not name.isalnum():
        name = secrets.token_hex(4)
        with suppress(OSError):
            name_file.write_text(f"{name}\n")
    return f"{log_uri.rstrip('/')}/TaskRunner/{safe_name(hostname)}-{name}"

"""Keeps the logs of an attempt within max_log_size while its process lives.

Where the file system has holes, commands write to the files themselves, and a thread gives back
the middle of what is too long. Elsewhere output goes through a filter that passes on what fits,
then holds the newest bytes in memory, and writes them at the end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taskrunner.clock import Clock
from taskrunner.host.capped_log import LEAST, Capped, marker, say_left_out
from taskrunner.host.process import Filter

#: Nothing writes faster: so long after a look no log can have grown beyond its limit by much.
_FASTEST = 2e9
_SOONEST_S = 0.05
_LATEST_S = 0.5
#: What is kept of the end where there are no holes.
_TAIL = 64 << 10


_activity = logging.getLogger("taskrunner.activity")


class LogKeeper:
    """The thread that looks after the logs."""

    def __init__(self, paths: Sequence[Path], limit: int, clock: Clock) -> None:
        self._logs = [Capped(path, limit) for path in paths]
        self._clock = clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="log-keeper", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look once more, when no command writes any longer; the Activity.log is still open."""
        self._ending.set()
        self._thread.join()
        for log in self._logs:
            log.close()
            self._say_lost(log)

    @staticmethod
    def _say_lost(log: Capped) -> None:
        """Note in the log that the task itself emptied it, so that nobody looks for the rest."""
        if log.lost:
            _activity.warning(
                "The task emptied %s, at least %d bytes of it, as `> /dev/stdout` and "
                "`> /dev/stderr` do; `>>` and `>&2` do not",
                log.name,
                log.lost,
            )

    def tick(self) -> float:
        """Cut every log that is too long; returns the seconds until the next look."""
        room = min(self._look(log) for log in self._logs)
        return min(max(room / _FASTEST, _SOONEST_S), _LATEST_S)

    def _loop(self) -> None:
        while not self._clock.wait(self._ending, self.tick()):
            continue

    @staticmethod
    def _look(log: Capped) -> int:
        with suppress(OSError):  # a full disk, above all: what is given back next makes room
            return log.look()
        return 0


class Room:
    """How much one log may still take; several streams may write to it."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._left = max(limit, LEAST) - _TAIL
        self._left_out = 0

    def take(self, size: int) -> int:
        """How many of so many bytes still fit."""
        with self._lock:
            taken = min(size, self._left)
            self._left -= taken
            return taken

    def leave_out(self, size: int) -> None:
        """Say that so many bytes are not in the log."""
        with self._lock, suppress(OSError):
            self._left_out += size
            say_left_out(self._path, self._left_out)


class TailFilter:
    """Passes a stream on while it fits; of the rest the newest bytes come at the end."""

    def __init__(self, room: Room, inner: Filter | None = None) -> None:
        self._room = room
        self._inner = inner
        self._tail = bytearray()
        self._left_out = 0

    def feed(self, data: bytes) -> bytes:
        """What may be written now."""
        return self._pass_on(data if self._inner is None else self._inner.feed(data))

    def flush(self) -> bytes:
        """The end of the stream: what was held, behind a line that says what was not."""
        first = b"" if self._inner is None else self._pass_on(self._inner.flush())
        self._shorten()
        said = b""
        if self._left_out:
            self._room.leave_out(self._left_out)
            said = marker(self._left_out)
        return first + said + bytes(self._tail)

    def _pass_on(self, data: bytes) -> bytes:
        fits = 0 if self._tail else self._room.take(len(data))
        self._tail += data[fits:]
        if len(self._tail) > 2 * _TAIL:
            self._shorten()
        return data[:fits]

    def _shorten(self) -> None:
        extra = max(len(self._tail) - _TAIL, 0)
        del self._tail[:extra]
        self._left_out += extra


class CappedHandler(logging.Handler):
    """Passes records on to another handler for as long as they fit."""

    def __init__(self, inner: logging.Handler, room: Room) -> None:
        super().__init__()
        self._inner = inner
        self._take = room.take
        self._full = False

    def close(self) -> None:
        """Close the other handler too."""
        self._inner.close()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a record, or say once that there is no room for more."""
        if self._full:
            return
        try:
            text = self._inner.format(record)
        except Exception:
            self.handleError(record)  # a plugin's mistake in a message is not its failure
            return
        if self._take(len(text) + 1) < len(text) + 1:
            self._full = True
            record = logging.makeLogRecord(
                {**record.__dict__, "exc_info": None, "args": None}
                | {"msg": "the rest is left out by taskrunner's max_log_size"}
            )
        self._inner.handle(record)

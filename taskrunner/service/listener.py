"""Hearing what the service's other processes announce, on one connection to PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from taskrunner.clock import Clock
from taskrunner.errors import StoreError
from taskrunner.logs import get_logger
from taskrunner.service.wakeups import Notice, WorkReady

log = get_logger()

#: Waits before a lost connection is made again: doubled from the first to the last, in seconds.
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 15.0
#: Clocks of two hosts may differ; beyond this, work is looked for at once, as well as it can be.
LONGEST_HOLD_S = 5.0


class Listening(Protocol):
    """An open line to the others."""

    def wait(self, timeout_s: float | None) -> list[str]:
        """The notices that came, after at most this time. Raises StoreError when it is cut."""
        ...

    def interrupt(self) -> None:
        """Have `wait` return, now or the next time; from any thread."""
        ...


class Listener:
    """The loop of one thread. Without it a poll ends in time all the same, and is asked again."""

    def __init__(
        self,
        open_line: Callable[[], AbstractContextManager[Listening]],
        ready: WorkReady,
        clock: Clock,
    ) -> None:
        self._open_line = open_line
        self._ready = ready
        self._clock = clock
        self._stop = threading.Event()
        self._line: Listening | None = None
        self._failures = 0
        #: Topics whose work is not yet due by this host's clock, and when it will be.
        self._held: dict[str, float] = {}

    def loop(self) -> None:
        """Listen until told to stop; a connection that is lost is made again."""
        while not self._stop.is_set():
            try:
                self._listen()
            except StoreError as error:
                self._clock.wait(self._stop, self._failed(error))

    def stop(self) -> None:
        """Have `loop` return; from any thread."""
        self._stop.set()
        if (line := self._line) is not None:
            line.interrupt()

    def _listen(self) -> None:
        with self._open_line() as line:
            self._line = line
            if self._failures:
                log.info("hearing other processes of the service again")
            self._failures = 0
            # Whatever was announced while nobody listened.
            self._ready.wake_all()
            try:
                while not self._stop.is_set():
                    self.hear(line.wait(self.patience()))
            finally:
                self._line = None

    def _failed(self, error: StoreError) -> float:
        self._failures += 1
        if self._failures == 1:
            log.warning("not hearing other processes of the service", error=str(error))
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures - 1, 16))

    def hear(self, texts: Iterable[str]) -> None:
        """Wake polls for what is said, and for what was said before and is due by now."""
        now = self._clock.now().timestamp()
        for text in texts:
            notice = Notice.parse(text)
            if notice is not None and notice.origin != self._ready.origin:
                self._held[notice.topic] = min(notice.at, now + LONGEST_HOLD_S)
        due = [topic for topic, at in self._held.items() if at <= now]
        for topic in due:
            del self._held[topic]
        self._ready.wake(due)

    def patience(self) -> float | None:
        """How long nothing that is held back falls due, in seconds; None: for ever."""
        if not self._held:
            return None
        return max(0.0, min(self._held.values()) - self._clock.now().timestamp())

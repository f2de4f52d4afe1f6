"""Signals that end a run: the first cancels it, the second ends it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupts:
    """What was asked for by Ctrl-C, SIGTERM or a closed terminal."""

    def __init__(self, stop: threading.Event) -> None:
        """`stop` is set by the first signal."""
        self._stop = stop
        #: The first signal's number; None while there was none.
        self.number: int | None = None
        #: Whether a second one wants the end at once.
        self.hard = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear signals until the block ends. The second raises KeyboardInterrupt in it."""
        # What whoever started us had ignored (nohup, a shell's background) stays ignored.
        numbers = [n for n in _HEARD if signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._hear) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            self._stop.set()
        elif not self.hard:
            self.hard = True
            raise KeyboardInterrupt

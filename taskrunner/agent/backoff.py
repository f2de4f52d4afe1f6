"""How long to wait before trying again, and logging an outage once instead of at each try."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: up to `first_s`, then twice that, and so on up to `most_s`."""

    first_s: float = 1.0
    most_s: float = 60.0

    def delay(self, failures: int, random: Random) -> float:
        """Seconds to wait after so many failures in a row (from 1)."""
        ceiling: float = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 32))
        # Never less than half: a refused connection fails in no time, and would be tried as fast.
        return ceiling * (0.5 + 0.5 * random.random())


#: After so many failures it is said again that it is down: some minutes, then each hour or so.
_REMIND_AT = 10
_REMIND_EACH = 80


class Outage:
    """Failures in a row of something that several threads use.

    Tells its beginning and its end, and meanwhile, now and then, that it goes on.
    """

    def __init__(
        self,
        *,
        began: Callable[[Exception], None],
        goes_on: Callable[[Exception, int], None] = lambda _error, _failures: None,
        ended: Callable[[int], None],
        backoff: Backoff,
        random: Random,
    ) -> None:
        self._began = began
        self._goes_on = goes_on
        self._ended = ended
        self._backoff = backoff
        self._random = random
        self._failures = 0
        self._lock = threading.Lock()

    @property
    def lasts(self) -> bool:
        """Whether the outage goes on: the last call failed."""
        return self._failures > 0

    def failed(self, error: Exception) -> float:
        """Count a failure; returns how many seconds to wait."""
        with self._lock:
            self._failures += 1
            if self._failures == 1:
                self._began(error)
            elif self._failures == _REMIND_AT or self._failures % _REMIND_EACH == 0:
                self._goes_on(error, self._failures)
            return self._backoff.delay(self._failures, self._random)

    def succeeded(self) -> None:
        """It works (again)."""
        with self._lock:
            if self._failures:
                self._ended(self._failures)
                self._failures = 0

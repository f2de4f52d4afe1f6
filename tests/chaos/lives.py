"""A service in a process that may be killed at any time, and is told what to do.

The processes are forked from one that has loaded everything: a life costs milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_FORKS = multiprocessing.get_context("forkserver")


class Dead(Exception):
    """The service was killed."""


class MortalProcess:
    """A process that answers orders, from its start until it is killed."""

    def __init__(
        self, live: Callable[..., None], *arguments: Any, preload: str, patience_s: float
    ) -> None:
        """`live` is given its end of the pipe, then the arguments."""
        _FORKS.set_forkserver_preload([preload])
        self._patience_s = patience_s
        self._ours, theirs = _FORKS.Pipe()
        self._process = _FORKS.Process(target=live, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, order: str, *given: Any) -> Any:
        """Have an order carried out; raises Dead."""
        try:
            self._ours.send((order, *given))
            if not self._ours.poll(self._patience_s):
                raise AssertionError(f"{order} was not answered")
            return self._ours.recv()
        except (EOFError, OSError):
            raise Dead from None

    def kill(self) -> None:
        """End it at once; safe in any thread."""
        if self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def is_dead(self) -> bool:
        """Whether it was killed."""
        return self._process.exitcode is not None

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self.kill()
        self._process.join()
        self._process.close()
        self._ours.close()

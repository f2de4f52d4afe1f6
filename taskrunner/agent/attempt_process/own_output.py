"""What the attempt's own process prints: straight into its logs, or through a filter first.

Plugins print, and so do the programs that they start by themselves; where there are secrets,
that goes through the mask as commands' output does.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from taskrunner.host.process import Filter, pump

_STREAMS = ((1, "StdOutput"), (2, "StdError"))
#: A pipe holds little; only a thread that goes on printing makes it last.
_ARRIVES_WITHIN_S = 3.0


class OwnOutput:
    """Takes over descriptors 1 and 2 of this process."""

    def __init__(self, log_dir: Path, make_filter: Callable[[Path], Filter] | None) -> None:
        """`make_filter` is given the log; without it output goes straight to the files."""
        self._pumps: list[threading.Thread] = []
        self._ended, self._end = os.pipe()
        for descriptor, name in _STREAMS:
            log = os.open(log_dir / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            end = log if make_filter is None else self._pumped(log, make_filter(log_dir / name))
            os.dup2(end, descriptor)
            os.close(end)

    def _pumped(self, log: int, output_filter: Filter) -> int:
        source, end = os.pipe()

        def work() -> None:
            with open(source, "rb", buffering=0), open(log, "ab") as target:  # noqa: PTH123
                pump(partial(self._read, source), target, output_filter)

        thread = threading.Thread(target=work, daemon=True, name="own-output")
        thread.start()
        self._pumps.append(thread)
        return end

    def _read(self, source: int, size: int) -> bytes:
        """What was printed; nothing once the pipe is empty for good."""
        looking = select.poll()
        for descriptor in (source, self._ended):
            looking.register(descriptor, select.POLLIN)
        ready = dict(looking.poll())
        return os.read(source, size) if source in ready else b""

    def close(self) -> None:
        """Let what was printed arrive; nothing that is printed from now on will be seen.

        To be called when no other process has the descriptors any more. A copy of them that a
        plugin has kept holds nobody up.
        """
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        null = os.open(os.devnull, os.O_WRONLY)
        for descriptor, _ in _STREAMS if self._pumps else ():
            os.dup2(null, descriptor)
        os.close(null)
        os.close(self._end)
        for thread in self._pumps:
            thread.join(_ARRIVES_WITHIN_S)

"""Ends processes with all that they have started.

Apart from `process`, for psutil: an agent that ends nothing starts without it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from contextlib import suppress

import psutil

from taskrunner.clock import Clock, SystemClock

#: How often a tree is listed again while it is being stopped; a fork storm needs a few rounds.
_ROUNDS = 100
_GONE_WITHIN_S = 5.0


def kill_tree(pid: int) -> None:
    """KILL a process and every descendant; they are stopped first, so that none forks away."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        _signal(root, signal.SIGSTOP)
        found = _stop_descendants(root, spare=frozenset())
        for process in [*found, root]:
            _signal(process, signal.SIGKILL)


def kill_descendants(*, spare: frozenset[int] = frozenset()) -> int:
    """KILL every descendant of this process but those in or under `spare`; returns how many.

    Waits until they are gone, which takes no time unless one hangs in the kernel.
    """
    found = _stop_descendants(psutil.Process(), spare=spare)
    for process in found:
        _signal(process, signal.SIGKILL)
    _wait_until_dead(found, SystemClock())
    return len(found)


def _wait_until_dead(processes: Sequence[psutil.Process], clock: Clock) -> None:
    until, never = clock.monotonic() + _GONE_WITHIN_S, threading.Event()
    for process in processes:
        # Not psutil's own wait: it takes a process that nobody has reaped yet for a living one.
        while not _is_dead(process) and clock.monotonic() < until:
            clock.wait(never, 0.002)


def _stop_descendants(root: psutil.Process, *, spare: frozenset[int]) -> list[psutil.Process]:
    stopped: dict[int, psutil.Process] = {}
    for _ in range(_ROUNDS):
        fresh = [p for p in _descendants(root, spare) if p.pid not in stopped]
        if not fresh:
            break
        for process in fresh:
            stopped[process.pid] = process
            _signal(process, signal.SIGSTOP)
    return list(stopped.values())


def _descendants(root: psutil.Process, spare: frozenset[int]) -> list[psutil.Process]:
    if not spare:
        return [p for p in root.children(recursive=True) if not _is_dead(p)]
    found: list[psutil.Process] = []
    for child in root.children():
        if child.pid not in spare and not _is_dead(child):
            found.append(child)
            with suppress(psutil.NoSuchProcess):
                found += child.children(recursive=True)
    return found


def _is_dead(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.send_signal(number)

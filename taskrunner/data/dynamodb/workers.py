"""Several threads on one pile of work, while the main thread tells how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from taskrunner.data.dynamodb.limiter import Stopped

T = TypeVar("T")

#: How often the main thread tells how far it is, and looks whether it has to end.
_BEAT_S = 1.0


class _Pile(Generic[T]):
    """Things that threads take from an iterator, one at a time: it runs in whoever takes."""

    def __init__(self, things: Iterable[T]) -> None:
        self._things = iter(things)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._lock:
            return next(self._things)


def in_parallel(
    things: Iterable[T],
    work: Callable[[T, threading.Event], None],
    *,
    workers: int,
    beat: Callable[[], None],
) -> None:
    """Do the work on every thing. What it or `beat` raises ends the rest, and is raised.

    `beat` is called in the calling thread, about once a second and at the end. The event that work
    gets is set when it is to stop; it does so by raising Stopped.
    """
    pile, stop = _Pile(things), threading.Event()

    def take() -> None:
        for thing in pile:
            if stop.is_set():
                raise Stopped
            work(thing, stop)

    with ThreadPoolExecutor(workers, thread_name_prefix="dynamodb") as pool:
        try:
            pending = {pool.submit(take) for _ in range(workers)}
            while pending:
                done, pending = wait(pending, timeout=_BEAT_S, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                beat()
        finally:
            stop.set()

"""The threads that handlers run in, by turns of those who call.

A thousand calls of one key that come at once wait for each other, not the call of another key for
all of them.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

#: Python's threads take turns, too: more of one holder would slow all down, and it not quicken.
_SHARES = 4


@dataclass(eq=False, slots=True)
class _Job:
    holder: str
    call: Callable[[], Any]
    done: asyncio.Future[Any]
    #: Is told of its end, on the loop.
    end: Callable[[_Job, Any, BaseException | None], None]
    loop: asyncio.AbstractEventLoop
    #: Of the thread that makes it.
    given: _Given | None = None


_Given = queue.SimpleQueue[_Job | None]


def _work(given: _Given) -> None:
    """What each thread does: of the pool, which may be gone by then, it knows nothing."""
    while (job := given.get()) is not None:
        _make(job)
        del job  # nothing of it is held while there is nothing to do


def _make(job: _Job) -> None:
    result, problem = None, None
    try:
        result = job.call()
    except BaseException as error:
        problem = error
    with suppress(RuntimeError):  # the loop has ended with the service: nobody waits any more
        job.loop.call_soon_threadsafe(job.end, job, result, problem)


def _let_go(threads: Iterable[_Given]) -> None:
    for given in threads:
        given.put(None)


class HandlerPool:
    """Threads of which one holder has a quarter at the most. For the event loop's thread.

    Not an executor of the library's: its futures, which nobody here asks, and its locks cost more
    than many a call does.
    """

    def __init__(self, threads: int) -> None:
        self._count = threads
        self._threads: list[threading.Thread] = []
        #: Of each thread what it has to do; None: it ends.
        self._given: list[_Given] = []
        weakref.finalize(self, _let_go, self._given)
        #: Of those that have nothing to do; the one that had last comes last, and is given the next
        #: call: what that needs is still in the caches of its processor.
        self._idle: list[_Given] = []
        self._most_of_holder = max(1, threads // _SHARES)
        self._at_work: Counter[str] = Counter()
        #: Of each holder the calls that wait, in their order; whose turn it is comes first.
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()

    async def run(self, holder: str, call: Callable[[], T]) -> T:
        """What `call` returns, in a thread, once it is the holder's turn.

        A call that is canceled before its turn is not made; later its end is not waited for.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        job = _Job(holder, call, done, self._end, loop)
        if not self._threads:
            self.start()
        if self._idle and not self._waiting and self._at_work[holder] < self._most_of_holder:
            self._begin(job)  # as it mostly is
        else:
            self._waiting.setdefault(holder, deque()).append(job)
            self._begin_next()
        return await done

    def start(self) -> None:
        """Have all threads now: all would wait while one is begun amid a crowd."""
        while len(self._threads) < self._count:
            name, given = f"handler_{len(self._threads)}", queue.SimpleQueue[_Job | None]()
            thread = threading.Thread(target=_work, args=(given,), name=name, daemon=True)
            self._threads.append(thread)
            self._given.append(given)
            self._idle.append(given)
            thread.start()

    def close(self) -> None:
        """Wait for calls that are at work."""
        _let_go(self._given)
        while self._threads:
            self._threads.pop().join()
        self._given.clear()
        self._idle.clear()

    def _begin_next(self) -> None:
        while self._waiting and self._idle and (holder := self._next_holder()) is not None:
            waiting = self._waiting[holder]
            job = waiting.popleft()
            self._waiting.move_to_end(holder)
            if not waiting:
                del self._waiting[holder]
            if not job.done.cancelled():
                self._begin(job)

    def _next_holder(self) -> str | None:
        return next(
            (name for name in self._waiting if self._at_work[name] < self._most_of_holder), None
        )

    def _begin(self, job: _Job) -> None:
        self._at_work[job.holder] += 1
        job.given = self._idle.pop()
        job.given.put(job)

    def _end(self, job: _Job, result: object, problem: BaseException | None) -> None:
        if job.given is not None and self._threads:  # else it is closed
            self._idle.append(job.given)
        self._at_work[job.holder] -= 1
        if not self._at_work[job.holder]:
            del self._at_work[job.holder]
        self._begin_next()
        if job.done.cancelled():
            return
        if problem is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(problem)

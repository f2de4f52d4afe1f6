"""Several calls to a store at a time: each waits most of its time for an answer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    cost: Callable[[Item], int] = lambda _item: 0,
    most: int = 1,
    ended: threading.Event | None = None,
) -> Iterator[Result]:
    """The results of work on each item, in the order of the items.

    Of what is under way the costs are no more than `most` together, unless one item alone has more.
    The first failure, or the end of whoever takes the results, lets nothing more begin; what is
    under way is waited for, and is told by `ended`. Then the failure is raised.
    """
    waiting: deque[tuple[Future[Result], int]] = deque()
    used = 0
    with ThreadPoolExecutor(threads, thread_name_prefix="side-by-side") as pool:
        try:
            for item in items:
                needed = cost(item)
                while waiting and (used + needed > most or len(waiting) >= 2 * threads):
                    future, freed = waiting.popleft()
                    yield future.result()
                    used -= freed
                waiting.append((pool.submit(work, item), needed))
                used += needed
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            if ended is not None:
                ended.set()
            for future, _ in waiting:
                future.cancel()

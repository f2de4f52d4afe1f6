"""What one key may take of the service: polls that are held, and calls that are costly."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from taskrunner.errors import ServiceFault
from taskrunner.service.auth import Permit
from taskrunner.wire.faults import Throttled


class HeldPoll:
    """A poll that has its place; it may be ended before its time."""

    def __init__(self, permit: Permit) -> None:
        self.permit = permit
        #: Done when the poll is to be answered: empty, or with the fault that it holds.
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end(self, fault: ServiceFault | None = None) -> None:
        """Have the poll answered now."""
        if self.over.done():
            return
        if fault is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(fault)
            self.over.exception()  # it is told where the poll is; there may be nobody left


class HeldPolls:
    """The places for polls that wait: so many in all, and of each key. For the loop's thread."""

    def __init__(self, *, most: int, most_of_key: int) -> None:
        self._most = most
        self._most_of_key = most_of_key
        self._held: dict[HeldPoll, None] = {}
        self._of_key: Counter[str] = Counter()

    @contextmanager
    def place(self, permit: Permit) -> Iterator[HeldPoll]:
        """A place for a poll while it is held. Raises Throttled when there is none."""
        holder = permit.holder
        if self._of_key[holder] >= self._most_of_key:
            raise Throttled(
                f"{self._most_of_key} polls of this key are held already: poll less, or by several "
                "keys"
            )
        if len(self._held) >= self._most:
            raise Throttled(f"{self._most} polls are held already: as many as there may be")
        poll = HeldPoll(permit)
        self._held[poll] = None
        self._of_key[holder] += 1
        try:
            yield poll
        finally:
            del self._held[poll]
            self._of_key[holder] -= 1
            if not self._of_key[holder]:
                del self._of_key[holder]

    def end_those_of_changed_keys(self, check_still: Callable[[Permit], bool]) -> None:
        """End what was permitted to keys that are gone, with a fault, or are not as they were."""
        for poll in list(self._held):
            try:
                if not check_still(poll.permit):
                    poll.end()
            except ServiceFault as fault:
                poll.end(fault)


class CostlyCalls:
    """Lets few calls that take long do so at once, and few of one key wait for it."""

    def __init__(self, *, at_once: int, most_of_key: int, most: int) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._most_of_key, self._most = most_of_key, most
        self._of_key: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, permit: Permit) -> AsyncIterator[None]:
        """Wait for a turn. Raises Throttled when too many wait."""
        holder = permit.holder
        if self._of_key[holder] >= self._most_of_key or self._of_key.total() >= self._most:
            raise Throttled("too many calls of this kind are under way: try again in a moment")
        self._of_key[holder] += 1
        try:
            async with self._turns:
                yield
        finally:
            self._of_key[holder] -= 1
            if not self._of_key[holder]:
                del self._of_key[holder]

"""Long polls on the event loop: a waiting poll holds no thread, and wakes when work appears.

Of the polls that wait for a group, one is woken at a time; it wakes the next when it was given
work. So a thousand idle polls and one task make one claim, not a thousand.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

#: Some polls are held for so much of the time less than others. All agents of a service that was
#: started anew ask at the same moment; their polls would end together ever after, and for as long
#: as it takes to answer a thousand at once nobody else would be answered.
SPREAD = 0.15


class Subscriptions(Protocol):
    """Where work is announced."""

    def subscribe(self, worker_group: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback`, from any thread, when the group may have work; returns the undo."""
        ...


class _Group:
    """The polls of one worker group in this process."""

    def __init__(self) -> None:
        self.members = 0
        self.unsubscribe: Callable[[], None] = lambda: None
        #: Counts announcements, so that one in the midst of a claim is not missed.
        self.announced = 0
        self._asleep: deque[asyncio.Event] = deque()

    def announce(self) -> None:
        self.announced += 1
        self.wake_one()

    def wake_one(self) -> None:
        if self._asleep:
            self._asleep.popleft().set()

    def wake_all(self) -> None:
        while self._asleep:
            self.wake_one()

    async def sleep(self, timeout_s: float) -> None:
        """Return when woken or after a time."""
        event = asyncio.Event()
        self._asleep.append(event)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            if not event.is_set():
                self._asleep.remove(event)


class Polls:
    """Holds polls until there is work, their time is over or the service stops."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        *,
        hold_s: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`chance` gives numbers from 0 to 1, each as likely as any other."""
        self._subscriptions = subscriptions
        self._hold_s = hold_s
        self._chance = chance
        self._groups: dict[tuple[str, str], _Group] = {}
        self._closed = False
        #: Polls of those that get no work.
        self._resting = _Group()

    @property
    def waiting(self) -> int:
        """How many polls are held."""
        return sum(group.members for group in self._groups.values())

    async def wait(
        self, worker_group: str, claim: Callable[[], Awaitable[T | None]], *, account: str = ""
    ) -> T | None:
        """What `claim` gave, asked at once and whenever the group may have work.

        Polls of two accounts for groups of the same name do not take each other's wake-ups.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._spread(self._hold_s)
        key = (account, worker_group)
        group = self._join(key, loop)
        try:
            return await self._until(deadline, group, claim)
        except BaseException:
            # Whoever leaves in between, or could not ask, hands the wake-up on: it may have been
            # for the only work that there is, and the others would sleep until their time is over.
            group.wake_one()
            raise
        finally:
            self._leave(key, group)

    async def _until(
        self, deadline: float, group: _Group, claim: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        loop = asyncio.get_running_loop()
        while True:
            seen = group.announced
            work = await claim()
            if work is not None:
                group.wake_one()  # there may be more
                return work
            left_s = deadline - loop.time()
            if self._closed or left_s <= 0:
                return None
            if group.announced == seen:
                await group.sleep(left_s)

    async def rest(self, seconds: float) -> None:
        """Hold a poll that is given nothing, until its time is over or the service stops."""
        if not self._closed:
            await self._resting.sleep(self._spread(max(0.0, seconds)))

    def _spread(self, seconds: float) -> float:
        return seconds * (1 - SPREAD * self._chance())

    def close(self) -> None:
        """Answer every poll, now and from now on, without waiting."""
        self._closed = True
        self._resting.wake_all()
        for group in self._groups.values():
            group.wake_all()

    def _join(self, key: tuple[str, str], loop: asyncio.AbstractEventLoop) -> _Group:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
            announce = group.announce
            group.unsubscribe = self._subscriptions.subscribe(
                key[1], lambda: _from_any_thread(loop, announce)
            )
        group.members += 1
        return group

    def _leave(self, key: tuple[str, str], group: _Group) -> None:
        group.members -= 1
        if group.members == 0:
            group.unsubscribe()
            del self._groups[key]


def _from_any_thread(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return  # the loop has ended with the service: nobody waits any more

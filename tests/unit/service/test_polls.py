from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from taskrunner.service.polls import SPREAD, Polls
from taskrunner.service.wakeups import WorkReady

LONG = 60.0


class Queue:
    """Work of one group; counts how often it was asked."""

    def __init__(self) -> None:
        self.work: list[str] = []
        self.asked = 0

    async def claim(self) -> str | None:
        self.asked += 1
        await asyncio.sleep(0)
        return self.work.pop(0) if self.work else None


async def settled() -> None:
    """Let everything that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


def run(test: Callable[[WorkReady, Polls, Queue], Awaitable[None]]) -> None:
    async def main() -> None:
        ready = WorkReady()
        await test(ready, Polls(ready, hold_s=LONG), Queue())

    asyncio.run(main())


def test_work_that_is_there_is_given_at_once() -> None:
    async def check(_ready: WorkReady, polls: Polls, queue: Queue) -> None:
        queue.work = ["w"]
        assert await polls.wait("g", queue.claim) == "w"

    run(check)


def test_a_poll_without_work_ends_after_its_time() -> None:
    async def main() -> None:
        polls = Polls(WorkReady(), hold_s=0.01)
        queue = Queue()
        assert await polls.wait("g", queue.claim) is None
        assert polls.waiting == 0
        assert queue.asked == 2  # at once, and a last time

    asyncio.run(main())


def test_polls_that_begin_together_do_not_all_end_together() -> None:
    async def main() -> None:
        chances = iter([0.0, 1 / SPREAD])
        polls = Polls(WorkReady(), hold_s=LONG, chance=lambda: next(chances))
        first, second = (asyncio.ensure_future(polls.wait("g", Queue().claim)) for _ in range(2))
        async with asyncio.timeout(5):
            assert await second is None
        assert not first.done()
        polls.close()
        assert await first is None

    asyncio.run(main())


def test_one_task_wakes_one_of_many_polls() -> None:
    async def check(ready: WorkReady, polls: Polls, queue: Queue) -> None:
        waiting = [asyncio.ensure_future(polls.wait("g", queue.claim)) for _ in range(100)]
        await settled()
        before = queue.asked
        queue.work = ["w"]
        ready.announce(["g"])
        await settled()
        assert [poll.result() for poll in waiting if poll.done()] == ["w"]
        assert queue.asked - before == 2  # the one, and the next in case there was more
        polls.close()
        await asyncio.gather(*waiting)

    run(check)


def test_one_announcement_of_several_tasks_brings_each_to_a_poll() -> None:
    async def check(ready: WorkReady, polls: Polls, queue: Queue) -> None:
        waiting = [asyncio.ensure_future(polls.wait("g", queue.claim)) for _ in range(5)]
        await settled()
        queue.work = ["a", "b", "c"]
        ready.announce(["g"])
        await settled()
        assert sorted(str(poll.result()) for poll in waiting if poll.done()) == ["a", "b", "c"]
        polls.close()
        await asyncio.gather(*waiting)

    run(check)


def test_other_groups_are_not_woken() -> None:
    async def check(ready: WorkReady, polls: Polls, queue: Queue) -> None:
        waiting = asyncio.ensure_future(polls.wait("g", queue.claim))
        await settled()
        ready.announce(["other"])
        await settled()
        assert queue.asked == 1
        polls.close()
        assert await waiting is None

    run(check)


def test_an_announcement_in_the_midst_of_a_claim_is_not_missed() -> None:
    async def check(ready: WorkReady, polls: Polls, queue: Queue) -> None:
        async def claim() -> str | None:
            found = await queue.claim()
            if queue.asked == 1:
                queue.work = ["w"]  # committed just after this claim looked
                ready.announce(["g"])
                await settled()
            return found

        async with asyncio.timeout(5):
            assert await polls.wait("g", claim) == "w"

    run(check)


def test_a_poll_that_leaves_hands_its_wake_up_on() -> None:
    async def check(ready: WorkReady, polls: Polls, queue: Queue) -> None:
        first = asyncio.ensure_future(polls.wait("g", queue.claim))
        second = asyncio.ensure_future(polls.wait("g", queue.claim))
        await settled()
        queue.work = ["w"]
        ready.announce(["g"])
        first.cancel()
        async with asyncio.timeout(5):
            assert await second == "w"

    run(check)


def test_a_failing_claim_is_the_callers() -> None:
    async def check(_ready: WorkReady, polls: Polls, _queue: Queue) -> None:
        async def claim() -> str | None:
            raise RuntimeError("store")

        with pytest.raises(RuntimeError, match="store"):
            await polls.wait("g", claim)
        assert polls.waiting == 0

    run(check)


def test_a_woken_poll_whose_claim_fails_hands_its_wake_up_on() -> None:
    async def check(ready: WorkReady, polls: Polls, queue: Queue) -> None:
        broken = False

        async def claim() -> str | None:
            if broken:
                raise RuntimeError("the connection to the database was cut")
            return await queue.claim()

        unlucky = asyncio.ensure_future(polls.wait("g", claim))
        await settled()
        other = asyncio.ensure_future(polls.wait("g", queue.claim))
        await settled()
        broken = True
        queue.work = ["w"]
        ready.announce(["g"])  # wakes the one that has waited longest
        await settled()
        assert isinstance(unlucky.exception(), RuntimeError)
        assert other.done()
        assert other.result() == "w"

    run(check)


def test_after_the_end_nobody_waits() -> None:
    async def check(ready: WorkReady, polls: Polls, queue: Queue) -> None:
        polls.close()
        async with asyncio.timeout(5):
            assert await polls.wait("g", queue.claim) is None
        ready.announce(["g"])

    run(check)


def test_announcements_after_the_loop_has_ended_do_no_harm() -> None:
    ready = WorkReady()
    loop = asyncio.new_event_loop()
    queue = Queue()

    async def leave_hanging() -> None:
        poll = asyncio.ensure_future(Polls(ready, hold_s=LONG).wait("g", queue.claim))
        await settled()
        held.append(poll)

    held: list[asyncio.Future[str | None]] = []
    loop.run_until_complete(leave_hanging())
    hanging = held[0]
    loop.close()

    ready.announce(["g"])

    assert not hanging.done()
    hanging._log_destroy_pending = False  # type: ignore[attr-defined]

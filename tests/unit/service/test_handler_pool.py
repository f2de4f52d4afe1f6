from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable

import pytest

from taskrunner.service.handler_pool import HandlerPool


class Calls:
    """Calls that note that they have begun, and end when they are let."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = threading.Event()
        self._lock = threading.Lock()

    def named(self, name: str) -> Callable[[], str]:
        def call() -> str:
            with self._lock:
                self.begun.append(name)
            assert self.may_end.wait(60)
            return name

        return call


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_crowd_of_one_holder_leaves_threads_to_others() -> None:
    async def main() -> None:
        pool, calls = HandlerPool(8), Calls()
        crowd = [asyncio.create_task(pool.run("a", calls.named("a"))) for _ in range(50)]
        await until(lambda: len(calls.begun) == 2)
        other = asyncio.create_task(pool.run("b", calls.named("b")))
        await until(lambda: "b" in calls.begun)

        assert calls.begun == ["a", "a", "b"]
        calls.may_end.set()
        assert await asyncio.gather(*crowd, other) == ["a"] * 50 + ["b"]
        pool.close()

    asyncio.run(main())


def test_holders_take_turns() -> None:
    async def main() -> None:
        pool, calls = HandlerPool(1), Calls()
        names = ["a1", "a2", "a3", "b1", "b2", "c1"]
        all_of_them = [asyncio.create_task(pool.run(name[0], calls.named(name))) for name in names]
        await until(lambda: bool(calls.begun))
        calls.may_end.set()
        await asyncio.gather(*all_of_them)

        assert calls.begun == ["a1", "a2", "b1", "c1", "a3", "b2"]
        pool.close()

    asyncio.run(main())


def test_a_call_that_is_canceled_before_its_turn_is_not_made() -> None:
    async def main() -> None:
        pool, calls = HandlerPool(1), Calls()
        first = asyncio.create_task(pool.run("a", calls.named("first")))
        second = asyncio.create_task(pool.run("a", calls.named("second")))
        third = asyncio.create_task(pool.run("a", calls.named("third")))
        await until(lambda: bool(calls.begun))
        first.cancel()
        second.cancel()
        await until(lambda: first.done() and second.done())
        assert calls.begun == ["first"]  # nobody waits for it, but its thread is not free
        calls.may_end.set()

        assert await third == "third"
        assert calls.begun == ["first", "third"]
        pool.close()

    asyncio.run(main())


def test_what_a_call_raises_is_raised() -> None:
    def fail() -> None:
        raise LookupError("nothing")

    async def main() -> None:
        pool = HandlerPool(4)
        with pytest.raises(LookupError, match="nothing"):
            await pool.run("a", fail)
        assert await pool.run("a", lambda: 1) == 1
        pool.close()

    asyncio.run(main())


def test_all_threads_are_there_once_it_has_started() -> None:
    before = set(threading.enumerate())

    async def main() -> set[str]:
        pool = HandlerPool(4)
        pool.start()
        await asyncio.gather(*(pool.run(name, lambda: None) for name in "abcd"))
        names = {thread.name for thread in threading.enumerate() if thread not in before}
        pool.close()
        return {name for name in names if name.startswith("handler")}

    assert asyncio.run(main()) == {f"handler_{number}" for number in range(4)}


def test_the_thread_that_was_at_work_last_has_the_next_call() -> None:
    """Each by turns would find nothing in its caches."""

    async def main() -> set[str]:
        pool = HandlerPool(4)
        pool.start()
        names = {await pool.run("a", lambda: threading.current_thread().name) for _ in range(8)}
        pool.close()
        return names

    assert len(asyncio.run(main())) == 1


def test_the_threads_of_a_pool_that_is_gone_end() -> None:
    async def main() -> list[threading.Thread]:
        pool = HandlerPool(2)
        await pool.run("a", lambda: None)
        return [t for t in threading.enumerate() if t.name.startswith("handler")]

    before = {thread for thread in threading.enumerate() if thread.name.startswith("handler")}
    threads = [thread for thread in asyncio.run(main()) if thread not in before]
    gc.collect()

    assert len(threads) == 2
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()

from __future__ import annotations

import asyncio

import pytest

from taskrunner.service.auth import Permit
from taskrunner.service.auth_keys import Key
from taskrunner.service.callers import Caller
from taskrunner.service.shares import CostlyCalls, HeldPolls
from taskrunner.wire.faults import Throttled, UnknownClient


def permit(name: str) -> Permit:
    key = Key(id=name, secret="s" * 16, user="u", account="1", actions=frozenset())
    return Permit(caller=Caller(account="1", user="u"), key=key)


def test_a_key_has_so_many_polls_and_no_more() -> None:
    async def main() -> None:
        polls = HeldPolls(most=10, most_of_key=2)
        with polls.place(permit("a")), polls.place(permit("a")):
            with pytest.raises(Throttled, match="2 polls of this key"), polls.place(permit("a")):
                pass
            with polls.place(permit("b")):
                pass
        with polls.place(permit("a")), polls.place(permit("a")):
            pass

    asyncio.run(main())


def test_all_keys_together_have_so_many_polls() -> None:
    async def main() -> None:
        polls = HeldPolls(most=2, most_of_key=2)
        with (
            polls.place(permit("a")),
            polls.place(permit("b")),
            pytest.raises(Throttled, match="2 polls are held"),
            polls.place(permit("c")),
        ):
            pass

    asyncio.run(main())


def test_polls_of_keys_that_changed_are_ended() -> None:
    def check(held: Permit) -> bool:
        if held.holder == "gone":
            raise UnknownClient("gone")
        return held.holder != "changed"

    async def main() -> None:
        polls = HeldPolls(most=9, most_of_key=9)
        with (
            polls.place(permit("same")) as same,
            polls.place(permit("changed")) as changed,
            polls.place(permit("gone")) as gone,
        ):
            polls.end_those_of_changed_keys(check)
            polls.end_those_of_changed_keys(check)

            assert not same.over.done()
            assert changed.over.result() is None
            with pytest.raises(UnknownClient):
                gone.over.result()

    asyncio.run(main())


def test_costly_calls_take_turns() -> None:
    async def main() -> None:
        costly = CostlyCalls(at_once=1, most_of_key=2, most=3)
        ended = asyncio.Event()
        order: list[str] = []

        async def call(name: str, key: str) -> None:
            async with costly.turn(permit(key)):
                order.append(name)
                await ended.wait()

        calls = [asyncio.create_task(call(n, k)) for n, k in (("1", "a"), ("2", "a"), ("3", "b"))]
        while not order:
            await asyncio.sleep(0)
        for key in ("a", "c"):  # of one key, of all
            with pytest.raises(Throttled):
                await call("4", key)
        assert order == ["1"]
        ended.set()
        await asyncio.gather(*calls)
        assert order == ["1", "2", "3"]
        await call("5", "a")

    asyncio.run(main())

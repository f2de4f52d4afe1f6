from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from taskrunner.service.bodies import BodyRoom, ClientGone, pass_over, read_body
from taskrunner.wire.faults import BodyTooSlow


class Client:
    """A body in parts; after the last one that was sent nothing comes."""

    def __init__(self, *parts: bytes, whole: bool = True) -> None:
        self._messages: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        for number, part in enumerate(parts, 1):
            self.send(part, more=number < len(parts) or not whole)

    def send(self, part: bytes, *, more: bool) -> None:
        self._messages.put_nowait({"type": "http.request", "body": part, "more_body": more})

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> MutableMapping[str, Any]:
        return await self._messages.get()


async def reading(room: BodyRoom, client: Client, origin: str) -> bytes:
    body = room.enter(origin)
    try:
        return await read_body(client.receive, declared=None, limit=1000, body=body)
    finally:
        body.done()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_the_slowest_body_of_the_greatest_crowd_makes_room() -> None:
    async def main() -> None:
        room = BodyRoom(100)
        alone = asyncio.create_task(reading(room, Client(b"x" * 10, whole=False), "alone"))
        crowd = [
            asyncio.create_task(reading(room, Client(b"x" * 40, whole=False), "crowd"))
            for _ in range(2)
        ]
        await settled()
        assert room.taken == 90

        assert await reading(room, Client(b"y" * 20), "new") == b"y" * 20

        await settled()
        assert [task.done() for task in (alone, *crowd)] == [False, True, False]
        with pytest.raises(BodyTooSlow, match="too many"):
            await crowd[0]
        assert room.taken == 50
        for task in (alone, crowd[1]):
            task.cancel()
        await asyncio.wait([alone, crowd[1]])
        assert room.taken == 0

    asyncio.run(main())


def test_a_body_that_waits_to_be_authenticated_still_takes_room() -> None:
    async def main() -> None:
        room = BodyRoom(100)
        whole = room.enter("a")
        await read_body(Client(b"x" * 90).receive, declared=None, limit=1000, body=whole)

        with pytest.raises(BodyTooSlow):
            await reading(room, Client(b"y" * 20, whole=False), "b")
        whole.done()
        assert await reading(room, Client(b"y" * 20), "b") == b"y" * 20

    asyncio.run(main())


def test_a_body_that_is_not_wanted_is_passed_over() -> None:
    async def main() -> None:
        assert await pass_over(Client(b"x", b"y", b"z").receive)
        assert not await pass_over(Client(b"x", whole=False).receive, linger_s=0.01)
        client = Client(b"x", whole=False)
        client.leave()
        with pytest.raises(ClientGone):
            await pass_over(client.receive)

    asyncio.run(main())


@pytest.mark.parametrize("has_arrived", [True, False])
def test_time_is_kept_only_for_what_is_still_to_come(has_arrived: bool) -> None:
    async def main() -> None:
        body, client, timed = BodyRoom().enter("a"), Client(b"x", b"y"), []

        async def receive() -> MutableMapping[str, Any]:
            timed.append(body.timeout is not None)
            return await client.receive()

        read = read_body(receive, declared=None, limit=2, body=body, has_arrived=has_arrived)
        assert await read == b"xy"
        assert timed == [not has_arrived] * 2

    asyncio.run(main())

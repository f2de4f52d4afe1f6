from __future__ import annotations

import asyncio
from collections.abc import Generator, MutableMapping
from typing import Any

import pytest
from starlette.responses import Response

from taskrunner.service.handler_pool import HandlerPool
from taskrunner.service.v1.text_file import TextFile, kept_as, text_response


class Text:
    """A text without an end, which notes what of it was asked for."""

    def __init__(self, *, fails_at: int = -1) -> None:
        self.asked, self.closed, self._fails_at = 0, False, fails_at

    def pieces(self) -> Generator[bytes]:
        try:
            while self.asked != self._fails_at:
                self.asked += 1
                yield b"x" * 1000
            raise OSError("the disk is gone")
        finally:
            self.closed = True


def sent(response_of: Any, *, most: int) -> list[MutableMapping[str, Any]]:
    """What a client is sent that goes away after so many messages."""
    found: list[MutableMapping[str, Any]] = []

    async def main() -> None:
        gone = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            found.append(message)
            if len(found) == most:
                gone.set()
                await asyncio.sleep(0)

        pool = HandlerPool(1)
        response: Response = response_of(pool)
        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.0"}}
        try:
            await asyncio.wait_for(response(scope, receive, send), 60)
        finally:
            pool.close()

    asyncio.run(main())
    return found


def response_of(text: Text, method: str = "GET") -> Any:
    file = TextFile(name="a.log", pieces=text.pieces())
    return lambda pool: text_response(file, pool, "me", {"x-a": "b"}, method=method)


def test_no_more_is_read_than_a_client_takes() -> None:
    text = Text()
    found = sent(response_of(text), most=5)
    assert text.asked <= len(found) + 1
    assert text.closed
    headers = {name.decode(): value.decode() for name, value in found[0]["headers"]}
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-disposition"] == 'attachment; filename="a.log"'
    assert headers["x-a"] == "b"


def test_what_goes_wrong_amid_it_is_not_taken_for_its_end() -> None:
    text = Text(fails_at=3)
    with pytest.raises(OSError, match="disk is gone"):
        sent(response_of(text), most=99)
    assert text.closed


def test_who_asks_for_the_headers_alone_has_nothing_read() -> None:
    text = Text()
    (start, body) = sent(response_of(text, "HEAD"), most=99)
    assert (start["status"], body["body"], text.asked) == (200, b"", 0)


def test_a_name_means_nothing_in_a_header() -> None:
    assert kept_as('a"; x=é\r\n/b.log') == 'attachment; filename="a___x_____b.log"'

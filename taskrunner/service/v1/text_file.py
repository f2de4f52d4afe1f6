"""Answers that are texts of any length: handed over a piece at a time, and never held whole.

Each piece is read in a thread of the pool, by the caller's turn: whoever loads down a log of 10 GB
takes no more of the service than others do, and nothing when they go away.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.responses import Response, StreamingResponse

from taskrunner.service.handler_pool import HandlerPool
from taskrunner.service.v1.schema import about

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """A text, to be kept as a file."""

    name: str = about("The name of the file.")
    pieces: Generator[bytes] = about("The text; nothing is empty but its end.")


def text_response(
    file: TextFile, pool: HandlerPool, holder: str, headers: Mapping[str, str], *, method: str
) -> Response:
    """The answer that hands a text over. What goes wrong amid it breaks the connection."""
    told = {**headers, "content-type": TEXT, "content-disposition": kept_as(file.name)}
    if method == "HEAD":
        file.pieces.close()
        return Response(headers=told)
    return StreamingResponse(_handed_over(file, pool, holder), headers=told)


async def _handed_over(file: TextFile, pool: HandlerPool, holder: str) -> AsyncIterator[bytes]:
    try:
        while piece := await pool.run(holder, lambda: next(file.pieces, b"")):
            yield piece
    finally:
        with suppress(ValueError):  # a thread is at it: nobody asks for the next piece then
            file.pieces.close()


def kept_as(name: str) -> str:
    """The header by which a browser keeps an answer as a file of a name, and shows nothing."""
    # Ids come from others: what is no plain letter may mean something in a header.
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "_" for c in name)
    return f'attachment; filename="{plain}"'

"""The body of a large object, by several requests at a time: one connection alone is slow to S3.

The first request's answer is the beginning. Meanwhile others ask for the ranges behind it, each for
the very version that was begun. They are passed on in order, so that whoever reads sees one stream.
Only when the first of them has come, and is the range that was asked for, the first answer is given
up: a server that knows no ranges goes on with that one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

import botocore.exceptions as aws

from taskrunner.data.objects.side_by_side import side_by_side

if TYPE_CHECKING:
    from botocore.response import StreamingBody

#: What one request asks for, and how many are under way or wait to be read.
PART = 4 << 20
_AT_ONCE = 4
#: Objects with fewer parts are read by one request.
_LEAST_PARTS = 8
_RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+|\*)")

#: Asks for an object, with more of a request: its range.
Get = Callable[[str], Any]


def is_worth_it(size: int, part: int) -> bool:
    """Whether what is left of an object is read by ranges."""
    return size >= _LEAST_PARTS * part


class RangedBody:
    """As the library's StreamingBody, as far as it is used here."""

    def __init__(
        self, first: StreamingBody, get: Get, *, size: int, etag: str, part: int = PART
    ) -> None:
        """`first` is the answer to a request for all of it."""
        self.first = first
        self._get = get
        self._end = size
        self._etag = etag
        #: How much of the first answer has been read, and is to be.
        self._offset, self._part = 0, part
        self._parts: Generator[bytes] | None = None
        self._kept = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Up to so many bytes; empty at the end. Raises the library's exceptions."""
        if self._parts is None:
            self._parts = cast("Generator[bytes]", self._begun())
        if not self._kept:
            self._kept = memoryview(next(self._parts, b""))
        data = self._kept[:size].tobytes()
        self._kept = self._kept[size:]
        return data

    def close(self) -> None:
        """Let nothing more be asked for."""
        if self._parts is not None:
            self._parts.close()
        self.first.close()

    def _begun(self) -> Iterator[bytes]:
        starts = range(self._part, self._end, self._part)
        found = side_by_side(self._range, starts, threads=_AT_ONCE, cost=lambda _: 1, most=_AT_ONCE)
        with closing(cast("Generator[bytes | None]", found)) as ranges:
            second: bytes | None = None
            while self._offset < self._part:
                data = self.first.read(min(self._part >> 3, self._part - self._offset))
                if not data:
                    return  # whoever reads sees that it is not all
                self._offset += len(data)
                yield data
                if second is None:
                    second = next(ranges, None)
                    if second is None:
                        break
            if second is not None:
                self.first.close()
                yield second
                # One that did not come is the end: whoever reads sees that it is not all.
                yield from takewhile(bool, cast("Iterator[bytes]", ranges))
                return
        yield from iter(lambda: self.first.read(self._part >> 3), b"")

    def _range(self, start: int) -> bytes | None:
        """A part; None where the answer is not what was asked for, or breaks off."""
        end = min(start + self._part, self._end)
        try:
            reply = range_reply(self._get, start, end, self._etag)
            if reply is None:
                return None
            with closing(reply["Body"]) as body:
                data: bytes = body.read()
        except (aws.BotoCoreError, aws.ClientError):
            return None
        return data if len(data) == end - start else None


def range_reply(get: Get, start: int, end: int, etag: str) -> Any:
    """The answer to a request for a range; None where it is another. Raises the library's."""
    reply = get(f"bytes={start}-{end - 1}")
    given = _RANGE.fullmatch(reply.get("ContentRange", ""))
    # Not every server looks at If-Match.
    if (
        given is None
        or (int(given[1]), int(given[2])) != (start, end - 1)
        or (reply.get("ETag") != etag)
    ):
        reply["Body"].close()
        return None
    return reply

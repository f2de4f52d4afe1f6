"""A large object's bytes into a file, by the threads that receive them, in any order.

Whoever passes bytes on in their order moves each of them three times: from the socket, to whoever
reads, into the file. Here each range has a thread that receives it into memory of its own, which is
used again, adds it up, and writes it where it belongs. What has come is told in order, so that a
check sees all of it, and whoever finds a range missing can go on from there by other means.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, cast

import botocore.exceptions as aws

from taskrunner.data.objects.base import AnyOrderWriter
from taskrunner.data.objects.s3_checks import BySections, Check, Section
from taskrunner.data.objects.s3_ranges import Get, range_reply
from taskrunner.data.objects.side_by_side import side_by_side

if TYPE_CHECKING:
    from botocore.response import StreamingBody

#: How many ranges are received at a time, each by memory of this size.
_AT_ONCE = 4
_PIECE = 1 << 20
#: What is received at a time is no longer than this, however large the parts of an object are.
_MOST = 64 << 20
#: What may come of a range that breaks off.
_BROKEN = (aws.BotoCoreError, aws.ClientError, HTTPException, OSError)


@dataclass(frozen=True, slots=True)
class _Range:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Came:
    """Of a range that is where it belongs: what it is added up to, if that was done apart."""

    section: Section | None


class Pouring:
    """An object's way into a file, from a place on.

    `first` is the answer to a request for all that is there behind `start`.
    """

    def __init__(
        self,
        first: StreamingBody,
        get: Get,
        target: AnyOrderWriter,
        *,
        start: int,
        size: int,
        etag: str,
        check: Check | None,
        about: int,
    ) -> None:
        """`size` is that of the whole object.

        `about`: how much is asked for at a time, if it is all the same to the check.
        """
        self._first = first
        self._get = get
        self._target = target
        self._start, self._size = start, size
        self._etag = etag
        #: Whether the first answer goes on where this has ended: a server that knows no ranges
        #: gives nothing else.
        self.goes_on = False
        self._check = check
        self._range = about
        #: The check, where it takes ranges apart.
        self._apart: BySections | None = None
        if isinstance(check, BySections) and 0 < check.step <= max(_MOST, about):
            self._apart = check
            self._range = max(about // check.step, 1) * check.step
        self._stop = threading.Event()
        self._spare: deque[memoryview] = deque()

    def run(self) -> Generator[int]:
        """How much more of it is in the file, and in the check, from the start on.

        Ends early where something has not come. Raises what the target raises.
        """
        ranges = [
            _Range(start, min(start + self._range, self._size))
            for start in range(self._start, self._size, self._range)
        ]
        found = cast(
            "Generator[_Came | None]",
            side_by_side(self._receive, ranges, threads=_AT_ONCE, ended=self._stop),
        )
        with closing(found):
            for wanted, came in zip(ranges, found, strict=True):
                if came is None:
                    if not self.goes_on:
                        self._first.close()
                    return
                self.goes_on = wanted.start == self._start
                if not self.goes_on:
                    self._first.close()
                self._add(wanted, came)
                self._target.settle(wanted.end - wanted.start)
                yield wanted.end - wanted.start

    def _add(self, wanted: _Range, came: _Came) -> None:
        if self._apart is not None:
            self._apart.join(came.section)
        elif self._check is not None:
            # What has to be seen in order is read back: from the kernel's memory, as a rule.
            piece = memoryview(bytearray(_PIECE))
            for start in range(wanted.start, wanted.end, _PIECE):
                part = piece[: min(_PIECE, wanted.end - start)]
                self._target.read_at(part, start)
                self._check.add(part)

    def _receive(self, wanted: _Range) -> _Came | None:
        """Write a range, and add it up; None where it is not what was asked for, or breaks off."""
        body = self._body(wanted)
        if body is None:
            return None
        receive, end = body
        section = self._apart.section() if self._apart is not None else None
        try:
            piece = self._spare.pop()
        except IndexError:
            piece = memoryview(bytearray(_PIECE))
        start, count = wanted.start, 1
        try:
            while count and start < wanted.end and not self._stop.is_set():
                part = piece[: min(_PIECE, wanted.end - start)]
                count = receive(part)
                if section is not None:
                    section.add(part[:count])
                self._target.write_at(part[:count], start)
                start += count
        finally:
            self._spare.append(piece)
            end(start == wanted.end)
        return _Came(section) if start == wanted.end else None

    def _body(
        self, wanted: _Range
    ) -> tuple[Callable[[memoryview], int], Callable[[bool], None]] | None:
        """What receives a range, and what ends that; it is told whether all of it has come."""
        if wanted.start == self._start:
            first: Any = self._first  # whose library does not say that it takes memory
            return _unbroken(first.readinto), lambda _is_whole: None
        try:
            reply = range_reply(self._get, wanted.start, wanted.end, self._etag)
        except _BROKEN:
            return None
        if reply is None:
            return None
        stream: Any = reply["Body"]._raw_stream
        below = getattr(stream, "_fp", None)
        if not isinstance(below, HTTPResponse):
            return _unbroken(stream.readinto), lambda _is_whole: stream.close()

        def end(is_whole: bool) -> None:
            if is_whole:
                stream.release_conn()
            else:
                stream.close()

        # That of urllib3 reads into memory of its own, and moves it.
        return _unbroken(below.readinto), end


def _unbroken(receive: Callable[[memoryview], int]) -> Callable[[memoryview], int]:
    """The same, with nothing where the connection breaks off."""

    def received(into: memoryview) -> int:
        try:
            return receive(into)
        except _BROKEN:
            return 0

    return received

"""A page of a log: its end, what stands before a page, or what follows a place in it.

While a task runs there are parts of its logs, whose names say which bytes they hold; at the end
there is the whole log. Of that the end is read by a range, however large it is; a place in it by
its number of bytes costs what stands before it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import unquote

from taskrunner.data.objects.base import ObjectInfo
from taskrunner.model.log_names import part_range, whole_name
from taskrunner.service.logs.blocks import (
    TRAILER,
    Blocks,
    inflate,
    inflated,
    last_blocks,
    whole_blocks,
    whole_to_the_end,
)

#: Compressed bytes that are looked at for a page: from the first to the last of these.
_WINDOWS = (64 << 10, 256 << 10, 1 << 20, 4 << 20)
#: A block that does not shrink at all, and what surrounds it.
_LARGEST_BLOCK = 140 << 10
_PIECE = 1 << 20
#: A line that is longer is cut between two pages.
_LONGEST_LINE = 64 << 10
#: Compressed bytes that are read at most to come to a place.
MOST_READ = 512 << 20


class LogStore(Protocol):
    """Where logs are."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose URI starts with the prefix, in key order."""
        ...

    def read_range(self, uri: str, start: int, size: int) -> bytes:
        """Some bytes of an object; fewer at its end."""
        ...


class TooFar(Exception):
    """The place is so far from the log's beginning that it is not looked for."""


class NotGzip(Exception):
    """What is there is no log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What stands before a page: up to a block, and so many bytes of it."""

    begin: int
    kept: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of a log."""

    text: bytes
    #: Where in the log it begins; None: that is not known without reading all before it.
    offset: int | None = None
    #: What stands before it; None: nothing, or it is to be asked for by its offset.
    before: Before | None = None
    #: Whether the log will not change any more.
    final: bool = False
    #: Whether this is the end of it, as far as it is pushed.
    last: bool = True

    @property
    def next_offset(self) -> int | None:
        """Where the next page begins."""
        return None if self.offset is None else self.offset + len(self.text)


class Log:
    """One log of an attempt, below the folder of all of them."""

    def __init__(
        self, store: LogStore, folder: str, name: str, *, most_read: int = MOST_READ
    ) -> None:
        self._most_read = most_read
        self._store = store
        found = {_name_of(info.uri): info for info in store.list(f"{folder}/")}
        #: Whether anything of the attempt was pushed.
        self.any = bool(found)
        self._whole = found.get(whole_name(name))
        self._uri = self._whole.uri if self._whole else folder
        self._parts = sorted(
            (
                (span, info.uri)
                for key, info in found.items()
                if (span := part_range(key, name)) is not None
            ),
        )

    # -- its end, and what stands before a page -------------------------------------------------

    def tail(self, limit: int) -> Page:
        """The end of the log."""
        if self._whole is None:
            end = self._parts[-1][0][1] if self._parts else 0
            return self.before_place(end, limit)
        size = self._whole.size
        trailer = self._store.read_range(self._uri, max(0, size - TRAILER), TRAILER)
        for window in _WINDOWS:
            if window >= size:
                break
            data = self._store.read_range(self._uri, size - window, window)
            found = last_blocks(data, limit, whole_to_the_end(trailer))
            if found is not None and len(found.text) >= limit:
                return self._of_blocks(found, size - window)
        return self._end_of_all(limit)

    def before(self, place: Before, limit: int) -> Page:
        """What stands before a page."""
        if self._whole is None:
            return Page(text=b"")
        kept = b""
        if place.kept:
            data = self._store.read_range(self._uri, place.begin, _LARGEST_BLOCK)
            kept = (inflate(data, raw=True, most=place.kept) or b"")[: place.kept]
        for window in _WINDOWS:
            start = max(0, place.begin - window)
            data = self._store.read_range(self._uri, start, place.begin - start)
            found = last_blocks(data, limit, whole_blocks)
            if found is not None and len(found.text) >= limit:
                return self._of_blocks(found, start, kept, last=False)
            if start == 0:
                text = inflate(data, raw=False)
                if text is None:
                    raise NotGzip(self._uri)
                return Page(text=text + kept, offset=0, final=True, last=False)
        raise NotGzip(self._uri)

    def _of_blocks(
        self, found: Blocks, start: int, kept: bytes = b"", *, last: bool = True
    ) -> Page:
        cut = found.text.find(b"\n", 0, _LONGEST_LINE) + 1
        return Page(
            text=found.text[cut:] + kept,
            before=Before(begin=start + found.begin, kept=cut),
            final=True,
            last=last,
        )

    def _end_of_all(self, limit: int) -> Page:
        """The end of a log that is small, or that no agent of ours has compressed."""
        held, passed = bytearray(), 0
        for piece in self._inflated():
            held += piece
            if (over := len(held) - limit - _PIECE) > 0:
                del held[:over]
                passed += over
        over = max(0, len(held) - limit)
        page = Page(text=bytes(held[over:]), offset=passed + over, final=True)
        return from_a_line(page) if page.offset else page

    # -- from a place on ------------------------------------------------------------------------

    def at(self, offset: int, limit: int) -> Page:
        """What follows a place. Raises TooFar."""
        page = self._from(offset, limit)
        return page if page.last else to_a_line(page)

    def before_place(self, offset: int, limit: int) -> Page:
        """What stands before a place. Raises TooFar."""
        start = max(0, offset - limit)
        page = self._from(start, offset - start)
        return from_a_line(page) if start else page

    def _from(self, offset: int, limit: int) -> Page:
        if self._whole is not None:
            text = b"".join(_some(self._inflated(), offset, limit + 1))
            return Page(text=text[:limit], offset=offset, final=True, last=len(text) <= limit)
        text, begin = b"", offset
        for (start, end), uri in self._parts:
            if end <= offset + len(text) or len(text) >= limit:
                continue
            if not text:
                # What is missing was left out of the log.
                begin = max(begin, start)
            elif start != begin + len(text):
                break
            text += self._part(uri, begin + len(text) - start, limit - len(text))
        end = self._parts[-1][0][1] if self._parts else 0
        return Page(text=text, offset=begin, last=begin + len(text) >= end)

    def pieces(self, offset: int, most: int) -> Iterator[tuple[int, bytes]]:
        """What follows a place, up to so many bytes, a piece at a time with its place.

        Raises TooFar.
        """
        if self._whole is not None:
            for text in _some(self._inflated(), offset, most):
                if text:
                    yield offset, text
                    offset += len(text)
            return
        end = offset + most
        while offset < end:
            page = self._from(offset, min(_PIECE, end - offset))
            if page.text and page.offset is not None:
                yield page.offset, page.text
                offset = page.offset + len(page.text)
            if page.last or not page.text:
                return

    def _part(self, uri: str, skip: int, limit: int) -> bytes:
        return b"".join(_some(inflated(self._pieces(uri)), skip, limit))

    def _inflated(self) -> Iterator[bytes]:
        try:
            yield from inflated(self._pieces(self._uri))
        except zlib.error:
            raise NotGzip(self._uri) from None

    def _pieces(self, uri: str) -> Iterator[bytes]:
        at = 0
        while piece := self._store.read_range(uri, at, _PIECE):
            yield piece
            at += len(piece)
            if at > self._most_read:
                raise TooFar(uri)


def _name_of(uri: str) -> str:
    name = uri.rpartition("/")[2]
    return unquote(name) if uri.startswith("file:") else name


def _some(pieces: Iterator[bytes], skip: int, limit: int) -> Iterator[bytes]:
    """So many bytes behind so many others."""
    for piece in pieces:
        kept = piece[skip : skip + limit]
        skip = max(0, skip - len(piece))
        limit -= len(kept)
        yield kept
        if not limit:
            return


def from_a_line(page: Page) -> Page:
    """The page without the end of a line that begins before it."""
    cut = page.text.find(b"\n", 0, _LONGEST_LINE) + 1
    offset = None if page.offset is None else page.offset + cut
    return Page(text=page.text[cut:], offset=offset, final=page.final, last=page.last)


def to_a_line(page: Page) -> Page:
    """The page without the beginning of a line that goes on behind it."""
    cut = page.text.rfind(b"\n") + 1
    if not cut or len(page.text) - cut > _LONGEST_LINE:
        return page
    return Page(text=page.text[:cut], offset=page.offset, final=page.final, last=page.last)

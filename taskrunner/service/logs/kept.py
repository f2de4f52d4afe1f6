"""A page of a log that an agent of this host keeps: the file itself, while it is written, too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from taskrunner.service.logs.pages import Before, Page, from_a_line, to_a_line

_PIECE = 1 << 20


class KeptLog:
    """One log of an attempt. It is there as soon as the attempt's folder is."""

    def __init__(self, path: Path, *, final: bool) -> None:
        """`final`: its attempt is over, so that nobody writes to it any more."""
        self._path = path
        self._final = final

    def tail(self, limit: int) -> Page:
        """The end of the log."""
        return self._before(None, limit)

    def at(self, offset: int, limit: int) -> Page:
        """What follows a place."""
        text, size = self._read(offset, limit)
        last = offset + len(text) >= size
        page = Page(text=text, offset=offset, final=self._final, last=last)
        return page if last else to_a_line(page)

    def before_place(self, offset: int, limit: int) -> Page:
        """What stands before a place."""
        return self._before(offset, limit)

    def before(self, _place: Before, _limit: int) -> Page:
        """What stands before a block: this has none, so that nobody was told of one."""
        return Page(text=b"", final=self._final)

    def pieces(self, offset: int, most: int) -> Iterator[tuple[int, bytes]]:
        """What follows a place, up to so many bytes, a piece at a time with its place."""
        end = offset + most
        while offset < end:
            text, _ = self._read(offset, min(_PIECE, end - offset))
            if not text:
                return
            yield offset, text
            offset += len(text)

    def _before(self, end: int | None, limit: int) -> Page:
        """What ends at a place, or (None) where the log ends now."""
        until = self._size() if end is None else end
        start = max(0, until - limit)
        text, size = self._read(start, until - start)
        last = start + len(text) >= size
        page = Page(text=text, offset=start, final=self._final, last=last)
        return from_a_line(page) if start else page

    def _size(self) -> int:
        return self._read(0, 0)[1]

    def _read(self, start: int, size: int) -> tuple[bytes, int]:
        """Some bytes, and how many there are; nothing was written where there is no file."""
        # A task may have put something else there: nothing is followed or waited for.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path, flags)
        except OSError:
            return b"", 0
        with os.fdopen(descriptor, "rb") as file:
            whole = os.fstat(descriptor).st_size
            return (os.pread(file.fileno(), size, min(start, whole)) if size else b""), whole

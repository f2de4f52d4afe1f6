"""The pages of memory that a process will write to, copied before it does.

After a fork both sides share every page until one writes to it; the kernel then copies it, which
takes some microseconds, and Python writes to a page by looking at an object on it. Processes that
do the same things write to the same pages: so one that has done them notes which, and those that
are forked later, and have the time, get their copies before they have anything to do.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
from array import array
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby

#: From Linux 5.14 on; an older one refuses it, and every page is copied when it is written to.
_MADV_POPULATE_WRITE = 23
#: See pagemap.rst in the kernel's documentation: what says that a page is there, is a file's, and
#: is this process's alone.
_PRESENT, _OF_A_FILE, _ALONE = 1 << 63, 1 << 61, 1 << 56
_WANTED = _PRESENT | _ALONE
_ENTRY = 8
_RUN = struct.Struct("=QQ")
_COUNT = struct.Struct("=Q")
_ROOM = 64 << 10
_libc = ctypes.CDLL(None, use_errno=True)
_libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class HotPages:
    """What one process notes, and those that are forked later from the same parent find."""

    def __init__(self, *, most: int = 2500) -> None:
        """To be made before the first fork. Whoever has more than `most` pages notes nothing."""
        self._shared = mmap.mmap(-1, _ROOM)
        self._most = most

    @property
    def known(self) -> bool:
        """Whether anything was noted."""
        return self._count() > 0

    def note(self) -> None:
        """Note the pages that this process has written to so far, unless some are known."""
        if self.known:
            return
        with suppress(OSError):  # a system without these files
            runs = list(_joined(_own_pages()))
            fits = _COUNT.size + len(runs) * _RUN.size <= _ROOM
            if fits and sum(end - start for start, end in runs) <= self._most:
                for number, run in enumerate(runs):
                    _RUN.pack_into(self._shared, _COUNT.size + number * _RUN.size, *run)
                # Last: whoever is killed before has noted nothing.
                _COUNT.pack_into(self._shared, 0, len(runs))

    def fetch(self) -> None:
        """Have this process's own copies of all that was noted."""
        for number in range(self._count()):
            start, end = _RUN.unpack_from(self._shared, _COUNT.size + number * _RUN.size)
            # What is not mapped here, or not to be written to, is refused and left as it is.
            size = (end - start) * mmap.PAGESIZE
            _libc.madvise(start * mmap.PAGESIZE, size, _MADV_POPULATE_WRITE)

    def _count(self) -> int:
        count: int = _COUNT.unpack_from(self._shared)[0]
        return count


def _own_pages() -> Iterator[int]:
    """The numbers of the private pages that no other process has, in order."""
    descriptor = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    try:
        for first, last in _writable():
            entries = array("Q")
            entries.frombytes(os.pread(descriptor, (last - first) * _ENTRY, first * _ENTRY))
            for number, entry in enumerate(entries, first):
                if entry & _WANTED == _WANTED and not entry & _OF_A_FILE:
                    yield number
    finally:
        os.close(descriptor)


def _writable() -> Iterator[tuple[int, int]]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123
        for line in maps:
            place, rights, _ = line.split(maxsplit=2)
            if rights.startswith("rw-p"):
                start, _, end = place.partition("-")
                yield int(start, 16) // mmap.PAGESIZE, int(end, 16) // mmap.PAGESIZE


def _joined(pages: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Runs of pages: the first of them, and the one after the last."""
    for _, run in groupby(enumerate(pages), key=lambda found: found[1] - found[0]):
        numbers = [number for _, number in run]
        yield numbers[0], numbers[-1] + 1

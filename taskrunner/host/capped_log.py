"""Logs whose middle may be left out: cutting them, and reading them with a note of the gap.

A program appends to its log for as long as it likes. Beyond a size, the middle of what it wrote is
given back to the file system (a hole): offsets stay true, its head and its newest part stay, and
the disk holds no more than the size. What is given back is written down first, in `<log>.gap`
beside it, and readers put one line in its place.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

#: Less than this is not worth a hole; a smaller limit is taken for it.
LEAST = 256 << 10
_ALIGN = 64 << 10
_CHUNK = 128 << 10
_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02
#: What the kernel says where a file system has no holes.
_NO_HOLES = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV}

_libc = ctypes.CDLL(None, use_errno=True)
_fallocate = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)
if _fallocate is not None:
    _fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Gap(NamedTuple):
    """The bytes that a log lacks; `said` of them are told of in the log itself already."""

    start: int
    end: int
    said: int = 0

    @property
    def left_out(self) -> int:
        """How many bytes its program wrote that it does not hold."""
        return self.end - self.start + self.said

    def within(self, start: int, end: int) -> tuple[int, int]:
        """The part of it between two offsets; empty (equal numbers) when there is none."""
        first = min(max(self.start, start), end)
        return first, max(min(self.end, end), first)


_NONE = Gap(0, 0)


def marker(left_out: int) -> bytes:
    """What a reader finds in place of bytes that were left out."""
    return b"\n... %d bytes left out by taskrunner's max_log_size ...\n" % left_out


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".gap")


def gap_of(path: Path) -> Gap:
    """The gap in a log; empty when the log is whole."""
    try:
        start, end, said = map(int, _record(path).read_bytes().split())
    except (OSError, ValueError):
        return _NONE
    return Gap(start, end, said)


def say_left_out(path: Path, left_out: int) -> None:
    """Write down that a log lacks bytes, of which it says so itself."""
    _record(path).write_bytes(b"%020d %020d %020d\n" % Gap(0, 0, left_out))


def pieces(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes between two offsets, with the marker in place of those that were left out."""
    with path.open("rb", buffering=0) as file:
        last = os.fstat(file.fileno()).st_size
        last = last if end is None else min(end, last)
        hole, after = gap_of(path).within(start, last)
        yield from _range(file.fileno(), start, hole)
        if after > hole:
            yield marker(after - hole)
        yield from _range(file.fileno(), after, last)


def _range(descriptor: int, position: int, end: int) -> Iterator[bytes]:
    while data := os.pread(descriptor, max(min(_CHUNK, end - position), 0), position):
        yield data
        position += len(data)


def copy_log(path: Path, write: Callable[[bytes], object]) -> None:
    """Write all that a log holds, with bounded memory."""
    for piece in pieces(path):
        write(piece)


def holes_work(path: Path) -> bool:
    """Whether the file system of a log that is still empty gives back the middle of a file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        _punch(descriptor, 0, _ALIGN)
    except OSError as error:
        return error.errno not in _NO_HOLES
    finally:
        os.close(descriptor)
    return True


def _punch(descriptor: int, start: int, end: int) -> None:
    if _fallocate is None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    if _fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, start, end - start) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Capped:
    """Keeps one log within its limit, by holes; `look` is called as often as the log may grow."""

    def __init__(self, path: Path, limit: int) -> None:
        limit = max(limit, LEAST)
        self.name = path.name
        self._path = path
        self._limit = limit
        self._head = _down(limit // 2)
        #: The newest bytes: at most so many, of which a slice goes when there are more.
        self._tail = limit - self._head
        self._slice = limit // 8
        self._gap = _NONE
        self._size = 0
        #: How much its program once took back of it, as far as that was seen.
        self.lost = 0
        self._log = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._gap_file: int | None = None

    def look(self) -> int:
        """Cut the middle of a log that is too long; returns the bytes until the next look."""
        size = os.fstat(self._log).st_size
        if size < self._size:
            self.lost = max(self.lost, self._size - size)
        self._size = size
        if size < self._gap.end:
            self._write(_NONE)  # its program began it anew, as a shell's `> /dev/stdout` does
        if size > self._limit and size - self._gap.end > self._tail:
            end = _down(size - self._tail + self._slice)
            start = max(self._gap.end, self._head)
            self._give_back(start, end)
        return max(self._limit - size, self._slice)

    def _give_back(self, start: int, end: int) -> None:
        """Record the gap, then free its blocks: a reader in between takes the bytes for lost."""
        try:
            self._write(Gap(self._head, end))
        except OSError:  # the disk is full: only what is given back makes room to write it down
            _punch(self._log, start, end)
            self._write(Gap(self._head, end))
        else:
            _punch(self._log, start, end)

    def close(self) -> None:
        """Look for the last time."""
        with suppress(OSError):
            self.look()
        os.close(self._log)
        if self._gap_file is not None:
            os.close(self._gap_file)

    def _write(self, gap: Gap) -> None:
        if self._gap_file is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
            self._gap_file = os.open(_record(self._path), flags, 0o600)
        os.pwrite(self._gap_file, b"%020d %020d %020d\n" % gap, 0)
        self._gap = gap


def _down(offset: int) -> int:
    return offset - offset % _ALIGN

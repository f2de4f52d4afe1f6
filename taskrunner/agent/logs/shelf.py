"""The list of logs kept on this host, oldest first: a queue in a file, with totals in memory.

A line is added when an attempt's logs may go, and taken when they do. What was taken stands at the
front of the file until enough has gathered there; after a crash it is there again, and its folder
is not.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskrunner.host import durable

#: Bytes of lines that were taken, after which the file is written anew.
_STALE = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The logs of one attempt."""

    #: Seconds since 1970, when they were put here.
    at: float
    size: int
    #: Whether they are in the store too.
    pushed: bool
    #: Their folder, below that of all logs.
    folder: str

    def encode(self) -> str:
        """One line; folders have no line breaks, see `safe_name`."""
        return f"{self.at:.0f} {self.size} {self.pushed:d} {self.folder}"

    @classmethod
    def decode(cls, line: str) -> Kept | None:
        """The inverse; None for a line that is damaged."""
        try:
            at, size, pushed, folder = line.rstrip("\n").split(" ", 3)
            return cls(at=float(at), size=int(size), pushed=pushed == "1", folder=folder)
        except ValueError:
            return None


class Shelf:
    """The queue. Safe for threads; raises OSError when the file cannot be written."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self.size = 0
        self._path = path
        self._lock = threading.Lock()
        #: Where in the file the oldest line begins that is not taken yet.
        self._front = 0
        with suppress(FileNotFoundError), path.open(errors="replace") as file:
            for line in file:
                self._count(Kept.decode(line), 1)

    def put(self, kept: Kept) -> None:
        """Add the newest."""
        with self._lock:
            durable.append_line(self._path, kept.encode(), sync=False)
            self._count(kept, 1)

    def oldest(self) -> Kept | None:
        """The oldest that is still here."""
        with self._lock:
            while (line := self._first_line()) is not None:
                if (kept := _decoded(line)) is not None:
                    return kept
                self._front += len(line)
            return None

    def take(self) -> None:
        """Remove the oldest."""
        with self._lock:
            line = self._first_line()
            if line is None:
                return
            self._front += len(line)
            self._count(_decoded(line), -1)
            if self._front >= _STALE:
                self._rewrite(b"".join(self._lines()))

    def all(self) -> list[Kept]:
        """Everything that is here, oldest first."""
        with self._lock:
            return [kept for line in self._lines() if (kept := _decoded(line)) is not None]

    def drop(self, gone: Collection[Kept]) -> None:
        """Remove these, wherever they stand."""
        with self._lock:
            left = [line for line in self._lines() if _decoded(line) not in gone]
            if gone and self._rewrite(b"".join(left)):
                for kept in gone:
                    self._count(kept, -1)

    def _lines(self) -> list[bytes]:
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._front)
            return file.readlines()
        return []

    def _first_line(self) -> bytes | None:
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._front)
            return file.readline() or None
        return None

    def _rewrite(self, data: bytes) -> bool:
        """Whether it was done; on a full disk it stays as it is, which does no harm."""
        with suppress(OSError):
            durable.write_atomically(self._path, data, sync=False)
            self._front = 0
            return True
        return False

    def _count(self, kept: Kept | None, sign: int) -> None:
        if kept is not None:
            self.count += sign
            self.size += sign * kept.size


def _decoded(line: bytes) -> Kept | None:
    return Kept.decode(line.decode(errors="replace"))


def size_on_disk(folder: Path) -> int:
    """What the files of a folder take; holes take nothing."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sum(entry.stat(follow_symlinks=False).st_blocks * 512 for entry in entries)
    return 0

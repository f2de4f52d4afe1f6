"""Whether the files of an open SQLite store are still the ones that were opened.

SQLite does not look: it goes on with a file that was deleted or moved, and all of it is gone when
the process ends. The names are looked at only; whoever opens a database's file a second time and
closes it takes SQLite's locks away.
"""

from __future__ import annotations

import os
from pathlib import Path

from taskrunner.errors import StoreLost

WAL, SHM = "-wal", "-shm"
_HEADER = 100

_Identity = tuple[int, int]


class FileGuard:
    """Looks after the database, its write-ahead log and the index of that."""

    def __init__(self, path: Path) -> None:
        """Raises OSError when there is no such file."""
        self._path = path
        self._files = [path, with_suffix(path, WAL), with_suffix(path, SHM)]
        # Open to the end, after SQLite's own: see above.
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._known: list[_Identity] = []
        #: What `check` looks at, in the form in which that is quickest: each transaction does it.
        self._expected: list[tuple[str, _Identity]] = []
        self._sizes: list[int] = []

    def remember(self) -> None:
        """Take the files for the right ones, as they are now. Raises StoreLost."""
        held = os.fstat(self._descriptor)
        found = [self._look(file) for file in self._files]
        self._known = [_identity(one) for one in found]
        if self._known[0] != _identity(held):
            raise StoreLost(f"the service's database at {self._path} was replaced just now")
        self._expected = [*zip(map(str, self._files), self._known, strict=True)]
        self.take_sizes()

    def check(self) -> None:
        """Raises StoreLost when a file is not there, or is another one."""
        try:
            # Of a Path the same takes three times as long.
            if all(_identity(os.stat(name)) == known for name, known in self._expected):  # noqa: PTH116
                return
        except OSError:
            pass  # looked at again below, where it is said what is wrong
        for file, known in zip(self._files, self._known, strict=False):
            if _identity(self._look(file)) != known:
                raise StoreLost(
                    f"{_what(file, self._path)} was replaced by another file while the service ran"
                )

    def has_shrunk(self) -> bool:
        """Whether a file is smaller than when `take_sizes` was called; that may be well."""
        return bool(self.cut())

    def cut(self) -> str | None:
        """That a file is smaller than it was, for when that is not well."""
        for file, before in zip(self._files, self._sizes, strict=False):
            if (found := self._look(file).st_size) < before:
                return self._was_cut(file, found, before)
        return None

    def take_sizes(self) -> None:
        """Take the files for whole, as they are now."""
        self._sizes = [self._look(file).st_size for file in self._files[:2]]

    def check_database(self, page_size: int) -> None:
        """Raises StoreLost when the database lacks its end; nobody may write meanwhile."""
        header = os.pread(self._descriptor, _HEADER, 0)
        pages = int.from_bytes(header[28:32], "big")
        wanted = pages * page_size if len(header) == _HEADER else _HEADER
        self._check_size(self._path, wanted)

    def check_log(self, pages: int, page_size: int) -> None:
        """Raises StoreLost when the log lacks its end; nobody may write meanwhile."""
        # The log's header, and a header for each page in it.
        self._check_size(self._files[1], 32 + pages * (page_size + 24) if pages > 0 else 0)

    def _check_size(self, file: Path, wanted: int) -> None:
        if (found := self._look(file).st_size) < wanted:
            raise StoreLost(self._was_cut(file, found, wanted))

    def _was_cut(self, file: Path, found: int, wanted: int) -> str:
        return (
            f"{_what(file, self._path)} was cut short while the service ran: it has {found} bytes "
            f"of {wanted}"
        )

    def is_only_without_log(self, page_size: int) -> bool:
        """Whether nothing is wrong but that the log is not in place. Raises StoreLost."""
        if _identity(self._look(self._path)) != self._known[0]:
            return False
        self.check_database(page_size)
        try:
            return _identity(self._look(self._files[1])) != self._known[1]
        except StoreLost:
            return True

    def files(self) -> list[Path]:
        """The files that are there."""
        return [file for file in self._files if file.exists()]

    def close(self) -> None:
        """To be called once SQLite has closed its own, or never will."""
        os.close(self._descriptor)

    def _look(self, file: Path) -> os.stat_result:
        try:
            return file.stat()
        except FileNotFoundError:
            raise StoreLost(
                f"{_what(file, self._path)} is gone: it was deleted or moved while the service ran"
            ) from None
        except OSError as error:
            raise StoreLost(
                f"{_what(file, self._path)} cannot be seen any more: {error.strerror}"
            ) from None


def with_suffix(path: Path, suffix: str) -> Path:
    """The name of a file that SQLite keeps beside a database."""
    return path.with_name(path.name + suffix)


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _what(file: Path, path: Path) -> str:
    if file == path:
        return f"the service's database at {path}"
    return f"{file}, a part of the service's database,"

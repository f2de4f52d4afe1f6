"""Which files SQLite may open for a definition, which can name more of them than its database.

SQLite opens files by their paths, when it likes: the database, its journals, what is attached.
With a user for tasks, all of it happens with that user's rights. Without one the database must lie
where it may; what it names besides is refused.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG, S_IWOTH
from urllib.parse import quote

from taskrunner.data.objects.local import SQLITE_SUFFIXES
from taskrunner.errors import PathNotAllowed
from taskrunner.host.local_files import LocalFiles

#: What a journal ends with that names a journal of several databases, to be read and removed.
_NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")
#: Databases that are no files; VACUUM uses the first.
_NO_FILES = ("", ":memory:")
#: PRAGMAs that say where files are.
_PLACES = frozenset({"temp_store_directory", "data_store_directory"})


class SqliteFiles:
    """Opens one database, and watches what its statements name."""

    def __init__(self, path: Path, local: LocalFiles) -> None:
        self._path = path
        self._local = local
        #: The file that a statement wanted and may not have.
        self.refused: str | None = None

    def open(self, *, timeout_s: float) -> sqlite3.Connection:
        """Open the database, which makes it; its rights must be held by the caller.

        Raises sqlite3.Error, OSError, PathNotAllowed.
        """
        if not self._local.bounded:
            return _connect(self._path, timeout_s)
        real = self._local.real(self._path)
        self._check_siblings(real)
        before = dict(_open_files())
        connection = _connect(real, timeout_s)
        try:
            self._check_opened(connection, real, before)
        except BaseException:
            connection.close()
            raise
        connection.set_authorizer(self._allows)
        return connection

    def refusal(self) -> PathNotAllowed | None:
        """Why a statement was not run, if that was for a file."""
        if self.refused is None:
            return None
        reason = "without run_as_user, SQL opens no files besides its database"
        return self._error(self.refused, reason)

    def _allows(self, action: int, name: str | None, *_others: str | None) -> int:
        # VACUUM INTO attaches its file. The name is None where it is not known before it is run.
        if action == sqlite3.SQLITE_ATTACH and name not in _NO_FILES:
            self.refused = name or "a file that the statement computes"
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_PRAGMA and (name or "").lower() in _PLACES:
            self.refused = f"PRAGMA {name}"
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    def _check_siblings(self, real: Path) -> None:
        """Refuse journals that may be forged: SQLite writes, and removes, what they say."""
        listed = self._path in self._local.folders  # the operator's own choice, by its name
        if not listed and real.parent.stat().st_mode & S_IWOTH:
            reason = "every user of this host can write to its folder, and forge a journal there"
            raise self._error(str(self._path), reason)
        trusted = {0, os.geteuid(), *(file.st_uid for file in _there(real))}
        for suffix in SQLITE_SUFFIXES:
            if real.with_name(real.name + suffix).is_symlink():
                raise self._error(f"{self._path}{suffix}", "it is a link")
            if any(file.st_uid not in trusted for file in _there(Path(f"{real}{suffix}"))):
                raise self._error(f"{self._path}{suffix}", "it is another user's")
        journal = real.with_name(f"{real.name}-journal")
        if journal.is_file() and _end_of(journal) == _NAMES_ANOTHER:
            raise self._error(str(journal), "it names files of other databases")

    def _check_opened(
        self, connection: sqlite3.Connection, real: Path, before: dict[int, str]
    ) -> None:
        """Hold what was opened to what was looked at: links may have been changed in between."""
        (_, _, named), *_ = connection.execute("PRAGMA database_list").fetchall()
        # A second connection may share the descriptor of the first.
        now = dict(_open_files())
        new = {file for number, file in now.items() if before.get(number) != file}
        strange = {file for file in new if Path(file).name == real.name} - {str(real)}
        if named != str(real) or str(real) not in now.values() or strange:
            raise self._error(str(self._path), "what it leads to was changed while it was opened")

    def _error(self, path: str, reason: str) -> PathNotAllowed:
        return PathNotAllowed(path, [str(folder) for folder in self._local.folders], reason=reason)


def _there(path: Path) -> Iterator[os.stat_result]:
    """What is known of a file, if there is one."""
    with suppress(FileNotFoundError):
        yield path.lstat()


def _connect(path: Path, timeout_s: float) -> sqlite3.Connection:
    name = f"file:{quote(str(path))}"
    return sqlite3.connect(name, uri=True, timeout=timeout_s, isolation_level=None)


def _end_of(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_NAMES_ANOTHER)))
        return file.read()


def _open_files() -> Iterator[tuple[int, str]]:
    """Descriptors of this process that are of regular files, and where those are."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  it is changed by being listed
        link = Path("/proc/self/fd", name)
        try:
            if S_ISREG(link.stat().st_mode):
                yield int(name), str(link.readlink())
        except OSError:
            continue

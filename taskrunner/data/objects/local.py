"""Objects as files: a folder that stands for S3, and plain local paths.

In the folder, bucket b and key k are the file `root/b/k`; a bucket comes into being with its
first object. Bytes go into a file without a name, or with a hidden one where the file system
knows no nameless files, and only a finished file gets the object's name. What a killed process
left behind is therefore never listed, and on the usual file systems does not exist.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO
from urllib.parse import quote

from taskrunner.data.claims import Claim
from taskrunner.data.objects.base import ObjectInfo, ObjectReader, ObjectWriter
from taskrunner.data.objects.local_marks import not_superseded
from taskrunner.data.objects.location import Location, unusable
from taskrunner.data.objects.write_back import WriteBack
from taskrunner.data.objects.write_behind import WriteBehind
from taskrunner.errors import ErrorId, PathNotAllowed, TaskError
from taskrunner.host.local_files import ANYWHERE, LocalFiles

CHUNK = 1 << 20
#: How many files of a folder are looked at in one go.
_AT_ONCE = 1000
_SUFFIX = ".taskrunner-part"
#: S3 knows keys such as `a//b`, which definitions make of `#{myFolder}/x` where the value of
#: myFolder ends in a slash. No folder has an empty name: this one stands for it.
_EMPTY_PART = "%2F"
#: Of a database `x` SQLite reads `x-journal` and so on, which may name further files.
SQLITE_SUFFIXES = ("-journal", "-wal", "-shm")
#: What the kernel says where a file system has no nameless files.
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}
#: A folder is no object, and what lies below an object is none either.
_NOTHING_THERE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
_ERROR_IDS = {
    errno.ENOENT: ErrorId.NOT_FOUND,
    errno.EACCES: ErrorId.ACCESS_DENIED,
    errno.EPERM: ErrorId.ACCESS_DENIED,
    errno.EROFS: ErrorId.ACCESS_DENIED,
    errno.ENOSPC: ErrorId.STORAGE_FULL,
    errno.EDQUOT: ErrorId.STORAGE_FULL,
    errno.ENAMETOOLONG: ErrorId.INVALID_FIELD,
    errno.EEXIST: ErrorId.INVALID_FIELD,
    errno.ENOTDIR: ErrorId.INVALID_FIELD,
    errno.EISDIR: ErrorId.INVALID_FIELD,
}


class _Reader:
    """A file whose failures are told as the object's."""

    def __init__(self, file: BinaryIO, uri: str) -> None:
        self._file = file
        self._uri = uri

    def read(self, size: int = -1, /) -> bytes:
        with _problems(self._uri, "read"):
            return self._file.read(size)


class _Writer:
    """The same of one that is written."""

    def __init__(self, file: WriteBehind, descriptor: int, uri: str) -> None:
        """`descriptor` is the file's own: what is put somewhere goes past `file`."""
        self._file = file
        self._descriptor = descriptor
        self._uri = uri
        self.settle = WriteBack(descriptor).written

    def write(self, data: bytes, /) -> int:
        with _problems(self._uri, "write"):
            return self._file.write(data)

    def write_at(self, data: memoryview, start: int, /) -> None:
        with _problems(self._uri, "write"):
            while data:
                count = os.pwrite(self._descriptor, data, start)
                data, start = data[count:], start + count

    def read_at(self, into: memoryview, start: int, /) -> None:
        with _problems(self._uri, "write"):
            while into:
                count = os.preadv(self._descriptor, [into], start)
                if not count:
                    raise OSError(errno.EIO, "what was written there is gone")
                into, start = into[count:], start + count


class FileBackend:
    """Objects as files at their own paths: `file:///path` and `/path`."""

    def __init__(
        self,
        *,
        nameless: bool = True,
        local: LocalFiles = ANYWHERE,
        claim: Claim | None = None,
    ) -> None:
        """`local` says which files may be opened, and with whose rights; `claim`, for whom."""
        self._nameless = nameless
        self._local = local
        self._claim = claim

    def path(self, location: Location) -> Path:
        """The file of a location; raises PermanentTaskError when it cannot be one."""
        if not location.is_object:
            raise unusable(location.uri, "it names a folder, wanted an object")
        return self._path(location)

    def _path(self, location: Location) -> Path:
        return Path(location.key)

    def _prefix(self, prefix: Location) -> tuple[Path, str, Callable[[str], str]]:
        """Folder to walk, what names in it start with, and how a name below it becomes a URI."""
        folder, _, start = prefix.key.rpartition("/")
        encode = quote if prefix.uri.startswith("file:") else str
        scheme = "file://" if prefix.uri.startswith("file:") else ""
        return Path(folder or "/"), start, lambda name: scheme + encode(f"{folder}/{name}")

    @contextmanager
    def open_read(self, location: Location) -> Iterator[ObjectReader]:
        """Stream a file."""
        path = self.path(location)
        with _problems(location.uri, "read"):
            file = os.fdopen(self._local.open(path), "rb")
        with file:
            yield _Reader(file, location.uri)

    def read_range(self, location: Location, start: int, size: int) -> bytes:
        """Some bytes of a file."""
        path = self.path(location)
        with _problems(location.uri, "read"):
            file = os.fdopen(self._local.open(path), "rb")
            with file:
                file.seek(start)
                return file.read(size)

    @contextmanager
    def open_write(
        self, location: Location, *, encrypt: bool | None = None
    ) -> Iterator[ObjectWriter]:
        """Write a file whole or not at all; `encrypt` means nothing here."""
        path = self.path(location)
        self._check_name(location, path.name)
        with _problems(location.uri, "write"):
            folder = self._local.parent(path, make=True)
        hidden = f".{os.urandom(12).hex()}{_SUFFIX}"
        try:
            with _problems(location.uri, "write"), self._local.rights():
                if _is_folder(path.name, folder):
                    raise unusable(
                        location.uri, "there are objects below it, and a folder of that name"
                    )
                file = _unfinished(folder, hidden, nameless=self._nameless)
            with file, closing(WriteBehind(file)) as behind:
                yield _Writer(behind, file.fileno(), location.uri)
                with _problems(location.uri, "write"):
                    behind.finish()
                with (
                    _problems(location.uri, "write"),
                    self._local.rights(),
                    not_superseded(self._claim, location.uri, file, folder, path.name),
                ):
                    _publish(file, folder, hidden, path.name)
        finally:
            with suppress(OSError), self._local.rights():
                os.unlink(hidden, dir_fd=folder)
            os.close(folder)

    def _check_name(self, location: Location, name: str) -> None:
        """Refuse what SQLite would take for its own: it trusts the paths in such files."""
        if self._local.bounded and name.endswith(SQLITE_SUFFIXES):
            raise unusable(location.uri, "names that end so stand for SQLite's own files")

    def stat(self, location: Location) -> ObjectInfo | None:
        """A file's size and time; None for folders and for nothing."""
        if not location.is_object:
            return None
        try:
            status = self._local.stat(self.path(location))
        except _NOTHING_THERE:
            return None
        except OSError as error:
            raise _task_error(location.uri, "look at", error) from error
        return None if S_ISDIR(status.st_mode) else _info(location.uri, status)

    def list(self, prefix: Location) -> Iterator[ObjectInfo]:
        """Walk the folder in the order that S3 lists keys."""
        folder, start, uri_of = self._prefix(prefix)
        with ExitStack() as open_folders:
            with _problems(prefix.uri, "list"):
                try:
                    top = _opened(self._local.open_folder(folder), open_folders)
                except _NOTHING_THERE:
                    return
            for name, status in self._statuses(prefix.uri, _walk(top, "", start)):
                yield _info(uri_of(name), status)

    def _statuses(self, uri: str, walk: _Walk) -> Iterator[tuple[str, os.stat_result]]:
        """Name and status of every file; a few at a time, since rights last as long as a block."""
        while True:
            with _problems(uri, "list"), self._local.rights():
                found = [
                    (name, self._status(folder, entry))
                    for name, folder, entry in islice(walk, _AT_ONCE)
                ]
            yield from ((name, status) for name, status in found if status is not None)
            if not found:
                return

    def _status(self, folder: int, entry: os.DirEntry[str]) -> os.stat_result | None:
        """None for what is no file, has gone meanwhile, or leads where no task may go."""
        try:
            if not (self._local.bounded and entry.is_symlink()):
                return entry.stat() if entry.is_file() else None
            status = self._local.stat(Path(f"/proc/self/fd/{folder}") / entry.name)
        except (FileNotFoundError, PathNotAllowed):
            return None
        return status if S_ISREG(status.st_mode) else None

    def copy(
        self,
        source: Location,
        target: Location,
        *,
        encrypt: bool | None = None,
        known: ObjectInfo | None = None,
    ) -> int:
        """Copy a file's bytes."""
        size = 0
        with self.open_read(source) as reader, self.open_write(target) as writer:
            while chunk := reader.read(CHUNK):
                size += writer.write(chunk)
        return size

    def delete(self, location: Location) -> None:
        """Remove a file."""
        path = self.path(location)
        with _problems(location.uri, "delete"), suppress(*_NOTHING_THERE):
            folder = self._local.parent(path)
            try:
                with self._local.rights():
                    os.unlink(path.name, dir_fd=folder)
            finally:
                os.close(folder)


class FolderBackend(FileBackend):
    """A folder that stands for S3."""

    def __init__(
        self,
        root: Path,
        *,
        nameless: bool = True,
        claim: Claim | None = None,
        local: LocalFiles = ANYWHERE,
    ) -> None:
        super().__init__(nameless=nameless, claim=claim, local=local)
        self._root = root

    def _path(self, location: Location) -> Path:
        return self._root / location.bucket / self._checked(location, location.key)

    def _prefix(self, prefix: Location) -> tuple[Path, str, Callable[[str], str]]:
        folder, _, start = self._checked(prefix, prefix.key).rpartition("/")
        above, slash, _ = prefix.key.rpartition("/")
        base = f"s3://{prefix.bucket}/{above}{slash}"
        return self._root / prefix.bucket / folder, start, lambda name: base + _key_of(name)

    @staticmethod
    def _checked(location: Location, key: str) -> str:
        """The key as a path below its bucket. Raises TaskError for one that can be none."""
        segments = key.removesuffix("/").split("/") if key else []
        if location.bucket in {".", ".."} or location.bucket.startswith("."):
            raise unusable(location.uri, "a bucket's name cannot start with a dot")
        if any(segment in {_EMPTY_PART, ".", ".."} for segment in segments):
            raise unusable(
                location.uri,
                f"in a local folder no part of a key may be '.', '..' or {_EMPTY_PART!r}",
            )
        if any(_is_hidden(segment) for segment in segments):
            raise unusable(
                location.uri, f"names that end in {_SUFFIX} stand for unfinished objects"
            )
        *folders, name = key.split("/")
        return "/".join((*(part or _EMPTY_PART for part in folders), name))


def _key_of(path: str) -> str:
    """The key whose path this is."""
    return "/".join("" if part == _EMPTY_PART else part for part in path.split("/"))


def _is_folder(name: str, folder: int) -> bool:
    with suppress(FileNotFoundError):
        return S_ISDIR(os.stat(name, dir_fd=folder).st_mode)
    return False


def _unfinished(folder: int, hidden: str, *, nameless: bool) -> BinaryIO:
    """A new file in the object's folder; it has the hidden name where it must have one."""
    if nameless and hasattr(os, "O_TMPFILE"):
        flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
        try:
            return os.fdopen(os.open(".", flags, 0o666, dir_fd=folder), "w+b")
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
    return os.fdopen(os.open(hidden, flags, 0o666, dir_fd=folder), "w+b")


def _publish(file: BinaryIO, folder: int, hidden: str, name: str) -> None:
    """Give a finished file its name; it replaces an older one at once."""
    file.flush()
    os.fsync(file.fileno())
    if not os.fstat(file.fileno()).st_nlink:
        # A nameless file cannot replace another, so it gets a hidden name first. The folder's
        # descriptor for the source is there because only then does Python follow the link in /proc.
        source = f"/proc/self/fd/{file.fileno()}"
        os.link(source, hidden, src_dir_fd=folder, dst_dir_fd=folder)
    os.replace(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    # What leads to the folder says nothing to the disk.
    listing = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(listing)
    finally:
        os.close(listing)


#: A file's name below the folder that is walked, the folder that it is in, and its entry there.
_Walk = Iterator[tuple[str, int, os.DirEntry[str]]]


def _opened(descriptor: int, until: ExitStack) -> int:
    until.callback(os.close, descriptor)
    return descriptor


def _walk(folder: int, base: str, start: str) -> _Walk:
    """All that is no folder; links to folders are not followed, whoever puts them there."""
    with os.scandir(folder) as entries:
        found = sorted((e for e in entries if e.name.startswith(start)), key=_key_order)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            with ExitStack() as open_folders:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                try:
                    below = _opened(os.open(entry.name, flags, dir_fd=folder), open_folders)
                except _NOTHING_THERE:
                    continue
                yield from _walk(below, f"{base}{entry.name}/", "")
        elif not _is_hidden(entry.name):
            yield base + entry.name, folder, entry


def _key_order(entry: os.DirEntry[str]) -> bytes:
    # S3 orders whole keys by their bytes, in which a folder's name goes on with a slash.
    name = f"{_key_of(entry.name)}/" if entry.is_dir(follow_symlinks=False) else entry.name
    return os.fsencode(name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and name.endswith(_SUFFIX)


def _info(uri: str, status: os.stat_result) -> ObjectInfo:
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return ObjectInfo(uri=uri, size=status.st_size, modified=modified)


@contextmanager
def _problems(uri: str, verb: str) -> Iterator[None]:
    """Tell the system's errors as the object's."""
    try:
        yield
    except OSError as error:
        raise _task_error(uri, verb, error) from error


def _task_error(uri: str, verb: str, error: OSError) -> TaskError:
    error_id = _ERROR_IDS.get(error.errno or 0, ErrorId.ACTIVITY_FAILED)
    if isinstance(error, _NOTHING_THERE) and verb == "read":
        message = f"cannot read {uri}: there is no such object"
        return TaskError(message, error_id=ErrorId.NOT_FOUND)
    reason = error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    return TaskError(f"cannot {verb} {uri}: {reason}{where}", error_id=error_id)

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
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from stat import S_ISDIR
from typing import BinaryIO
from urllib.parse import quote

from taskrunner.data.objects.base import ObjectInfo, ObjectReader, ObjectWriter
from taskrunner.data.objects.location import Location, unusable
from taskrunner.errors import ErrorId, TaskError
from taskrunner.host.users import Rights

CHUNK = 1 << 20
#: How many files of a folder are looked at in one go.
_AT_ONCE = 1000
_SUFFIX = ".taskrunner-part"
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


class _Stream:
    """A file whose failures are told as the object's."""

    def __init__(self, file: BinaryIO, uri: str) -> None:
        self._file = file
        self._uri = uri

    def read(self, size: int = -1, /) -> bytes:
        with _problems(self._uri, "read"):
            return self._file.read(size)

    def write(self, data: bytes, /) -> int:
        with _problems(self._uri, "write"):
            return self._file.write(data)


class FileBackend:
    """Objects as files at their own paths: `file:///path` and `/path`."""

    def __init__(self, *, nameless: bool = True, rights: Rights = nullcontext) -> None:
        """`rights` are those with which files are looked for, opened and given their names."""
        self._nameless = nameless
        self._rights = rights

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
        with _problems(location.uri, "read"), self._rights():
            file = path.open("rb")
        with file:
            yield _Stream(file, location.uri)

    @contextmanager
    def open_write(
        self, location: Location, *, encrypt: bool | None = None
    ) -> Iterator[ObjectWriter]:
        """Write a file whole or not at all; `encrypt` means nothing here."""
        path = self.path(location)
        with _problems(location.uri, "write"), self._rights():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise unusable(
                    location.uri, "there are objects below it, and a folder of that name"
                )
            file, hidden = _unfinished(path, nameless=self._nameless)
        try:
            with file:
                yield _Stream(file, location.uri)
                with _problems(location.uri, "write"), self._rights():
                    _publish(file, hidden, path)
        finally:
            with suppress(OSError), self._rights():
                hidden.unlink(missing_ok=True)

    def stat(self, location: Location) -> ObjectInfo | None:
        """A file's size and time; None for folders and for nothing."""
        if not location.is_object:
            return None
        try:
            path = self.path(location)
            with self._rights():
                status = path.stat()
        except _NOTHING_THERE:
            return None
        except OSError as error:
            raise _task_error(location.uri, "look at", error) from error
        return None if S_ISDIR(status.st_mode) else _info(location.uri, status)

    def list(self, prefix: Location) -> Iterator[ObjectInfo]:
        """Walk the folder in the order that S3 lists keys."""
        folder, start, uri_of = self._prefix(prefix)
        for name, status in self._statuses(prefix.uri, folder, start):
            yield _info(uri_of(name), status)

    def _statuses(self, uri: str, folder: Path, start: str) -> Iterator[tuple[str, os.stat_result]]:
        """Name and status of every file; a few at a time, since rights last as long as a block."""
        walk = _walk(folder, "", start)
        while True:
            with _problems(uri, "list"), self._rights():
                found = [(name, _status(entry)) for name, entry in islice(walk, _AT_ONCE)]
            yield from ((name, status) for name, status in found if status is not None)
            if not found:
                return

    def copy(self, source: Location, target: Location, *, encrypt: bool | None = None) -> int:
        """Copy a file's bytes."""
        size = 0
        with self.open_read(source) as reader, self.open_write(target) as writer:
            while chunk := reader.read(CHUNK):
                size += writer.write(chunk)
        return size

    def delete(self, location: Location) -> None:
        """Remove a file."""
        with _problems(location.uri, "delete"), suppress(*_NOTHING_THERE), self._rights():
            self.path(location).unlink()


class FolderBackend(FileBackend):
    """A folder that stands for S3."""

    def __init__(self, root: Path, *, nameless: bool = True) -> None:
        super().__init__(nameless=nameless)
        self._root = root

    def _path(self, location: Location) -> Path:
        return self._root / location.bucket / self._checked(location, location.key)

    def _prefix(self, prefix: Location) -> tuple[Path, str, Callable[[str], str]]:
        folder, slash, start = self._checked(prefix, prefix.key).rpartition("/")
        base = f"s3://{prefix.bucket}/{folder}{slash}"
        return self._root / prefix.bucket / folder, start, lambda name: base + name

    @staticmethod
    def _checked(location: Location, key: str) -> str:
        segments = key.removesuffix("/").split("/") if key else []
        if location.bucket in {".", ".."} or location.bucket.startswith("."):
            raise unusable(location.uri, "a bucket's name cannot start with a dot")
        if any(segment in {"", ".", ".."} for segment in segments):
            raise unusable(
                location.uri, "in a local folder no part of a key may be empty, '.' or '..'"
            )
        if any(_is_hidden(segment) for segment in segments):
            raise unusable(
                location.uri, f"names that end in {_SUFFIX} stand for unfinished objects"
            )
        return key


def _unfinished(path: Path, *, nameless: bool) -> tuple[BinaryIO, Path]:
    """A new file in the object's folder, and the hidden name that it has or will have."""
    hidden = path.with_name(f".{os.urandom(12).hex()}{_SUFFIX}")
    if nameless and hasattr(os, "O_TMPFILE"):
        try:
            descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
            return os.fdopen(descriptor, "w+b"), hidden
        except OSError as error:
            if error.errno not in _NO_NAMELESS:
                raise
    return hidden.open("xb"), hidden


def _publish(file: BinaryIO, hidden: Path, path: Path) -> None:
    """Give a finished file its name; it replaces an older one at once."""
    file.flush()
    os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        if not hidden.exists():
            # A nameless file cannot replace another, so it gets a hidden name first. The folder's
            # descriptor is there because only then does Python follow the link in /proc.
            os.link(f"/proc/self/fd/{file.fileno()}", hidden, src_dir_fd=folder)
        hidden.replace(path)
        os.fsync(folder)
    finally:
        os.close(folder)


def _walk(folder: Path, base: str, start: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted((e for e in entries if e.name.startswith(start)), key=_key_order)
    except _NOTHING_THERE:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{base}{entry.name}/", "")
        elif entry.is_file() and not _is_hidden(entry.name):
            yield base + entry.name, entry


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except FileNotFoundError:  # it has gone meanwhile
        return None


def _key_order(entry: os.DirEntry[str]) -> bytes:
    # S3 orders whole keys by their bytes, in which a folder's name goes on with a slash.
    name = f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name
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

"""The files of a task's commands, handled with the rights of the user that the commands run as.

A command can put a link wherever it may write. Followed with the agent's rights it would lead to
the agent's files; followed with the command's own it leads nowhere that the command cannot go.
"""

from __future__ import annotations

import errno
import os
from contextlib import nullcontext
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from taskrunner.data.objects.base import ObjectStore
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.host.users import Rights

_CHUNK = 1 << 20
#: Names that no file can have, here or at all: too long, or those of folders, or below a file.
_NO_NAME = {errno.ENAMETOOLONG, errno.EISDIR, errno.EEXIST, errno.ENOTDIR, errno.ELOOP}


class WorkFiles:
    """The folder that a task's commands start in, and may write to."""

    def __init__(self, root: Path, rights: Rights = nullcontext) -> None:
        self.root = root
        self.rights = rights

    def folder(self, name: str) -> Path:
        """A new folder for commands to work in; `name` may have several parts."""
        path = self.root / name
        with self.rights():
            path.mkdir(parents=True)
        return path

    def write(self, name: str, data: bytes, *, executable: bool = False) -> Path:
        """A new file that commands can read, and run if it is executable."""
        path = self.root / name
        with self._created(path, 0o700 if executable else 0o600) as file:
            file.write(data)
        return path

    def download(
        self, objects: ObjectStore, uri: str, path: Path, *, executable: bool = False
    ) -> int:
        """Copy an object into a new file that commands can read; returns its size in bytes."""
        size = 0
        mode = 0o700 if executable else 0o600
        with objects.open_read(uri) as reader, self._copy_of(uri, path, mode) as file:
            while data := reader.read(_CHUNK):
                size += file.write(data)
        return size

    def upload(
        self, objects: ObjectStore, path: Path, uri: str, *, encrypt: bool | None = None
    ) -> int:
        """Copy a file that a command left into an object; returns its size in bytes.

        `encrypt` is as in `ObjectStore.open_write`. Raises TaskError when by now it is something
        else, or leads out of the folder.
        """
        size = 0
        with self.open(path) as file, objects.open_write(uri, encrypt=encrypt) as writer:
            while data := file.read(_CHUNK):
                size += writer.write(data)
        return size

    def open(self, path: Path) -> BinaryIO:
        """A file below the folder, for reading; raises TaskError."""
        try:
            with self.rights():
                # What is opened is looked at, not what had the name a moment ago.
                descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise _unusable(path, f"cannot be read: {error.strerror}") from error
        if problem := self._problem(descriptor):
            os.close(descriptor)
            raise _unusable(path, problem)
        return os.fdopen(descriptor, "rb")

    def _problem(self, descriptor: int) -> str | None:
        if not S_ISREG(os.fstat(descriptor).st_mode):
            return "is no regular file"
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        with self.rights():
            root = self.root.resolve()
        return None if real.is_relative_to(root) else f"leads out of {self.root}"

    def _copy_of(self, uri: str, path: Path, mode: int) -> BinaryIO:
        try:
            return self._created(path, mode)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            if isinstance(error, OSError) and error.errno not in _NO_NAME:
                raise
            message = f"{uri} cannot be a file of the task: {reason}"
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD) from error

    def _created(self, path: Path, mode: int) -> BinaryIO:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.rights():
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.fdopen(os.open(path, flags, mode), "wb")


def _unusable(path: Path, problem: str) -> TaskError:
    return TaskError(f"{path} {problem}", error_id=ErrorId.INVALID_FIELD)

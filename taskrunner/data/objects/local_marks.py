"""Which attempt wrote a file: a later attempt's file is not replaced by an earlier one's.

The mark is an extended attribute of the file; where the file system has none, nothing is kept and
nothing is looked for. Writers of one folder wait for each other while they look and publish: those
of one host, and those of several where the file system's locks are for all of them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from taskrunner.data.claims import Claim
from taskrunner.errors import ErrorId, PermanentTaskError

_NAME = "user.taskrunner.writer"
#: What is said where there are no such attributes, or none on this file.
_NO_MARK = {errno.ENOTSUP, errno.ENODATA, errno.ENOENT, errno.ELOOP, errno.EACCES, errno.EPERM}


@contextmanager
def not_superseded(
    claim: Claim | None, uri: str, file: BinaryIO, folder: int, name: str
) -> Iterator[None]:
    """While the block puts `file` at `name`; raises TaskError when a later attempt has done so."""
    if claim is None:
        yield
        return
    # The descriptor that leads to the folder is for names only.
    lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if claim.is_superseded_by(_mark_of(folder, name)):
            message = f"cannot write {uri}: a later attempt of {claim.instance} has written it"
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        _leave(file, claim.mark)
        yield
    finally:
        os.close(lock)


def _mark_of(folder: int, name: str) -> str | None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError as error:
        if error.errno in _NO_MARK:
            return None
        raise
    try:
        return os.getxattr(descriptor, _NAME).decode("ascii", "replace")
    except OSError as error:
        if error.errno in _NO_MARK:
            return None
        raise
    finally:
        os.close(descriptor)


def _leave(file: BinaryIO, mark: str) -> None:
    try:
        os.setxattr(file.fileno(), _NAME, mark.encode())
    except OSError as error:
        if error.errno not in _NO_MARK:
            raise

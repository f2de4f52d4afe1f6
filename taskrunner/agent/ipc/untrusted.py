"""Reading files that a task's process wrote, which may hold anything or be no plain files."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

#: A result is a message of 5,000 characters and a trace of 1,024, each of twelve bytes in JSON at
#: the most, and masked.
_MOST_BYTES = 1 << 18


def read_object(path: Path) -> dict[str, object]:
    """The JSON object in a small regular file; an empty one where there is none such.

    A link, a pipe or a device in its place is not followed, waited for or read.
    """
    try:
        data = _read(path)
        found = json.loads(data) if len(data) <= _MOST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_MOST_BYTES + 1)
    finally:
        os.close(descriptor)

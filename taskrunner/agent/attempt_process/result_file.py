"""The file with an attempt's verdict; its disk space is reserved before the work begins.

A disk that the task itself has filled can thus not make a finished task a failed one.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

#: Message and trace within the API's limits, as JSON with every character escaped.
_ROOM = 64 << 10


class ResultFile:
    """Made before the work; `write` makes the result appear whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(self._draft, flags, 0o600)
        try:
            with suppress(OSError):  # a file system that cannot promise room
                os.posix_fallocate(descriptor, 0, _ROOM)
        finally:
            os.close(descriptor)

    def write(self, data: bytes) -> None:
        """Not synced: the agent journals it at once; a power cut before that repeats the work."""
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # In place: emptied first, the file would have to ask for room again.
            os.pwrite(descriptor, data, 0)
            os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)
        self._draft.replace(self._path)

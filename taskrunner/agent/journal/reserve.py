"""Disk space that is reserved for the journal, and freed for it when the disk is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

#: Hundreds of verdicts.
_SIZE = 1 << 20


def is_full(error: OSError) -> bool:
    """Whether there was no room."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


class Reserve:
    """A file whose only purpose is to take up space."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._there = False

    def make(self) -> None:
        """Take the room, if it is not taken yet. Raises OSError when there is none."""
        if self._there:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, _SIZE)
        except OSError as error:
            if is_full(error):
                self._path.unlink(missing_ok=True)
                raise
            # A file system that promises no room has none to give up either.
        finally:
            os.close(descriptor)
        self._there = True

    def give_up(self) -> bool:
        """Let the room be used; returns whether there was any."""
        there, self._there = self._there, False
        self._path.unlink(missing_ok=True)
        return there

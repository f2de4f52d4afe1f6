"""Having the disk begin with a file while it is being written.

A file is synced before it gets its name. Where the kernel has kept all of it in memory until then,
that takes as long again as the disk needs for the whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

#: After so many bytes each, the disk is told.
_PART = 8 << 20


class WriteBack:
    """Told how much of a file is written, from its start on; `advise` is for tests."""

    def __init__(
        self,
        descriptor: int,
        *,
        advise: Callable[[int, int, int, int], None] = os.posix_fadvise,
    ) -> None:
        self._descriptor = descriptor
        self._advise = advise
        self._size = self._begun = 0

    def written(self, size: int, /) -> None:
        """So many bytes more.

        The advice that a part is not needed has the kernel write it, and return at once; what is
        not on the disk by then stays in memory. Source: mm/fadvise.c in Linux.
        """
        self._size += size
        new = self._size - self._begun
        if new >= _PART:
            with suppress(OSError):  # whatever it is, the sync says so
                self._advise(self._descriptor, self._begun, new, os.POSIX_FADV_DONTNEED)
            self._begun = self._size

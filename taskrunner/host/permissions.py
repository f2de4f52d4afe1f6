"""What others on this host may do to files that are for one user alone."""

from __future__ import annotations

import stat
from pathlib import Path


def remedy(path: Path, *, group_reads: bool = False) -> str | None:
    """The command that closes a file or folder to others; None where it is closed.

    A folder may be looked into: what lies in it has permissions of its own. Raises OSError.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        if mode & stat.S_ISVTX:  # as /tmp: what lies in it is safe from others
            return None
        return f"chmod go-w {path}" if mode & (stat.S_IWGRP | stat.S_IWOTH) else None
    wrong = stat.S_IRWXO | (stat.S_IWGRP if group_reads else stat.S_IRWXG)
    if not mode & wrong:
        return None
    return f"chmod {'g-w,o-rwx' if group_reads else '600'} {path}"

"""Where this program lies: how it is started, and whether other users can read it."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import taskrunner
from taskrunner.host.users import (
    CAPABILITIES,
    User,
    can_change_users,
    effective_capabilities,
    said_as,
)

#: ProtectHome= and PrivateTmp= of the units hide what lies under these.
_HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
REMEDY = "install taskrunner where other users can read it, such as a venv in /opt/taskrunner"

#: Whether a file can be used so, in the manner of os.access.
Can = Callable[[Path, int], bool]


def command_here() -> tuple[str, ...]:
    """How to start this very installation: its script, or its interpreter with -m."""
    script = Path(sys.executable).with_name("taskrunner")
    return (str(script),) if script.is_file() else (sys.executable, "-m", "taskrunner")


def program_files() -> tuple[Path, ...]:
    """What whoever runs it must be able to read: script, interpreter, libraries, this package."""
    libraries = Path(sysconfig.get_path("purelib"))
    return (
        *(Path(command_here()[0]), Path(os.path.realpath(sys.executable))),
        *(Path(sysconfig.get_path("stdlib")), libraries),
        # One that was installed under another umask than the others.
        *(path for path in libraries.iterdir() if path.name[0] not in "._~"),
        Path(taskrunner.__file__).resolve(),
    )


def by_mode(uid: int, groups: Collection[int] = ()) -> Can:
    """What the modes of files give a user; of access control lists they say nothing."""

    def can(path: Path, wanted: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == uid else 3 if found.st_gid in groups else 0
        return uid == 0 or found.st_mode >> shift & wanted == wanted

    return can


def closed_part(paths: Iterable[Path], who: str, can: Can = os.access) -> str:
    """The first of these files that cannot be read, and what is in the way; empty when all can."""
    for path in paths:
        for part in (*reversed(path.parents), path):
            # Not asked of the file before its folders are known to be passable.
            inside = part is path and (os.R_OK | os.X_OK if path.is_dir() else os.R_OK)
            if not can(part, inside or os.X_OK):
                within = "" if part is path else f"{path}: "
                return f"{within}{part} is closed to {who} (mode {part.stat().st_mode & 0o7777:o})"
    return ""


def closed_to(user: User, paths: Iterable[Path] | None = None) -> str:
    """What of this program a user cannot read, as a part of a sentence; empty when all can be read.

    Tried as that user where this process, of one thread, may become it; else by the files' modes.
    """
    look = partial(
        closed_part, program_files() if paths is None else paths, f"the user {user.name!r}"
    )
    held = effective_capabilities() if can_change_users() else 0
    if all(held >> number & 1 for number in CAPABILITIES.values()):
        return said_as(user, look)
    return look(by_mode(user.uid, user.groups))


def closed_to_services(user: str = "", paths: Iterable[Path] | None = None) -> str:
    """The same of a unit's user, who does not see all that there is and need not be there yet."""
    paths = program_files() if paths is None else tuple(paths)
    can = by_mode(-1)
    with suppress(KeyError):
        known = User.named(user)
        can = by_mode(known.uid, known.groups)
    for path in paths:
        for folder in _HIDDEN:
            if path.is_relative_to(folder):
                return f"{path}: services do not see what is in {folder}"
    return closed_part(paths, "other users", can)

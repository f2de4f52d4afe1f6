"""The file beside a SQLite store: who owns the store, which one it is, how much was answered for.

It is locked for as long as its owner's process lives. What it remembers tells a store that was
here from a first start, and a whole store from an older copy of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskrunner.clock import Clock
from taskrunner.errors import StoreInUse

SUFFIX = "-state"
#: The number of changes stands first, at a fixed width, so that it is written over in one step.
_DIGITS = 20
_MOST = 1 << 16
_TRIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A store that was here."""

    store_id: str
    #: Changes of it that somebody was told are kept.
    changes: int


class StateFile:
    """The state file of one store, held locked."""

    def __init__(self, path: Path, descriptor: int, *, is_new: bool) -> None:
        self.path = path
        self._descriptor = descriptor
        self._is_new = is_new

    @classmethod
    def claim(cls, store: Path) -> StateFile:
        """Lock the state file of a store. Raises StoreInUse, or OSError when it cannot be made."""
        path = store.with_name(store.name + SUFFIX)
        for _ in range(_TRIES):
            is_new = not path.exists()
            descriptor = _locked(path)
            if _is_at(path, descriptor):
                return cls(path, descriptor, is_new=is_new)
            os.close(descriptor)  # it was removed between the opening and the lock
        raise StoreInUse(f"{path} is removed again and again: the store cannot be owned")

    def remembered(self) -> Remembered | None:
        """The store that was here; None when none was, or nothing can be read of it."""
        text = _read(self._descriptor)
        found = _parse(text[_DIGITS:])
        store_id, digits = found.get("store"), text[:_DIGITS]
        if not isinstance(store_id, str) or not digits.isdigit():
            return None
        return Remembered(store_id=store_id, changes=int(digits))

    def own(self, store: Remembered, clock: Clock) -> None:
        """Say which store this is, and whose. Raises OSError."""
        owner = {
            "store": store.store_id,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": _command(),
            "since": clock.now().isoformat(timespec="seconds"),
        }
        data = f"{store.changes:0{_DIGITS}d}\n{json.dumps(owner)}\n".encode()
        os.ftruncate(self._descriptor, len(data))
        os.pwrite(self._descriptor, data, 0)
        os.fsync(self._descriptor)

    def clear(self) -> None:
        """Remember nothing. Raises OSError."""
        os.ftruncate(self._descriptor, 0)
        os.fsync(self._descriptor)

    def count(self, changes: int) -> None:
        """Note how many changes were answered for. Not flushed: that many are kept, or more."""
        with suppress(OSError):
            os.pwrite(self._descriptor, f"{changes:0{_DIGITS}d}".encode(), 0)

    def is_in_place(self) -> bool:
        """Whether the locked file is still the one that others would try to lock."""
        return _is_at(self.path, self._descriptor)

    def forget(self) -> None:
        """Remove it again, if it was made for a store that cannot be opened."""
        if self._is_new and self.is_in_place():
            with suppress(OSError):
                self.path.unlink()

    def release(self) -> None:
        """Let others own the store."""
        os.close(self._descriptor)


def _locked(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _parse(_read(descriptor)[_DIGITS:])
        os.close(descriptor)
        raise StoreInUse(_in_use(path, owner)) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _in_use(path: Path, owner: Mapping[str, Any]) -> str:
    store = str(path).removesuffix(SUFFIX)
    if "pid" not in owner:
        return f"the service's database at {store} is in use by another process, which holds {path}"
    return (
        f"the service's database at {store} is in use by process {owner['pid']} "
        f"({owner.get('command')}) on host {owner.get('host')} since {owner.get('since')}: stop "
        "that one first, or name another database"
    )


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)


def _read(descriptor: int) -> str:
    return os.pread(descriptor, _MOST, 0).decode("utf-8", "replace")


def _parse(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _command() -> str:
    """The program and its verb; further arguments may hold secrets."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    verb = next((arg for arg in sys.argv[1:2] if not arg.startswith("-")), "")
    return f"{name} {verb}".strip()

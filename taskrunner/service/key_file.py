"""The keys in force: those of the credentials file, read anew when it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from taskrunner.errors import ConfigError
from taskrunner.host import permissions
from taskrunner.logs import get_logger
from taskrunner.service.auth_keys import Key, read_keys

log = get_logger()

#: What tells one content of a file from another: device, inode, time of change, size.
_Stamp = tuple[int, int, int, int]


class KeyFile(Mapping[str, Key]):
    """The keys of a credentials file by id. A file that is wrong changes nothing."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises ConfigError when it cannot be used."""
        self._path = path
        self._asked = False
        self._stamp = self._look()
        self._keys = read_keys(path)
        self._complain()

    def __getitem__(self, key_id: str) -> Key:
        """The key of an id; raises KeyError."""
        return self._keys[key_id]

    def __iter__(self) -> Iterator[str]:
        """The ids of all keys."""
        return iter(self._keys)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._keys)

    def ask(self) -> None:
        """Have the next `refresh` read the file in any case. Safe in a signal handler."""
        self._asked = True

    def refresh(self) -> None:
        """Read the file if it has changed, or if asked to. What is wrong with it is logged once."""
        asked = self._asked
        stamp = self._look()
        if stamp == self._stamp and not asked:
            return
        self._asked = False
        # Before it is read: what is written meanwhile is seen the next time.
        self._stamp = stamp
        try:
            keys = read_keys(self._path)
        except ConfigError as error:
            log.error("keys not reloaded, the old ones are in force", error=str(error))  # noqa: TRY400
            return
        self._tell(keys)
        self._keys = keys
        self._complain()

    def _tell(self, keys: Mapping[str, Key]) -> None:
        gone = sorted(self._keys.keys() - keys.keys())
        new = sorted(keys.keys() - self._keys.keys())
        changed = sorted(i for i in keys.keys() & self._keys.keys() if keys[i] != self._keys[i])
        log.info("keys reloaded", new=new, changed=changed, revoked=gone)

    def _complain(self) -> None:
        """Say of whom the keys, or the file in its place, may come. Others' reading is refused."""
        for path in (self._path.parent, self._path):
            with suppress(OSError):
                # Its group may be how a file of root's is handed to the service.
                remedy = permissions.remedy(path, group_reads=True)
                if remedy is not None:
                    log.warning(
                        "others on this host can change the keys", path=str(path), remedy=remedy
                    )

    def _look(self) -> _Stamp | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)

"""The key of a store, which its operator keeps: it seals the data keys, and those the secrets.

It comes from a file, from a credential of systemd, from a command (of a key management service,
say), or lies beside a SQLite file. Each gives 32 bytes in base64, as `openssl rand -base64 32`
makes them; further lines are older keys, which open and seal nothing new.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.config import secret_files
from taskrunner.errors import ConfigError
from taskrunner.logs import get_logger
from taskrunner.service.store.cipher import KEY_BYTES, fingerprint, new_key

log = get_logger()

#: The name of the credential of systemd, and of a SQLite file's own key beside it.
CREDENTIAL, SUFFIX = "store_key", "-key"
_COMMAND_S = 30
_WANTED = f"wanted {KEY_BYTES} bytes in base64 a line, as `openssl rand -base64 {KEY_BYTES}` makes"


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """The keys that an operator has given, by their fingerprints; the first one seals."""

    keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current(self) -> str:
        """The fingerprint of the one that seals."""
        return next(iter(self.keys))

    @classmethod
    def parse(cls, text: str, where: str) -> StoreKeys:
        """Of one key a line. Raises ConfigError, which tells nothing of what was found."""
        found: dict[str, bytes] = {}
        for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), 1):
            try:
                key = base64.b64decode(line, validate=True)
            except ValueError:
                key = b""
            if len(key) != KEY_BYTES:
                raise ConfigError(f"{where}, line {number}: {_WANTED}")
            found[fingerprint(key)] = key
        if not found:
            raise ConfigError(f"{where}: there is no key in it; {_WANTED}")
        return cls(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreKeySource:
    """Where the key comes from: one of a file, a command and what is given."""

    file: Path | None = None
    command: str | None = field(default=None, repr=False)
    given: StoreKeys | None = None
    #: A first start makes the file.
    made: bool = False

    @property
    def where(self) -> str:
        """How it is named to people."""
        if self.file is not None:
            return f"the store's key in {self.file}"
        return "the store's key" if self.command is None else "the store's key of its command"

    def read(self) -> StoreKeys:
        """The keys as they are now. Raises ConfigError."""
        if self.given is not None:
            return self.given
        if self.command is not None:
            return StoreKeys.parse(self._asked(self.command), self.where)
        if self.file is None:
            raise ConfigError("the store has no key")
        place = "the key that the store's secrets are encrypted by (backups of it have none)"
        text = secret_files.read_secret(self.file, place=place)
        if (who := secret_files.exposed(self.file)) is not None:
            log.warning(
                "others on this host can read the store's key",
                path=str(self.file),
                who=who,
                remedy=f"chmod 600 {self.file}",
            )
        return StoreKeys.parse(str(text), self.where)

    def read_or_make(self) -> StoreKeys:
        """The same, for a store in which nothing is sealed yet. Raises ConfigError."""
        if not self.made or self.file is None or self.file.exists():
            return self.read()
        try:
            _make(self.file, base64.b64encode(new_key()) + b"\n")
        except OSError as error:
            raise ConfigError(f"{self.where} cannot be made: {error.strerror}") from None
        log.info(
            "the store's key was made: keep a copy of it, apart from backups of the store",
            path=str(self.file),
        )
        return self.read()

    def _asked(self, command: str) -> str:
        """What a command says. Raises ConfigError."""
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own
                shlex.split(command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_COMMAND_S,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            reason = error.strerror if isinstance(error, OSError) else type(error).__name__
            raise ConfigError(f"{self.where} cannot be had: {reason}") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            more = f": {said[0]}" if said else ""
            raise ConfigError(f"{self.where} cannot be had: exit code {done.returncode}{more}")
        return done.stdout.decode("utf-8", "replace")


def beside(database: Path) -> StoreKeySource:
    """The key of a SQLite file whose operator has named none: a file beside it, made once."""
    return StoreKeySource(file=database.with_name(database.name + SUFFIX), made=True)


def _make(path: Path, data: bytes) -> None:
    """A file for its owner alone that is there after a power cut, too. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

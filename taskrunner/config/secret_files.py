"""Secrets from files of their own, so that none need stand in a variable or on a command line.

A secret setting `x` may be given as the path of a file in `x_file` (flag, variable or key), or as
the file `x` in the credentials directory that systemd's LoadCredential= makes for a service.
"""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from taskrunner.errors import ConfigError

_LARGEST = 1 << 20
_DIRECTORY = "CREDENTIALS_DIRECTORY"


def read_secret(path: Path, *, place: str, lines: bool = False) -> object:
    """The text in a file but for the newline at its end, or with `lines` each line that has any.

    Raises ConfigError that names the place of the setting, and never what is in the file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        text = data.decode()
    except OSError as error:
        raise ConfigError(f"{place}: the file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{place}: the file {path} is not UTF-8 text") from None
    if len(data) > _LARGEST:
        raise ConfigError(f"{place}: the file {path} is larger than {_LARGEST >> 20} MB")
    if not text.strip():
        raise ConfigError(f"{place}: the file {path} is empty")
    if lines and not text.lstrip().startswith("{"):
        return [line.strip() for line in text.splitlines() if line.strip()]
    return text.removesuffix("\n").removesuffix("\r")


def credential(name: str, environ: Mapping[str, str]) -> Path | None:
    """The file of this name that the service manager hands to this service, if it does."""
    folder = environ.get(_DIRECTORY)
    path = Path(folder, name) if folder else None
    return path if path is not None and path.is_file() else None


def exposed(path: Path, *, group: bool = True) -> str | None:
    """Who else may read a file with secrets; None when nobody does who has no business to.

    A group of this process may: it is how a file of root's is handed to a daemon. Without `group`
    no group is looked at.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    if found.st_mode & stat.S_IROTH:
        return "every user of this host"
    mine = found.st_gid in {os.getegid(), *os.getgroups()}
    if group and found.st_mode & stat.S_IRGRP and not mine:
        return f"the group {_group_name(found.st_gid)}"
    return None


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)

"""Passwords of databases from where the servers' own clients look: not from the command line.

What is written on a command line can be read by every user of the host while the command runs.
"""

from __future__ import annotations

import configparser
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.errors import ConfigError

_PGPASS_FIELD = re.compile(r"((?:\\.|[^:\\])*+)(?::|$)")
_PGPASS_FIELDS = 5


def password_for(spec: DatabaseSpec, environ: Mapping[str, str], *, end: str) -> str | None:
    """The password for a login without one; `end` is SOURCE or TARGET, for a variable of its own.

    Raises ConfigError for a file of passwords that others may read, or that cannot be read.
    """
    own = environ.get(f"TASKRUNNER_{end}_PASSWORD")
    if own is not None:
        return own
    if spec.scheme in {"postgresql", "redshift"}:
        return environ.get("PGPASSWORD") or _from_pgpass(spec, environ)
    if spec.scheme == "mysql":
        return environ.get("MYSQL_PWD") or _from_my_cnf(environ)
    return None


def user_for(spec: DatabaseSpec, environ: Mapping[str, str]) -> str | None:
    """The user's name for an address without one."""
    if spec.scheme in {"postgresql", "redshift"}:
        return environ.get("PGUSER")
    if spec.scheme == "mysql":
        return _of_my_cnf(environ).get("user")
    return None


def _from_pgpass(spec: DatabaseSpec, environ: Mapping[str, str]) -> str | None:
    """As libpq reads it: host:port:database:user:password, the first line that fits."""
    path = _home_file(environ, environ.get("PGPASSFILE"), ".pgpass")
    if path is None:
        return None
    wanted = (spec.host, str(spec.port), spec.database, spec.username or "")
    for line in _read(path, private=True).splitlines():
        fields = [re.sub(r"\\(.)", r"\1", field) for field in _PGPASS_FIELD.findall(line)]
        if line.startswith("#") or len(fields) < _PGPASS_FIELDS:
            continue
        pairs = zip(fields, wanted, strict=False)
        if all(field in {"*", value} for field, value in pairs):
            return fields[_PGPASS_FIELDS - 1]
    return None


def _from_my_cnf(environ: Mapping[str, str]) -> str | None:
    return _of_my_cnf(environ).get("password")


def _of_my_cnf(environ: Mapping[str, str]) -> Mapping[str, str]:
    """What ~/.my.cnf says to clients."""
    path = _home_file(environ, None, ".my.cnf")
    if path is None:
        return {}
    parser = configparser.ConfigParser(
        allow_no_value=True, interpolation=None, strict=False, delimiters=("=",)
    )
    lines = (line for line in _read(path).splitlines() if not line.startswith("!"))
    try:
        parser.read_string("\n".join(lines), source=str(path))
    except configparser.Error as error:
        raise ConfigError(f"{path}: cannot be read: {error.message.splitlines()[0]}") from None
    found: dict[str, str] = {}
    for group in ("client", "mysql", "client-mariadb", "mariadb"):
        if parser.has_section(group):
            values = {key: value for key, value in parser.items(group) if value is not None}
            found |= {key: value.strip().strip("'\"") for key, value in values.items()}
    return found


def _home_file(environ: Mapping[str, str], named: str | None, name: str) -> Path | None:
    home = environ.get("HOME")
    path = Path(named) if named else Path(home) / name if home else None
    return path if path is not None and path.is_file() else None


def _read(path: Path, *, private: bool = False) -> str:
    try:
        mode = path.stat().st_mode
        if private and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(f"{path}: others may read it: wanted mode 0600 (chmod 600 {path})")
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise ConfigError(f"{path}: {os.strerror(error.errno or 0)}") from error

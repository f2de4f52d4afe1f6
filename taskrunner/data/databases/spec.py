"""Where a database is and how to enter it: from a JDBC connection string or another URL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, unquote, urlsplit

from taskrunner.data.databases.properties import Options, parse_options
from taskrunner.data.databases.schemes import Scheme, scheme_of
from taskrunner.data.databases.vendor_urls import common_form
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.logins import hide_secret
from taskrunner.secret import Secret, told


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What the database object says besides its address; an address may override it."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: str | None = None
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSpec:
    """Everything needed to connect; the password is in no text that this makes."""

    #: The id of the object in the definition.
    id: str
    #: mysql, postgresql, redshift, sqlite, or what a plugin registers.
    scheme: str
    host: str = ""
    port: int = 0
    #: The database's name; the path of one that is a file.
    database: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    options: Options = field(default_factory=Options)
    #: What it only stands in for, as people write it; empty for what is the thing itself.
    stands_in_for: str = ""
    #: Which local files may be opened for it, and with whose rights.
    local: LocalFiles = field(default=LocalFiles(), repr=False)

    def __str__(self) -> str:
        if isinstance(self.host or self.database, Secret):
            return f"database {self.id!r} (its address is secret)"
        if not self.host:
            return f"database {self.id!r} ({self.database})"
        host = f"[{self.host}]" if ":" in self.host else self.host
        # A plugin's scheme may have a port of its own, which only the plugin knows.
        address = f"{host}:{self.port}" if self.port else host
        instead = f", standing in for {self.stands_in_for}" if self.stands_in_for else ""
        return f"database {self.id!r} ({self.scheme} at {address}{instead})"

    def mask(self, text: str) -> str:
        """A text of the driver's or the server's without the password, should it hold it."""
        return hide_secret(text, self.password)


def from_jdbc(object_id: str, connection_string: str, login: Login) -> DatabaseSpec:
    """Read `jdbc:mysql://host:port/db?a=b` and its kin; raises PermanentTaskError."""
    try:
        connection_string = told(common_form(str(connection_string)), connection_string)
    except ValueError as error:
        raise _invalid(object_id, str(error)) from None
    name, _, rest = connection_string.strip().removeprefix("jdbc:").partition(":")
    rest = told(rest, connection_string)
    if not connection_string.strip().startswith("jdbc:") or not rest:
        raise _invalid(object_id, "the connection string has not the form jdbc:scheme://host/name")
    scheme = _scheme(object_id, name)
    if scheme.is_file:
        return _file(object_id, scheme, rest)
    if rest.startswith("iam://"):
        # Amazon's driver says so that a temporary password is to be asked for.
        rest = told(rest.removeprefix("iam:"), rest)
        login = replace(login, password=None, properties=(*login.properties, "iam=true"))
    if not rest.startswith("//"):
        # jdbc:postgresql:name is the database of that name on this host.
        rest = f"//localhost/{rest}"
    url = told(f"{name}:{rest}", connection_string)
    return _server(object_id, scheme, url, login)


def from_url(object_id: str, url: str, login: Login) -> DatabaseSpec:
    """Read `scheme://user:password@host:port/db?a=b` or `sqlite:///path`."""
    name, separator, rest = url.partition("://")
    if not separator:
        raise _invalid(object_id, "its redirection is no URL (wanted scheme://host:port/name)")
    scheme = _scheme(object_id, name)
    if scheme.is_file:
        return _file(object_id, scheme, unquote(rest))
    return _server(object_id, scheme, url, login)


def _scheme(object_id: str, name: str) -> Scheme:
    try:
        return scheme_of(name)
    except PermanentTaskError as error:
        raise PermanentTaskError(
            f"database {object_id!r}: {error}", error_id=error.error_id
        ) from error


def _file(object_id: str, scheme: Scheme, rest: str) -> DatabaseSpec:
    path = rest.removeprefix("file:").partition("?")[0]
    path = told(re.sub("^//+", "/", path), rest)
    if not path.startswith("/"):
        kind = scheme.title or scheme.name
        message = f"a {kind} database needs an absolute path, found {path!r}"
        raise _invalid(object_id, message)
    return DatabaseSpec(id=object_id, scheme=scheme.name, database=path)


def _server(object_id: str, scheme: Scheme, address: str, login: Login) -> DatabaseSpec:
    try:
        url = urlsplit(str(address))
    except ValueError:
        raise _invalid(object_id, "its address names no host that there can be") from None
    try:
        port = url.port or scheme.port
    except ValueError:
        raise _invalid(object_id, "the port in its address is no number") from None
    if not url.hostname:
        raise _invalid(object_id, "its address names no host")
    given = dict(parse_qsl(url.query.replace(";", "&"), keep_blank_values=True))
    user, password = given.pop("user", None), given.pop("password", None)
    own = (told(f"{key}={value}", address) for key, value in given.items())
    properties = [*login.properties, *own]
    return DatabaseSpec(
        id=object_id,
        scheme=told(scheme.name, address),
        host=told(url.hostname, address),
        port=port,
        database=unquote(url.path.strip("/")) or login.database or "",
        username=_first(_unquoted(url.username), user, login.username),
        password=_first(_unquoted(url.password), password, login.password),
        options=_options(object_id, scheme, properties),
    )


def _options(object_id: str, scheme: Scheme, properties: Iterable[str]) -> Options:
    where = f"database {object_id!r}"
    return parse_options(scheme.name, scheme.properties, properties, where=where)


def _unquoted(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _first(*values: str | None) -> str | None:
    return next((value for value in values if value is not None), None)


def _invalid(object_id: str, reason: str) -> PermanentTaskError:
    return PermanentTaskError(f"database {object_id!r}: {reason}", error_id=ErrorId.INVALID_FIELD)

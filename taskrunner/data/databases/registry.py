"""From a database object of a task to its driver; drivers are imported only when named."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.lookup import AwsLookup, Lookup
from taskrunner.data.databases.schemes import MYSQL, POSTGRESQL, REDSHIFT, forms, scheme_of
from taskrunner.data.databases.spec import DatabaseSpec, Login, from_jdbc, from_url
from taskrunner.data.redshift.credentials import is_on
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ConfigError, ErrorId, PermanentTaskError, TaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.task import TaskObject
from taskrunner.plugins import discovery as plugins
from taskrunner.plugins.discovery import Kind
from taskrunner.secret import told

#: PostgreSQL's word for the certificates that the system trusts; no file is called so.
SYSTEM_CA = "system"
_OLD_DRIVER = "jdbc:postgresql:"
#: `jdbc:redshift:iam://cluster:region/database`, as Amazon's driver reads it.
_IAM = re.compile(r"jdbc:redshift:iam://([^:/]+):([a-z]+-[a-z-]+-\d)/?(.*)")
#: What says how Redshift is reached: of no use for a PostgreSQL in its place.
_REDSHIFT_ONLY = REDSHIFT.properties.keys() - POSTGRESQL.properties.keys()
_MOST_CERTIFICATES = 16 << 20
_NOT_READ = ErrorId.ACTIVITY_FAILED
_ERROR_IDS = {errno.ENOENT: ErrorId.NOT_FOUND, errno.EACCES: ErrorId.ACCESS_DENIED}


def open_database(described: TaskObject, settings: DataSettings) -> Database:
    """The driver for a database object, not yet connected: use it in a `with` block.

    Raises PermanentTaskError when the object is unusable, TaskError when a look-up fails.
    """
    spec = spec_of(described, settings, lookup=AwsLookup())
    if (own := _of_redshift(spec, settings)) is not None:
        return own
    found = plugins.named(spec.scheme, Kind.DATABASE)
    if found is None:
        known = ", ".join(plugins.names(Kind.DATABASE)) or "none"
        message = f"{spec}: there is no driver for {spec.scheme!r} on this host; known: {known}"
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE)
    driver: type[Database] = found.load()
    if driver.scheme.is_file:
        spec.local.check(Path(spec.database))
    return driver(spec)


def is_redshift(described: TaskObject) -> bool:
    """Whether what is said to the database is meant for Redshift, wherever it is redirected."""
    return described.type == "RedshiftDatabase"


def _of_redshift(spec: DatabaseSpec, settings: DataSettings) -> Database | None:
    """Redshift's Data API, or a PostgreSQL in Redshift's place; None for all else."""
    if spec.stands_in_for:
        from taskrunner.data.objects.store import open_store
        from taskrunner.data.redshift.stand_in.database import StandInDatabase

        return StandInDatabase(spec, open_store(settings))
    if spec.scheme == REDSHIFT.name and is_on(spec, "dataapi"):
        from taskrunner.data.redshift.data_api import RedshiftDataApi

        return RedshiftDataApi(spec)
    return None


def check_url(object_id: str, url: str) -> None:
    """Raise ConfigError when a redirection cannot be used; the message does not repeat the URL.

    Nothing is connected to, and no driver is imported but a plugin's that the URL is for.
    """
    try:
        scheme = from_url(object_id, url, Login()).scheme
        if scheme in plugins.names(Kind.DATABASE):
            return
        problem = f"database {object_id!r}: there is no driver for {scheme!r} on this host"
    except PermanentTaskError as error:
        problem = str(error)
    raise ConfigError(f"{problem}; wanted {' or '.join(forms())}")


def spec_of(described: TaskObject, settings: DataSettings, *, lookup: Lookup) -> DatabaseSpec:
    """Where the database is: the redirection for its id, if there is one, else its own fields."""
    login = Login(
        username=described.get("username"),
        password=described.get("*password", described.get("password")),
        database=described.get("databaseName"),
        properties=described.all("jdbcProperties"),
    )
    name = described.component_id
    redirected = settings.databases.get(name)
    if redirected is not None:
        if not is_redshift(described) or not _is_postgresql(redirected):
            return _redirected(name, redirected, login, settings)
        known = tuple(p for p in login.properties if _name_of(p) not in _REDSHIFT_ONLY)
        spec = _redirected(name, redirected, replace(login, properties=known), settings)
        return replace(spec, stands_in_for=REDSHIFT.title)
    if described.get("connectionString"):
        spec = from_jdbc(name, _address(described, lookup), login)
    else:
        region = described.get("region", settings.region)
        spec = from_jdbc(name, _looked_up(described, lookup, region), login)
    return _with_certificates(replace(spec, local=settings.local))


def _is_postgresql(url: str) -> bool:
    return POSTGRESQL.is_called(url.partition("://")[0].lower())


def _name_of(prop: str) -> str:
    return prop.partition("=")[0].strip().lower()


def _address(described: TaskObject, lookup: Lookup) -> str:
    """The connection string, in the form that all drivers have."""
    text = described.required("connectionString")
    if not is_redshift(described):
        return text
    if text.startswith(_OLD_DRIVER):
        # PostgreSQL's driver was the way to Redshift before it had one of its own.
        return told(f"jdbc:{REDSHIFT.name}:{text.removeprefix(_OLD_DRIVER)}", text)
    if found := _IAM.fullmatch(text):
        cluster, region, rest = found.groups()
        found_at = lookup.redshift(cluster, region).removeprefix("jdbc:redshift:")
        return told(f"jdbc:redshift:iam:{found_at}{rest}", text)
    return text


def _redirected(name: str, url: str, login: Login, settings: DataSettings) -> DatabaseSpec:
    """Where the operator says it is: the file that the URL names is his, all else is not."""
    spec = from_url(name, url, login)
    own = from_url(name, url, replace(login, properties=()))
    if spec.options.ssl_ca != own.options.ssl_ca:
        spec = _with_certificates(replace(spec, local=settings.local))
    named = (Path(spec.database),) if scheme_of(spec.scheme).is_file else ()
    return replace(spec, local=LocalFiles(folders=named))


def _with_certificates(spec: DatabaseSpec) -> DatabaseSpec:
    """With a copy of the certificates that the definition names: drivers open files themselves."""
    path = spec.options.ssl_ca
    if path is None or (path == SYSTEM_CA and spec.scheme != MYSQL.name):
        return spec
    try:
        with os.fdopen(spec.local.open(Path(path)), "rb") as file:
            data = file.read(_MOST_CERTIFICATES)
    except OSError as error:
        message = f"{spec}: cannot read the certificates in {path}: {error.strerror}"
        raise TaskError(message, error_id=_ERROR_IDS.get(error.errno or 0, _NOT_READ)) from error
    # It lasts as long as this process: a driver may read it again when it connects again.
    copy = os.memfd_create("certificates")
    with os.fdopen(os.dup(copy), "wb") as target:
        target.write(data)
    return replace(spec, options=replace(spec.options, ssl_ca=f"/proc/self/fd/{copy}"))


def _looked_up(described: TaskObject, lookup: Lookup, region: str | None) -> str:
    by_type: dict[str, tuple[str, Callable[[str, str | None], str]]] = {
        "RdsDatabase": ("rdsInstanceId", lookup.rds),
        "RedshiftDatabase": ("clusterId", lookup.redshift),
    }
    if described.type not in by_type:
        # The field that a database of any other type must have; this says that it is missing.
        return described.required("connectionString")
    key, ask = by_type[described.type]
    try:
        return ask(described.required(key), region)
    except PermanentTaskError:
        raise
    except TaskError as error:
        # Outside of AWS there is nobody to ask; whoever runs the task can say where it is.
        hint = f"say where it is with --database {described.component_id}=URL"
        raise TaskError(f"{error}; {hint}", error_id=error.error_id) from error

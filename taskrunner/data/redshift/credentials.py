"""Temporary credentials: a password of AWS's for one hour, in place of one in a definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from taskrunner.data.databases.lookup import ask_aws
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.redshift.home import Home
from taskrunner.errors import ErrorId, PermanentTaskError

#: service, region, call, what it is for.
Ask = Callable[[str, str | None, Callable[[Any], Any], str], Any]
_DURATION_S = 3600
_YES = frozenset({"true", "1", "yes"})


def is_on(spec: DatabaseSpec, name: str) -> bool:
    """Whether a connection property says yes."""
    return spec.options.other.get(name, "").lower() in _YES


def wants_temporary(spec: DatabaseSpec) -> bool:
    """Whether no password is to be used: none is there, or the address says `iam`."""
    return is_on(spec, "iam") or not spec.password


def temporary_login(spec: DatabaseSpec, *, ask: Ask = ask_aws) -> DatabaseSpec:
    """The spec with a user and a password of AWS's; raises TaskError."""
    home = Home.of(spec)
    if home is None:
        message = (
            f"{spec}: there is no password, and temporary credentials cannot be had, since the "
            "address is none of a Redshift cluster or workgroup; set *password, or the clusterId"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    what = f"temporary credentials for the {home}"
    if home.workgroup:
        reply = ask(
            "redshift-serverless",
            home.region,
            lambda client: client.get_credentials(
                workgroupName=home.workgroup, durationSeconds=_DURATION_S, **_named(spec, "dbName")
            ),
            what,
        )
        return replace(spec, username=reply["dbUser"], password=reply["dbPassword"])
    user = db_user(spec)
    if not user:
        message = f"{spec}: {what} need a user: set username, or the property DbUser"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    groups = [g for g in spec.options.other.get("dbgroups", "").split(",") if g]
    more: dict[str, Any] = {"DbGroups": groups} if groups else {}
    reply = ask(
        "redshift",
        home.region,
        lambda client: client.get_cluster_credentials(
            ClusterIdentifier=home.cluster,
            DbUser=user,
            AutoCreate=is_on(spec, "autocreate"),
            DurationSeconds=_DURATION_S,
            **_named(spec, "DbName"),
            **more,
        ),
        what,
    )
    return replace(spec, username=reply["DbUser"], password=reply["DbPassword"])


def db_user(spec: DatabaseSpec) -> str | None:
    """The user of the database whose rights are wanted."""
    return spec.options.other.get("dbuser") or spec.username


def _named(spec: DatabaseSpec, key: str) -> dict[str, str]:
    return {key: spec.database} if spec.database else {}

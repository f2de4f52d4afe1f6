"""What PostgreSQL's client library would add to a connection by itself, and is kept from adding.

It looks for passwords in `~/.pgpass`, for certificates in `~/.postgresql`, for tickets of Kerberos,
and for all of it in variables of the environment. Here these are the agent's own, and the host
that they would be shown to is named by the author of a definition.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg import pq

from taskrunner.data.databases.lasting import keepalives
from taskrunner.data.databases.spec import DatabaseSpec

#: No file is there, nor can one be made.
_NOWHERE = "/dev/null/none"
#: Not the user's name from Kerberos or Windows, and no proof of it.
_NO_TICKETS = "!gss,!sspi"
_NOTHING_OF_ITS_OWN = {
    "passfile": _NOWHERE,
    "sslcert": _NOWHERE,
    "gssencmode": "disable",
    "require_auth": _NO_TICKETS,
}
#: These say how much is wanted of a server before it is told anything: the host's own rules.
_RULES = frozenset(
    {
        "PGCHANNELBINDING",
        "PGMAXPROTOCOLVERSION",
        "PGMINPROTOCOLVERSION",
        "PGREQUIREAUTH",
        "PGSSLCRL",
        "PGSSLCRLDIR",
        "PGSSLMAXPROTOCOLVERSION",
        "PGSSLMINPROTOCOLVERSION",
        "PGSSLMODE",
        "PGSSLROOTCERT",
    }
)
_environment = threading.Lock()


def parameters_of(spec: DatabaseSpec) -> dict[str, Any]:
    """The parameters of a connection, but for those of TLS; None for what is not said."""
    options = spec.options
    timeout_s = options.socket_timeout_s
    return {
        "host": spec.host,
        "port": spec.port,
        "dbname": spec.database or None,
        "user": spec.username,
        "password": spec.password,
        "connect_timeout": max(2, round(options.connect_timeout_s)),
        "tcp_user_timeout": round(timeout_s * 1000) if timeout_s else None,
        "client_encoding": "utf8",
        "application_name": "taskrunner",
        **keepalives(),
        **nothing_of_its_own(),
    }


def nothing_of_its_own() -> Mapping[str, str]:
    """Parameters of a connection that has no other login than the one that it is given.

    Versions of the library that do not know one of them do not have what it forbids either, but for
    Kerberos before version 16, if they were built with it.
    """
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    ruled = {"require_auth"} if os.environ.get("PGREQUIREAUTH") else set()
    return {name: value for name, value in _NOTHING_OF_ITS_OWN.items() if name in known - ruled}


@contextmanager
def without_environment() -> Iterator[None]:
    """Hide the variables that the library reads; connect meanwhile."""
    with _environment:
        hidden = {
            name: value
            for name, value in os.environ.items()
            if name.startswith("PG") and name not in _RULES
        }
        for name in hidden:
            del os.environ[name]
        try:
            yield
        finally:
            os.environ.update(hidden)

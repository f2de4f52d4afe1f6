"""Whether a server's certificate is looked at: always where that can be, and said where it cannot.

A definition that names a CA has the server verified against it, name and all. One that says nothing
of TLS is encrypted where the server offers it, as ever; the certificate is verified where the
system's store knows who signed it. The authorities of RDS are in no such store: there the
connection is encrypted all the same, and the log says once that nobody knows with whom. None of
them is shipped: they change, and who is trusted is the operator's to say.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.errors import ErrorId, TaskError

_LOG = logging.getLogger(__name__)
_Connection = TypeVar("_Connection")
#: The certificates that the system trusts, as PostgreSQL's library calls them.
SYSTEM = "system"
#: What libraries say when it is the certificate, and when it is anything of TLS.
_OF_CERTIFICATE = re.compile("certificate", re.IGNORECASE)
_OF_TLS = re.compile("certificate|SSL", re.IGNORECASE)
_UNSAID = frozenset({None, "prefer"})
#: Addresses whose certificate was said to be unknown; a process is one attempt's.
_told: set[str] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to connect: `mode` is PostgreSQL's word, None for TLS where the server offers it."""

    mode: str | None = None
    ca: str | None = None

    @property
    def verifies(self) -> bool:
        """Whether the server has to prove who it is."""
        return self.mode in {"verify-ca", "verify-full"}


def ways_of(spec: DatabaseSpec, *, is_ruled: bool = False) -> tuple[Way, ...]:
    """The ways to connect, of which a later one is taken where an earlier one fails for its TLS.

    `is_ruled`: the host has rules of its own for all connections.
    """
    mode, ca = spec.options.ssl_mode, spec.options.ssl_ca
    if ca is not None and mode in _UNSAID:
        return (Way(mode="verify-full", ca=ca),)
    if ca is not None and mode == "require":
        return (Way(mode="verify-ca", ca=ca),)
    if mode is None and not is_ruled and not _is_here(spec.host):
        return Way(mode="verify-full", ca=SYSTEM), Way()
    return (Way(mode=mode, ca=ca),)


def host_rules() -> bool:
    """Whether the host says how PostgreSQL's library uses TLS."""
    return bool(os.environ.get("PGSSLMODE") or os.environ.get("PGSSLROOTCERT"))


def connect_by(
    ways: tuple[Way, ...], connect: Callable[[Way], _Connection], spec: DatabaseSpec
) -> _Connection:
    """The connection by the first way that works; raises what the last one raises, or TaskError."""
    *first, last = ways
    for way in first:
        try:
            return connect(way)
        except Exception as error:
            if not _OF_TLS.search(str(error)):
                raise
            reason = error
    try:
        connection = connect(last)
    except Exception as error:
        if not last.verifies or not _OF_CERTIFICATE.search(str(error)):
            raise
        raise TaskError(_not_verified(spec, error), error_id=ErrorId.CONNECTION_FAILED) from error
    if first and (address := f"{spec.host}:{spec.port}") not in _told:
        _told.add(address)
        _LOG.warning(
            "%s: the server's certificate is not verified (%s), so that nobody knows who it is; "
            "the connection is encrypted if the server offers it. Set sslrootcert (MySQL: sslCA) "
            "to the certificates of its authority, or sslMode=require to say that this is wanted",
            spec,
            spec.mask(_short(reason)),
        )
    return connection


def _not_verified(spec: DatabaseSpec, error: Exception) -> str:
    if spec.scheme == "mysql":
        mode, ca = "sslMode=VERIFY_CA", "sslCA"
    else:
        mode, ca = "sslmode=verify-ca", "sslrootcert"
    reason = spec.mask(_short(error))
    return (
        f"cannot connect: {spec}: the server's certificate cannot be verified ({reason}); wanted "
        f"one of the authority in {ca} (RDS's are in global-bundle.pem at truststore.pki.rds."
        f"amazonaws.com) for the name {spec.host!r}; {mode} does not look at the name, "
        "sslMode=require without a CA does not look at all"
    )


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]}..."


def _is_here(host: str) -> bool:
    """Whether a host is this one, so that nobody is in between."""
    if host in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

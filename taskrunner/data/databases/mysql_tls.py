"""TLS towards MySQL and MariaDB."""

from __future__ import annotations

import ssl
from functools import cache
from typing import TYPE_CHECKING, Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from taskrunner.data.databases.tls import SYSTEM, Way

if TYPE_CHECKING:
    _Connection = Connection[Cursor]
else:
    _Connection = Connection


class TlsConnection(_Connection):
    """A connection for which no authorities are read, where no certificate is looked at.

    The library reads those of the system for each connection, which takes longer than all else.
    """

    def _create_ssl_ctx(self, sslp: ssl.SSLContext | dict[str, Any]) -> ssl.SSLContext:
        return sslp if isinstance(sslp, ssl.SSLContext) else _not_looking()


@cache
def _not_looking() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tls_options(way: Way) -> dict[str, Any]:
    """The library's options for a way; by itself it encrypts where the server offers it."""
    if way.mode == "disable":
        return {"ssl_disabled": True}
    if way.mode in {None, "prefer"}:
        return {}
    context = ssl.create_default_context(cafile=None if way.ca == SYSTEM else way.ca)
    context.check_hostname = way.mode == "verify-full"
    if not way.verifies:
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}

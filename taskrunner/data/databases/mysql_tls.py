"""TLS towards MySQL and MariaDB."""

from __future__ import annotations

import ssl
from typing import Any

from taskrunner.data.databases.tls import SYSTEM, Way


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

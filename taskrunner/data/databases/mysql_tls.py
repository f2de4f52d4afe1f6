"""TLS towards MySQL and MariaDB."""

from __future__ import annotations

import ssl
from typing import Any


def tls_options(mode: str | None, ca: str | None) -> dict[str, Any]:
    """The library's options for a TLS mode; by itself it encrypts where the server offers it."""
    if mode == "disable":
        return {"ssl_disabled": True}
    if mode in {"verify-ca", "verify-full"}:
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = mode == "verify-full"
        return {"ssl": context}
    if mode == "require":
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}
    return {}

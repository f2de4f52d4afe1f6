"""The certificate of a service, by its options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from taskrunner.errors import UsageError

if TYPE_CHECKING:
    from taskrunner.service.tls import Certificate


def certificate_of(chain: Path | None, key: Path | None) -> Certificate | None:
    """What it speaks HTTPS with; None: HTTP. Raises UsageError or ConfigError."""
    from taskrunner.clock import SystemClock
    from taskrunner.service.tls import Certificate

    if chain is None:
        if key is not None:
            raise UsageError("--tls-key: of which certificate? Name it with --tls-cert")
        return None
    return Certificate(chain, key, SystemClock())


def both(reload: Callable[[], None], certificate: Certificate | None) -> Callable[[], None]:
    """What SIGHUP does: have keys and certificate read anew."""

    def read_anew() -> None:
        reload()
        if certificate is not None:
            certificate.ask()

    return read_anew

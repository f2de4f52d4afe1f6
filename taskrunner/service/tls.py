"""The service's certificate, read anew when its files change: no renewal needs a restart."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta
from pathlib import Path

from taskrunner.clock import Clock
from taskrunner.config.secret_files import exposed
from taskrunner.errors import ConfigError
from taskrunner.logs import get_logger

log = get_logger()

#: A certificate that ends so soon was not renewed in time: it is told of, once a day.
SOON, TELL_AGAIN = timedelta(days=14), timedelta(days=1)
#: What tells one content of the files from another.
_Stamp = tuple[tuple[int, int, int, int] | None, ...]


class Certificate:
    """A chain of certificates with its key, for connections that are made from now on."""

    def __init__(self, chain: Path, key: Path | None, clock: Clock) -> None:
        """Read the files; without `key` it stands in `chain`, too. Raises ConfigError."""
        self._chain, self._key, self._clock = chain, key or chain, clock
        self._asked = False
        self._told_at: datetime | None = None
        self._stamp = self._look()
        self._load()
        self._warn_of_readers()

    def ask(self) -> None:
        """Have the next `refresh` read the files in any case. Safe in a signal handler."""
        self._asked = True

    def refresh(self) -> None:
        """Read the files if they have changed. What is wrong with them is logged once."""
        stamp = self._look()
        if stamp != self._stamp or self._asked:
            self._asked, self._stamp = False, stamp
            try:
                self._load()
            except ConfigError as error:
                log.error("certificate not reloaded, the old one is in force", error=str(error))  # noqa: TRY400
            else:
                log.info("certificate reloaded", path=str(self._chain), ends=str(self.ends))
        self._warn_of_end()

    def _load(self) -> None:
        for path in (self._chain, self._key):
            _check_readable(path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except ssl.SSLError as error:
            raise ConfigError(self._wrong(error)) from None
        #: What connections are made with, and until when they can be.
        self.context, self.ends = context, _end_of(self._chain)

    def _wrong(self, error: ssl.SSLError) -> str:
        reason = str(error.reason or "").upper()
        if "MISMATCH" in reason:
            return f"--tls-key {self._key}: it is not the key of the certificate in {self._chain}"
        return (
            f"--tls-cert {self._chain}, --tls-key {self._key}: wanted a certificate (with those of "
            "its authorities behind it) and its key, both in PEM and not encrypted; found: "
            f"{reason or error}"
        )

    def _warn_of_readers(self) -> None:
        if (who := exposed(self._key)) is not None:
            log.warning(
                "others on this host can read the key of the certificate",
                path=str(self._key),
                who=who,
                remedy=f"chmod 600 {self._key}",
            )

    def _warn_of_end(self) -> None:
        now = self._clock.now()
        told = self._told_at is not None and now - self._told_at < TELL_AGAIN
        if self.ends - now < SOON and not told:
            self._told_at = now
            log.warning("the certificate ends soon", path=str(self._chain), ends=str(self.ends))

    def _look(self) -> _Stamp:
        return tuple(map(_stamp_of, (self._chain, self._key)))


def _stamp_of(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise ConfigError(
            f"the certificate's file {path} cannot be read: {error.strerror}"
        ) from None


def _no_password() -> str:
    # Else OpenSSL would ask at the terminal, or wait for ever where there is none.
    raise ConfigError("--tls-key: the key is encrypted; wanted one that is not")


def _end_of(chain: Path) -> datetime:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(chain.read_bytes()).not_valid_after_utc
    except ValueError:
        raise ConfigError(f"--tls-cert {chain}: wanted a certificate in PEM first") from None

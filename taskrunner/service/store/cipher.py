"""Secrets at rest: AES-256-GCM, each one bound to the place where it lies.

A sealed text is `enc1:KEY:DATA`: the id of the data key, then nonce, ciphertext and tag in
base64url. The place (table, key of the row, member) is authenticated with it, so that a sealed
text that was moved or exchanged in the database does not open. The library is loaded by the first
secret: it costs 40 ms.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "enc1:"
KEY_BYTES = 32
_NONCE_BYTES = 12


class NotOpened(Exception):
    """What was sealed was changed or moved since, or was sealed by another key."""


class Cipher:
    """One key of 256 bits."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._aead: AESGCM | None = None

    def seal(self, data: bytes, place: tuple[str, ...]) -> bytes:
        """Nonce, ciphertext and tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._loaded().encrypt(nonce, data, _of(place))

    def open(self, sealed: bytes, place: tuple[str, ...]) -> bytes:
        """The inverse of `seal`. Raises NotOpened."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._loaded().decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _of(place))
        except (InvalidTag, ValueError):
            raise NotOpened from None

    def _loaded(self) -> AESGCM:
        if self._aead is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._aead = AESGCM(self._key)
        return self._aead


def new_key() -> bytes:
    """A fresh key."""
    return secrets.token_bytes(KEY_BYTES)


def fingerprint(key: bytes) -> str:
    """What names a key without telling anything of it."""
    return hashlib.sha256(b"taskrunner store key\0" + key).hexdigest()[:16]


def as_text(key_id: str, sealed: bytes) -> str:
    """A sealed value as columns of text hold it."""
    return f"{PREFIX}{key_id}:{base64.urlsafe_b64encode(sealed).decode('ascii')}"


def parts_of(text: str) -> tuple[str, bytes]:
    """The inverse of `as_text`. Raises NotOpened for anything else."""
    key_id, _, data = text.removeprefix(PREFIX).partition(":")
    if not text.startswith(PREFIX) or not key_id:
        raise NotOpened
    try:
        return key_id, base64.b64decode(data, altchars=b"-_", validate=True)
    except ValueError:
        raise NotOpened from None


def _of(place: tuple[str, ...]) -> bytes:
    # As JSON: no two places have the same text, whatever is in their parts.
    return json.dumps(place).encode()

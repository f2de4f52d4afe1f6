"""How a machine tells the service its key: a call beside AWS's, signed with the machine's token."""

from __future__ import annotations

import hashlib
import hmac

PATH = "/machine-key"
#: The key, masked, in base64.
KEY_HEADER = "x-taskrunner-key"
#: As every signed call has one.
TARGET = "TaskRunner.SetMachineKey"
KEY_BYTES = 32


def mask(token: str, key: bytes) -> bytes:
    """Put a mask on a key that only the holder of the token knows, or take it off."""
    pad = hmac.new(token.encode(), b"taskrunner machine key", hashlib.sha256).digest()
    return bytes(one ^ other for one, other in zip(key, pad, strict=True))

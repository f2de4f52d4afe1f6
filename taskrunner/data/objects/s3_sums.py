"""What goes along with bytes to S3, so that bytes which arrive as others are seen.

An MD5 sum is what every store knows, as the ETag of a part at least; but making it takes longer
than all else that sending a large object takes. S3 holds a part against a CRC-32 as well, which is
made in a twentieth of the time:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html

Other stores may pass checksums over, or say them back unseen. So one is believed when it has
refused a part for its wrong CRC-32, and by MD5 sums until then.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

try:
    from isal import isal_zlib
except ImportError:  # there is none for this kind of processor
    crc32: Callable[..., int] = zlib.crc32
else:
    crc32 = isal_zlib.crc32

#: More of the request that begins an upload whose parts have a CRC-32 each.
BY_CRC32: Mapping[str, Any] = {"ChecksumAlgorithm": "CRC32"}
CRC32 = "ChecksumCRC32"
_MD5 = "ContentMD5"
#: Of CRC-32: its bits from the lowest power to the highest, x^32 left out.
_POLYNOMIAL = 0xEDB88320
_AWS = re.compile(r"(?:.+\.)?amazonaws\.com(?:\.cn)?")

Sent = bytes | bytearray


class Trust:
    """Whether a store refuses what is not what its CRC-32 says; None until that is known."""

    def __init__(self, endpoint: str) -> None:
        # AWS's own does, as is documented.
        is_aws = _AWS.fullmatch(urlsplit(endpoint).hostname or "") is not None
        self.believed: bool | None = True if is_aws else None


def crc32_of(data: Sent) -> str:
    """As requests and replies have it."""
    return base64.b64encode(crc32(data).to_bytes(4, "big")).decode()


def crc32_joined(first: int, second: int, size: int) -> int:
    """The CRC-32 of two pieces in a row, by that of each, and the size of the second one.

    Source: crc32_combine of zlib, which Python does not offer.
    """
    return _product(_power(8 * size), first) ^ second


def _product(one: int, other: int) -> int:
    """Of two polynomials over GF(2), modulo that of CRC-32."""
    found = 0
    for bit in range(31, -1, -1):
        if one >> bit & 1:
            found ^= other
        other = (other >> 1) ^ _POLYNOMIAL if other & 1 else other >> 1
    return found


@lru_cache(maxsize=8)
def _power(exponent: int) -> int:
    """A power of x, modulo the same."""
    found, square = 1 << 31, 1 << 30
    while exponent:
        if exponent & 1:
            found = _product(square, found)
        square = _product(square, square)
        exponent >>= 1
    return found


def sums_of(data: Sent, *, by_crc32: bool) -> dict[str, str]:
    """What a request that carries some bytes says of them."""
    if by_crc32:
        return {CRC32: crc32_of(data)}
    return {_MD5: base64.b64encode(_md5(data)).decode()}


def etag_of(data: Sent, sums: Mapping[str, str]) -> str:
    """The ETag of these bytes, whose sums are these, in one piece."""
    return (base64.b64decode(sums[_MD5]) if _MD5 in sums else _md5(data)).hex()


def _md5(data: Sent) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()

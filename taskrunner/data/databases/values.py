r"""Texts for values that have none of their own: binary ones, in the form that PostgreSQL gives.

`\x` and two lower-case hexadecimal digits a byte; every driver writes it and understands it.
"""

from __future__ import annotations

import re


class BitDigits(str):
    """Bits as digits, 0101: PostgreSQL's text of them, which would be another number in MySQL."""

    __slots__ = ()


class BitNumber(str):
    """Bits as the number that they are, 5: MySQL's text, which PostgreSQL would read as digits."""

    __slots__ = ()


_HEX = re.compile(r"\\x((?:[0-9A-Fa-f]{2})*)")


def text_of(value: bytes) -> str:
    """The text of a binary value."""
    return "\\x" + value.hex()


def binary_of(text: str) -> bytes:
    """The bytes of a text: what its hexadecimal digits say, else the text itself in UTF-8."""
    match = _HEX.fullmatch(text)
    return bytes.fromhex(match[1]) if match else text.encode()

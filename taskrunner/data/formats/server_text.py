r"""AWS's delimited text, made of what servers write: bytes to bytes, no row an object.

PostgreSQL's COPY writes the same text but for control characters: it has names for them (`\n`,
`\t`), where AWS's dialect has an escape character before those that mean something, and none
before the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.formats.quoting import QuotedDecoder, QuotedEncoder, Quoting, TextDialect

_MARK = "\ufeff".encode()
_NAMED = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
#: COPY takes none of these between columns, and N is a part of NULL.
_NO_SEPARATOR = frozenset("\\\r\n\0N.abcdefghijklmnopqrstuvwxyz0123456789")


def is_plain(escapes: Escapes) -> bool:
    """Whether servers can write the dialect: lines, escaped by backslashes, an ASCII separator."""
    return (
        escapes.record_separator == "\n"
        and escapes.escape == "\\"
        and not escapes.also
        and escapes.separator.isascii()
        and escapes.separator not in _NO_SEPARATOR
    )


def copies(dialect: TextDialect) -> bool:
    """Whether servers can write the dialect: PostgreSQL by COPY, MySQL and MariaDB by SELECT."""
    return dialect.is_plain if isinstance(dialect, Quoting) else is_plain(dialect)


def from_copy(dialect: TextDialect) -> Callable[[bytes], bytes]:
    """What makes the dialect's bytes of whole lines that COPY ... TO wrote."""
    return QuotedFromCopy(dialect) if isinstance(dialect, Quoting) else FromCopy(dialect)


class QuotedFromCopy:
    """Lines that COPY ... TO (FORMAT csv) wrote: only byte order marks are quoted as well."""

    def __init__(self, quoting: Quoting) -> None:
        self._quoting = quoting

    def __call__(self, lines: bytes) -> bytes:
        """Whole lines."""
        if _MARK not in lines:
            return lines
        batches = QuotedDecoder(self._quoting, source="", lines_before=1).decode([lines])
        return b"".join(map(QuotedEncoder(self._quoting).encode, batches))


class FromCopy:
    """Lines that COPY ... TO wrote, in the dialect."""

    #: Pairs of backslashes are taken as well, so that what follows one is no name.
    _escaped = re.compile(rb"\\(?:[\\bfntv]|r\n?)")

    def __init__(self, escapes: Escapes) -> None:
        separator = escapes.separator.encode()
        self._plain = {b"\\\\": b"\\\\"}
        for name, character in _NAMED.items():
            special = character in {separator, b"\n"}
            self._plain[b"\\" + name] = b"\\" + character if special else character
        # One that ends a row would be taken for a part of the line end.
        self._plain[b"\\r\n"] = b"\\\r\n"

    def __call__(self, lines: bytes) -> bytes:
        """Whole lines."""
        if b"\\" in lines:
            lines = self._escaped.sub(self._one, lines)
        return with_marks_escaped(lines)

    def _one(self, match: re.Match[bytes]) -> bytes:
        return self._plain[match[0]]


def with_marks_escaped(lines: bytes) -> bytes:
    """Lines in which no row begins with a byte order mark, which readers would skip."""
    # The first byte alone is found at once, and rare.
    if _MARK[:1] not in lines or _MARK not in lines:
        return lines
    if lines.startswith(_MARK):
        lines = b"\\" + lines
    return lines.replace(b"\n" + _MARK, b"\n\\" + _MARK)

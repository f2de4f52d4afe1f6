"""Character sets of text files: everything inside of the program is UTF-8.

What is read becomes UTF-8 before its rows are looked for, and what is written leaves it last, so
that no dialect and no way of copying knows of any other.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import TaskObject
from taskrunner.secret import quoted

#: Python's codecs that are no character sets of files: escapes, names of hosts, shifts.
_NO_CHARSETS = frozenset(
    {"idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
_UTF_8 = "utf-8"


@dataclass(frozen=True, slots=True)
class Charset:
    """A character set by the name of its codec; with a byte order mark where that has one."""

    name: str = _UTF_8

    @property
    def is_utf8(self) -> bool:
        """Whether the bytes are what they are inside."""
        return self.name == _UTF_8

    def to_utf8(self, chunks: Iterable[bytes], *, source: str) -> Iterator[bytes]:
        """The same text in UTF-8; raises TaskError that names the line of what is no text."""
        if self.is_utf8 or self.name == "utf-8-sig":
            yield from chunks
            return
        decoder = codecs.getincrementaldecoder(self.name)()
        lines = 0
        try:
            for chunk in chunks:
                text = decoder.decode(chunk)
                lines += text.count("\n")
                yield text.encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            lines += _lines_before(error, self.name)
            problem = _told(error)
            message = f"{source}: line {lines + 1} is not {self.name} text ({problem})"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD) from error

    def encoder(self) -> codecs.IncrementalEncoder:
        """What makes bytes of a file's text, one piece after the other."""
        return codecs.getincrementalencoder(self.name)()

    def has_not(self, value: str) -> str | None:
        """The first character of a text that the set has not."""
        try:
            value.encode(self.name)
        except UnicodeEncodeError as error:
            return value[error.start]
        return None


UTF_8 = Charset()


def charset_of(described: TaskObject) -> Charset:
    """The field `charset` of a data format; raises PermanentTaskError."""
    given = described.get("charset")
    if given is None:
        return UTF_8
    try:
        found = codecs.lookup(given.strip())
        is_text = isinstance(b"".decode(found.name), str) and "".encode(found.name) is not None
        codecs.getincrementaldecoder(found.name), codecs.getincrementalencoder(found.name)
    except (LookupError, TypeError, UnicodeError):
        is_text = False
    else:
        is_text = is_text and found.name.replace("_", "-") not in _NO_CHARSETS
    if not is_text:
        message = (
            f"{described.type} {described.component_id!r}, field 'charset': found {given!r}, "
            "wanted a character set such as utf-8, utf-16, latin-1 or cp1252"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    return Charset(found.name)


def refuse_character(
    charset: Charset,
    rows: Iterable[Sequence[str | None]],
    names: Sequence[str],
    *,
    target: str,
    rows_before: int,
) -> TaskError:
    """The error for the first value with a character that the set has not."""
    for number, row in enumerate(rows, rows_before + 1):
        for position, value in enumerate(row):
            if value is not None and (character := charset.has_not(value)) is not None:
                column = repr(names[position]) if position < len(names) else str(position + 1)
                message = (
                    f"{target}: row {number}, column {column}: {quoted(value, 60)} has the "
                    f"character {character!r}, which {charset.name} has not; wanted another charset"
                )
                return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    message = f"{target}: a separator is not in {charset.name}; wanted another charset"
    return PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def _lines_before(error: UnicodeError, name: str) -> int:
    if not isinstance(error, UnicodeDecodeError):
        return 0
    return error.object[: error.start].decode(name, errors="ignore").count("\n")


def _told(error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"bytes {error.object[error.start : error.end].hex(' ')}"
    return str(error)

"""What a copy has to show of both its sides: how many rows each counted, and checksums.

Of files the checksum is what the store says of the objects: their ETags. Of a table's rows it is
the CRC-32 of the bytes that they are in the files, without compression: so the copy out of a table
and the copy of its file into another one have the same.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields

from taskrunner.data.formats.compression import crc32
from taskrunner.data.objects.base import Tagged

_LOG = logging.getLogger(__name__)


class Etags:
    """Of objects, one after the other: that of a single one, or the MD5 sum of several."""

    def __init__(self) -> None:
        self._last = ""
        self._first = ""
        self._count = 0
        self._sum = hashlib.md5(usedforsecurity=False)
        self._are_known = True

    def add(self, uri: str, stream: object) -> None:
        """One that is read or was written; the same one again counts once."""
        if uri == self._last:
            return
        self._last = uri
        etag = stream.etag if isinstance(stream, Tagged) else ""
        self._are_known = self._are_known and bool(etag)
        self._count += 1
        self._first = self._first or etag
        self._sum.update(f"{etag}\n".encode())

    def __str__(self) -> str:
        if not self._count or not self._are_known:
            return ""
        if self._count == 1:
            return f"etag:{self._first}"
        return f"md5:{self._sum.hexdigest()} of {self._count} etags"


class TextSum:
    """The CRC-32 of what files hold, one after the other."""

    def __init__(self) -> None:
        self._uri = ""
        self._before = 0
        self._crc = 0

    def passed(self, uri: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """A file's bytes as they are read; of one that is opened again the first time is forgot."""
        if uri == self._uri:
            self._crc = self._before
        self._uri, self._before = uri, self._crc
        for chunk in chunks:
            self._crc = crc32(chunk, self._crc)
            yield chunk

    def __str__(self) -> str:
        return shown(self._crc)


def shown(crc: int) -> str:
    """A CRC-32 as it is shown."""
    return f"crc32:{crc:08x}"


@dataclass(slots=True)
class BothSides:
    """What is known of a copy's two sides; None or empty: it does not have that."""

    source_rows: int | None = field(default=None, metadata={"name": "sourceRows"})
    target_rows: int | None = field(default=None, metadata={"name": "targetRows"})
    source_checksum: str = field(default="", metadata={"name": "sourceChecksum"})
    target_checksum: str = field(default="", metadata={"name": "targetChecksum"})

    def told(self) -> dict[str, str | int]:
        """As fields of the attempt."""
        found = {item.metadata["name"]: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in found.items() if value is not None and value != ""}

    def took(self, rows: int, *, sent: int, table: str) -> None:
        """What the server says of a load; a difference is the author's business, and is told."""
        self.source_rows, self.target_rows = sent, rows
        if rows != sent:
            _LOG.warning(
                "Table %s: %d rows were sent, and the server says that it took %d: a trigger or a "
                "rule of the table leaves rows out, moves them or adds some",
                table,
                sent,
                rows,
            )

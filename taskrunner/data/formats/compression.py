"""gzip on the way to and from an object, a piece at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from taskrunner.data.objects.base import ObjectReader, ObjectWriter
from taskrunner.errors import TaskError

#: Selects gzip's framing, the time stamp left at zero: the same rows give the same bytes.
_GZIP = 31
#: A tenth larger than the usual level, in a third of the time.
_LEVEL = 1
_CHUNK = 1 << 18


class GzipWriter:
    """Compresses what is written; `finish` must be called before the object is committed."""

    def __init__(self, target: ObjectWriter) -> None:
        self._target = target
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def write(self, data: bytes, /) -> int:
        """Compress some bytes."""
        compressed = self._compressor.compress(data)
        if compressed:
            self._target.write(compressed)
        return len(data)

    def finish(self) -> None:
        """Write what is left, and the checksum."""
        self._target.write(self._compressor.flush())


def chunks(reader: ObjectReader) -> Iterator[bytes]:
    """An object's bytes as they are."""
    while data := reader.read(_CHUNK):
        yield data


def gunzipped(reader: ObjectReader, *, source: str) -> Iterator[bytes]:
    """An object's bytes after decompression; several gzip members count as one.

    Raises TaskError that names `source` when they are not gzip's, are damaged or are cut off.
    """
    stream = zlib.decompressobj(_GZIP)
    begun = False
    for piece in chunks(reader):
        data = piece
        while data:
            begun = True
            try:
                plain = stream.decompress(data, _CHUNK)
            except zlib.error as error:
                raise TaskError(f"{source}: the gzip data cannot be read ({error})") from error
            if plain:
                yield plain
            data = stream.unconsumed_tail
            if stream.eof:
                data = stream.unused_data
                stream, begun = zlib.decompressobj(_GZIP), False
    if begun:
        raise TaskError(f"{source}: the object ends in the middle of its gzip data")

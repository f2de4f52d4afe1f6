"""Compression on the way to and from an object, a piece at a time: gzip and zstd.

gzip is done by ISA-L where it is installed, which is several times faster than zlib and compresses
as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import ModuleType
from typing import Any, Protocol

from taskrunner.data.formats.relay import ahead, behind
from taskrunner.data.objects.base import ObjectReader, ObjectWriter
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

try:
    from isal import isal_zlib
except ImportError:  # there is none for this kind of processor
    _library: Any = zlib
    _ERRORS: Any = zlib.error
else:
    _library = isal_zlib
    _ERRORS = (zlib.error, isal_zlib.error)


def crc32(data: bytes, before: int = 0) -> int:
    """The CRC-32 of bytes that follow others, of which it was `before`."""
    found: int = _library.crc32(data, before)
    return found


#: Selects gzip's framing, the time stamp left at zero: the same rows give the same bytes.
_GZIP = 31
#: A tenth larger than the usual level of zlib, in a third of its time.
_LEVEL = 1
_ZSTD_LEVEL = 3
_CHUNK = 1 << 18
#: zstd's library has no bound on what it gives at once: so much of it is at most 32 MiB of zeros.
_ZSTD_FED = 1 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How much larger than before data may get; what grows more was made to fill a disk."""

    times: int = 1000
    #: So many bytes are given in any case.
    free: int = 1 << 30


USUAL_GROWTH = Growth()


class Compression(StrEnum):
    """How an object's bytes are compressed: the words of S3DataNode's field `compression`."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"

    @property
    def extension(self) -> str:
        """What the names of such files end in."""
        return _EXTENSIONS[self]


_EXTENSIONS = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}
#: How the bytes of each kind begin.
_MAGIC = {Compression.GZIP: b"\x1f\x8b", Compression.ZSTD: b"\x28\xb5\x2f\xfd"}


class CompressingWriter(Protocol):
    """Compresses what is written; `finish` must be called before the object is committed."""

    def write(self, data: bytes, /) -> int:
        """Compress some bytes."""
        ...

    def finish(self) -> None:
        """Write what is left, and the checksum."""
        ...


class _Writer:
    def __init__(self, target: ObjectWriter, compressor: Any) -> None:
        self._target = target
        self._compressor = compressor

    def write(self, data: bytes, /) -> int:
        """Compress some bytes."""
        compressed = self._compressor.compress(data)
        if compressed:
            self._target.write(compressed)
        return len(data)

    def finish(self) -> None:
        """Write what is left, and the checksum."""
        self._target.write(self._compressor.flush())


class GzipWriter(_Writer):
    """Writes one gzip member."""

    def __init__(self, target: ObjectWriter) -> None:
        super().__init__(target, _library.compressobj(_LEVEL, zlib.DEFLATED, _GZIP))


class ZstdWriter(_Writer):
    """Writes one zstd frame, with the checksum of its content."""

    def __init__(self, target: ObjectWriter) -> None:
        compressor = _zstd().ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        super().__init__(target, compressor.compressobj())


def writer_of(compression: Compression, target: ObjectWriter) -> CompressingWriter:
    """What compresses into an object; not for NONE."""
    return ZstdWriter(target) if compression is Compression.ZSTD else GzipWriter(target)


def chunks(reader: ObjectReader) -> Iterator[bytes]:
    """An object's bytes as they are."""
    while data := reader.read(_CHUNK):
        yield data


def gunzipped(
    reader: ObjectReader, *, source: str, growth: Growth = USUAL_GROWTH
) -> Iterator[bytes]:
    """An object's bytes after decompression; several gzip members count as one.

    Raises TaskError that names `source` when they are not gzip's, are damaged or are cut off.
    """
    stream = _library.decompressobj(_GZIP)
    begun = False
    grown = _Grown(source, growth)
    for piece in chunks(reader):
        data, plain = piece, b""
        grown.read += len(piece)
        # What is left of the data may all be inside of the library, waiting for room.
        while data or len(plain) == _CHUNK:
            begun = True
            try:
                plain = stream.decompress(data, _CHUNK)
            except _ERRORS as error:
                raise TaskError(f"{source}: the gzip data cannot be read ({error})") from error
            if plain:
                grown.check(len(plain))
                yield plain
            data = stream.unconsumed_tail
            if stream.eof:
                data, plain = stream.unused_data, b""
                stream, begun = _library.decompressobj(_GZIP), False
    if begun:
        raise TaskError(f"{source}: the object ends in the middle of its gzip data")


def unzstded(
    reader: ObjectReader, *, source: str, growth: Growth = USUAL_GROWTH
) -> Iterator[bytes]:
    """As `gunzipped`, of zstd's frames; those that may be skipped are."""
    library = _zstd()
    maker = library.ZstdDecompressor()
    stream = maker.decompressobj()
    begun = False
    grown = _Grown(source, growth)
    for piece in chunks(reader):
        grown.read += len(piece)
        for start in range(0, len(piece), _ZSTD_FED):
            data = piece[start : start + _ZSTD_FED]
            while data:
                begun = True
                try:
                    plain = stream.decompress(data)
                except library.ZstdError as error:
                    raise TaskError(f"{source}: the zstd data cannot be read ({error})") from error
                for at in range(0, len(plain), _CHUNK):
                    grown.check(len(plain[at : at + _CHUNK]))
                    yield plain[at : at + _CHUNK]
                data = b""
                if stream.eof:
                    data = stream.unused_data
                    stream, begun = maker.decompressobj(), False
    if begun:
        raise TaskError(f"{source}: the object ends in the middle of its zstd data")


class _Grown:
    """How much larger data have got."""

    def __init__(self, source: str, most: Growth) -> None:
        self._source = source
        self._most = most
        self.read = 0
        self._given = 0

    def check(self, size: int) -> None:
        """Count bytes after decompression; raises PermanentTaskError."""
        self._given += size
        if self._given > max(self._most.free, self._most.times * self.read):
            message = (
                f"{self._source}: found {self._given >> 20:,} MiB in the first {self.read:,} "
                f"compressed bytes, wanted at most {self._most.times:,} times as much: that is "
                "what was made to fill a disk; decompress it by hand if it is not"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)


def plain_bytes(reader: ObjectReader, compression: Compression, *, source: str) -> Iterator[bytes]:
    """An object's bytes after decompression, if there is any to be done.

    Raises TaskError that names `source`, also for data that are compressed and should not be.
    """
    if compression is Compression.GZIP:
        return gunzipped(reader, source=source)
    if compression is Compression.ZSTD:
        return unzstded(reader, source=source)
    return _not_compressed(chunks(reader), source)


def _not_compressed(data: Iterator[bytes], source: str) -> Iterator[bytes]:
    first = next(data, b"")
    for compression, magic in _MAGIC.items():
        if first.startswith(magic):
            message = (
                f"{source} holds {compression} data: set the data node's compression to "
                f"{compression}"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    yield first
    yield from data


@contextmanager
def compressing(
    target: ObjectWriter, compression: Compression = Compression.GZIP
) -> Iterator[Callable[[bytes], object]]:
    """Takes the bytes of an object, which another thread compresses and writes meanwhile."""
    if compression is Compression.NONE:
        yield target.write
        return

    def take(pieces: Iterator[bytes]) -> None:
        writer = writer_of(compression, target)
        for piece in pieces:
            writer.write(piece)
        writer.finish()

    with behind(take, name=compression) as put:
        yield put


@contextmanager
def decompressing(
    reader: ObjectReader, *, source: str, compression: Compression = Compression.GZIP
) -> Iterator[Iterator[bytes]]:
    """As `plain_bytes`, decompressed by another thread ahead of whoever takes the pieces."""
    pieces = plain_bytes(reader, compression, source=source)
    if compression is Compression.NONE:
        yield pieces
        return
    with ahead(pieces, name=f"un{compression}") as taken:
        yield taken


def _zstd() -> ModuleType:
    try:
        import zstandard
    except ImportError as error:
        message = (
            "zstd needs the Python package zstandard, which is not installed on this host: "
            "pip install zstandard"
        )
        raise PermanentTaskError(message, error_id=ErrorId.UNSUPPORTED_TYPE) from error
    return zstandard

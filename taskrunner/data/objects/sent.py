"""What was sent for an object, remembered so that the store can be held to it."""

from __future__ import annotations

import hashlib
import zlib

from taskrunner.data.objects.base import ObjectInfo, ObjectStore
from taskrunner.data.objects.s3_parts import part_size
from taskrunner.errors import ErrorId, TaskError

_CHUNK = 1 << 20


class Sent:
    """Takes an object's bytes as they go out; knows its size, checksum and ETags."""

    def __init__(self) -> None:
        self.size = 0
        self.crc = 0
        self._parts: list[bytes] = []
        self._part = _md5()
        self._room = part_size(1)

    def add(self, data: bytes) -> None:
        """The next bytes."""
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)
        rest = memoryview(data)
        while len(rest) >= self._room:
            self._part.update(rest[: self._room])
            rest = rest[self._room :]
            self._parts.append(self._part.digest())
            self._part = _md5()
            self._room = part_size(len(self._parts) + 1)
        self._part.update(rest)
        self._room -= len(rest)

    @property
    def etag(self) -> str:
        """What a store says that makes ETags as S3 does without keys of a KMS."""
        if not self._parts:
            return self._part.hexdigest()
        parts = [*self._parts]
        if self._room < part_size(len(parts) + 1):
            parts.append(self._part.digest())
        whole = _md5(b"".join(parts)).hexdigest()
        return f"{whole}-{len(parts)}"


def verify(store: ObjectStore, uri: str, sent: Sent) -> None:
    """Hold a store to what it was sent; raises TaskError when the object there is another.

    An ETag that is no checksum of ours says nothing: then the object is read back.
    """
    found = store.stat(uri)
    if found is None or not _is_it(store, found, sent):
        size = "nothing" if found is None else f"{found.size} bytes"
        message = f"{uri} does not hold what was sent: {size} there, {sent.size} bytes sent"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)


def _is_it(store: ObjectStore, found: ObjectInfo, sent: Sent) -> bool:
    if found.size != sent.size:
        return False
    return found.etag == sent.etag or _read_back(store, found.uri) == (sent.size, sent.crc)


def _read_back(store: ObjectStore, uri: str) -> tuple[int, int]:
    size = crc = 0
    with store.open_read(uri) as reader:
        while data := reader.read(_CHUNK):
            size += len(data)
            crc = zlib.crc32(data, crc)
    return size, crc


def _md5(data: bytes = b"") -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)

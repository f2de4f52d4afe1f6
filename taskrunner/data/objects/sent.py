"""Holding a store to what it was sent."""

from __future__ import annotations

from taskrunner.data.objects.base import ObjectInfo, ObjectStore
from taskrunner.data.objects.digest import Digest
from taskrunner.errors import ErrorId, TaskError

_CHUNK = 1 << 20


def verify(store: ObjectStore, uri: str, sent: Digest, told: str = "") -> None:
    """Hold a store to what it was sent; raises TaskError when the object there is another.

    `told` is the ETag that the store made of the object when it took it: if that is the sum of what
    was sent, it is not asked once more. One that is no checksum of ours says nothing; where all it
    says is such, the object is read back.
    """
    if told and told == sent.etag:
        return
    found = store.stat(uri)
    if found is None or not _is_it(store, found, sent):
        size = "nothing" if found is None else f"{found.size} bytes"
        message = f"{uri} does not hold what was sent: {size} there, {sent.size} bytes sent"
        raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)


def _is_it(store: ObjectStore, found: ObjectInfo, sent: Digest) -> bool:
    if found.size != sent.size:
        return False
    return found.etag == sent.etag or _read_back(store, found.uri) == (sent.size, sent.crc)


def _read_back(store: ObjectStore, uri: str) -> tuple[int, int]:
    read = Digest()
    with store.open_read(uri) as reader:
        while data := reader.read(_CHUNK):
            read.add(data)
    return read.size, read.crc

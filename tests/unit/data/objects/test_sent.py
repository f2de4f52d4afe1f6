from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.data.objects.base import ObjectInfo
from taskrunner.data.objects.digest import Digest
from taskrunner.data.objects.sent import verify
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError


def _sent(data: bytes) -> Digest:
    sent = Digest()
    sent.add(data)
    return sent


class Store:
    """A store whose objects say what a test has them say."""

    def __init__(self, folder: Path, *, etag: str | None) -> None:
        self._inner = open_store(DataSettings(s3_root=folder))
        self._etag = etag
        self.reads = 0
        self.open_write = self._inner.open_write
        self.list = self._inner.list
        self.copy = self._inner.copy
        self.copy_all = self._inner.copy_all
        self.download = self._inner.download
        self.upload = self._inner.upload
        self.delete = self._inner.delete

    def put(self, data: bytes) -> None:
        with self.open_write("s3://b/k") as target:
            target.write(data)

    def open_read(self, uri: str):  # type: ignore[no-untyped-def]
        self.reads += 1
        return self._inner.open_read(uri)

    def stat(self, uri: str) -> ObjectInfo | None:
        found = self._inner.stat(uri)
        if found is None:
            return None
        return ObjectInfo(uri=uri, size=found.size, modified=found.modified, etag=self._etag)


def test_an_etag_that_is_ours_is_enough(tmp_path: Path) -> None:
    sent = _sent(b"abc")
    store = Store(tmp_path, etag=sent.etag)
    store.put(b"abc")
    verify(store, "s3://b/k", sent)
    assert store.reads == 0


def test_what_the_store_made_of_it_as_it_took_it_is_enough(tmp_path: Path) -> None:
    sent = _sent(b"abc")
    nothing_there = Store(tmp_path, etag=None)
    verify(nothing_there, "s3://b/k", sent, sent.etag)
    for told in ("", "0" * 32, _sent(b"abd").etag):
        with pytest.raises(TaskError, match="nothing there, 3 bytes sent"):
            verify(nothing_there, "s3://b/k", sent, told)


@pytest.mark.parametrize("etag", [None, "0" * 32])
def test_without_one_the_object_is_read_back(tmp_path: Path, etag: str | None) -> None:
    store = Store(tmp_path, etag=etag)
    store.put(b"abc")
    verify(store, "s3://b/k", _sent(b"abc"))
    assert store.reads == 1
    with pytest.raises(TaskError, match="does not hold what was sent") as caught:
        verify(store, "s3://b/k", _sent(b"abd"))
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED


def test_what_is_cut_short_or_missing_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path, etag=None)
    with pytest.raises(TaskError, match="nothing there, 3 bytes sent"):
        verify(store, "s3://b/k", _sent(b"abc"))
    store.put(b"ab")
    with pytest.raises(TaskError, match="2 bytes there, 3 bytes sent"):
        verify(store, "s3://b/k", _sent(b"abc"))
    assert store.reads == 0

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from taskrunner.agent.logs.uploads import Uploader
from taskrunner.data.objects.base import ObjectInfo, ObjectStore
from taskrunner.data.objects.digest import Digest
from taskrunner.errors import TaskError


class Writer:
    """Takes an object; the store says what it made of it, once it has it."""

    def __init__(self) -> None:
        self.sent = Digest()
        self.etag = ""

    def write(self, data: bytes, /) -> int:
        self.sent.add(data)
        return len(data)


class Store:
    """A store that has lost the object by the time it is looked at."""

    def __init__(self, says: str | None) -> None:
        self.says = says
        self.looks = 0

    @contextmanager
    def open_write(self, _uri: str) -> Iterator[Writer]:
        writer = Writer()
        yield writer
        writer.etag = writer.sent.etag if self.says is None else self.says

    def stat(self, _uri: str) -> ObjectInfo | None:
        self.looks += 1
        return None


def upload(store: Any, folder: Path) -> None:
    log = folder / "StdOutput"
    log.write_bytes(b"line\n" * 1000)
    with ThreadPoolExecutor(1) as compressing:
        Uploader(cast(ObjectStore, store), compressing).log(log, "s3://b/k")


def test_a_store_that_says_what_it_was_sent_is_not_asked_once_more(tmp_path: Path) -> None:
    store = Store(None)
    upload(store, tmp_path)
    assert store.looks == 0


@pytest.mark.parametrize("says", ["", "0" * 32, "no sum at all"])
def test_a_store_that_says_something_else_is_asked(tmp_path: Path, says: str) -> None:
    store = Store(says)
    with pytest.raises(TaskError, match="nothing there"):
        upload(store, tmp_path)
    assert store.looks == 1

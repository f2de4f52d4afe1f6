from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.data.claims import Claim
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError

FIRST = Claim(pipeline="df-1", instance="@Copy_2026", run="r1", attempt=1, handout="h1")
SECOND = replace(FIRST, attempt=2, handout="h2")
URI = "s3://b/k"


def put(folder: Path, claim: Claim | None, data: bytes) -> None:
    with open_store(DataSettings(s3_root=folder, claim=claim)).open_write(URI) as writer:
        writer.write(data)


def marks_work(folder: Path) -> bool:
    try:
        os.setxattr(folder, "user.taskrunner.test", b"x")
    except OSError as error:
        return error.errno != errno.ENOTSUP
    return True


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    if not marks_work(tmp_path):
        pytest.skip("this file system keeps no extended attributes")
    return tmp_path


def test_a_later_attempts_file_stays(marked: Path) -> None:
    put(marked, SECOND, b"second")
    with pytest.raises(TaskError, match=f"{URI}: a later attempt of @Copy_2026 has written it"):
        put(marked, FIRST, b"first")
    assert (marked / "b/k").read_bytes() == b"second"
    assert [path.name for path in (marked / "b").iterdir()] == ["k"]
    put(marked, replace(FIRST, attempt=3), b"third")
    put(marked, replace(FIRST, instance="@Other"), b"other")
    put(marked, FIRST, b"first")
    put(marked, None, b"nobody's")
    assert (marked / "b/k").read_bytes() == b"nobody's"


def test_a_link_in_its_place_is_replaced_and_not_followed(marked: Path) -> None:
    put(marked, SECOND, b"second")
    (marked / "b/k").rename(marked / "elsewhere")
    (marked / "b/k").symlink_to(marked / "elsewhere")
    put(marked, FIRST, b"first")
    assert (marked / "elsewhere").read_bytes() == b"second"
    assert (marked / "b/k").read_bytes() == b"first"


def test_without_attributes_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object, **__: object) -> bytes:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "getxattr", unsupported)
    monkeypatch.setattr(os, "setxattr", unsupported)
    put(tmp_path, SECOND, b"second")
    put(tmp_path, FIRST, b"first")
    assert (tmp_path / "b/k").read_bytes() == b"first"

"""The commands' files: what is made for them, and what is taken from them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskrunner.data.files import WorkFiles
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError


def test_files_are_made_within_the_users_rights(tmp_path: Path) -> None:
    events = []

    @contextmanager
    def rights() -> Iterator[None]:
        events.append("taken")
        yield
        events.append("given back")

    files = WorkFiles(tmp_path, rights)
    script = files.write("run.sh", b"true\n", executable=True)
    assert script.stat().st_mode & 0o777 == 0o700
    assert files.write("deep/data", b"x").stat().st_mode & 0o777 == 0o600
    assert files.folder("a/b").is_dir()
    with files.open(script) as opened:
        assert opened.read() == b"true\n"
    assert events[::2] == ["taken"] * (len(events) // 2)
    assert events[1::2] == ["given back"] * (len(events) // 2)


def test_objects_go_in_and_out_whole(tmp_path: Path) -> None:
    store = open_store(DataSettings(s3_root=tmp_path / "s3"))
    files = WorkFiles(tmp_path / "work")
    path = files.write("out", b"data" * 1000)
    assert files.upload(store, path, "s3://b/k") == 4000
    assert files.download(store, "s3://b/k", files.root / "deep" / "in") == 4000
    assert (files.root / "deep" / "in").read_bytes() == b"data" * 1000


@pytest.mark.parametrize("what", ["link out", "folder", "fifo", "nothing"])
def test_what_a_name_has_become_meanwhile_is_looked_at_when_it_is_open(
    tmp_path: Path, what: str
) -> None:
    (tmp_path / "secret").write_text("of the agent")
    files = WorkFiles(tmp_path / "work")
    path = files.folder("x") / "out"
    if what == "link out":
        path.symlink_to(tmp_path / "secret")
    elif what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    store = open_store(DataSettings(s3_root=tmp_path / "s3"))
    with pytest.raises(TaskError) as caught:
        files.upload(store, path, "s3://b/k")
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert not (tmp_path / "s3" / "b" / "k").exists()


def test_a_link_within_the_folder_is_its_file(tmp_path: Path) -> None:
    files = WorkFiles(tmp_path)
    path = files.write("real", b"x")
    (tmp_path / "link").symlink_to(path)
    with files.open(tmp_path / "link") as opened:
        assert opened.read() == b"x"


def test_a_new_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    files = WorkFiles(tmp_path / "work")
    files.folder("x")
    (files.root / "script").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="script"):
        files.write("script", b"x")
    assert not (tmp_path / "elsewhere").exists()

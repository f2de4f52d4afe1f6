"""Which local files may be opened; what races and users add is in tests/security."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taskrunner.errors import PathNotAllowed
from taskrunner.host.local_files import ANYWHERE, LocalFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "listed"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "file").write_text("good")
    (tmp_path / "outside").write_text("secret")
    (folder / "out").symlink_to(tmp_path)
    (folder / "gone").symlink_to(tmp_path / "gone")
    (folder / "within").symlink_to(folder / "in")
    return folder


def content(local: LocalFiles, path: Path) -> str:
    with os.fdopen(local.open(path)) as file:
        return file.read()


@pytest.mark.parametrize("path", ["in/file", "within/file", "out/listed/in/file", "in/../in/file"])
def test_what_lies_below_a_listed_folder_is_opened(folder: Path, path: str) -> None:
    assert content(LocalFiles(folders=(folder,)), folder / path) == "good"


def test_a_folder_may_be_listed_by_a_link(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert content(LocalFiles(folders=(link,)), link / "in" / "file") == "good"
    assert content(LocalFiles(folders=(link,)), folder / "in" / "file") == "good"


def test_a_file_may_be_listed_and_made(tmp_path: Path) -> None:
    local = LocalFiles(folders=(tmp_path / "new" / "file",))
    os.close(local.parent(tmp_path / "new" / "file", make=True))
    assert (tmp_path / "new").is_dir()
    with pytest.raises(PathNotAllowed):
        local.parent(tmp_path / "new" / "other")


@pytest.mark.parametrize(
    "path",
    ["out/outside", "gone", "out/gone", "../outside", "../gone", "in/../../outside", "none/../.."],
)
@pytest.mark.parametrize("use", [LocalFiles.open, LocalFiles.stat, LocalFiles.open_folder])
def test_what_leads_out_is_refused_whether_it_is_there_or_not(
    folder: Path, path: str, use: Callable[[LocalFiles, Path], object]
) -> None:
    with pytest.raises(PathNotAllowed):
        use(LocalFiles(folders=(folder,)), folder / path)


@pytest.mark.parametrize("path", ["out/outside", "out/gone", "../outside", "in/../../outside"])
def test_no_folder_outside_is_entered(folder: Path, path: str) -> None:
    with pytest.raises(PathNotAllowed):
        LocalFiles(folders=(folder,)).parent(folder / path)


def test_what_is_missing_inside_is_told_as_missing(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalFiles(folders=(folder,)).open(folder / "none" / "file")


@pytest.mark.parametrize("path", ["out/made/file", "none/../../made/file", "gone/file"])
def test_no_folder_is_made_outside(folder: Path, path: str) -> None:
    with pytest.raises((PathNotAllowed, NotADirectoryError)):
        LocalFiles(folders=(folder,)).parent(folder / path, make=True)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["listed", "outside"]


@pytest.mark.parametrize("name", ["\ud800", "x" * 5000, "a\0b"])
def test_names_that_no_file_can_have_are_refused(folder: Path, name: str) -> None:
    local = LocalFiles(folders=(folder / "in",))
    with pytest.raises(PathNotAllowed):
        local.check(folder / name)
    with pytest.raises(PathNotAllowed):
        local.open(folder / name)


def test_what_is_no_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    local = LocalFiles(folders=(folder,))
    with pytest.raises(OSError, match="no regular file"):
        local.open(folder / "fifo")
    with pytest.raises(IsADirectoryError):
        local.open(folder / "in")


def test_nothing_is_open_by_default_and_the_root_opens_all(folder: Path) -> None:
    with pytest.raises(PathNotAllowed, match="local_paths is empty"):
        LocalFiles().open(folder / "in" / "file")
    assert content(ANYWHERE, folder / "out" / "outside") == "secret"
    assert content(LocalFiles(own=(folder,)), folder / "in" / "file") == "good"


def test_no_descriptor_is_left_open(folder: Path) -> None:
    local = LocalFiles(folders=(folder,))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("in/file", "out/outside", "none/file", "in"):
        for use in (local.open, local.stat, local.open_folder, local.parent):
            try:
                found = use(folder / path)
            except (OSError, PathNotAllowed):
                continue
            if isinstance(found, int):
                os.close(found)
    assert len(list(Path("/proc/self/fd").iterdir())) == before

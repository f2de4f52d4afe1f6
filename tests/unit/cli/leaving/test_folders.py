from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskrunner.cli.leaving.folders import present_folders, read_folders, write_folder
from taskrunner.errors import UsageError
from taskrunner.model.leaving.manifest import Manifest
from tests.unit.model.leaving.definitions import definition, shell

MANIFEST = Manifest(name="orders", unique_id="u", pipeline_id="df-1", tags={"team": "bi"})


def test_what_is_written_is_read_and_written_again_only_when_it_changes(tmp_path: Path) -> None:
    found = definition(shell("B", command="é"), shell("A"), values={"myX": "1"})
    path = tmp_path / "top" / "orders"
    assert write_folder(path, MANIFEST, found)
    (read,) = read_folders(tmp_path / "top")
    assert (read.manifest, {item.id for item in read.definition()}) == (MANIFEST, {"A", "B"})
    assert json.loads((path / "pipeline.json").read_text())["values"] == {"myX": "1"}
    before = {file: file.stat().st_mtime_ns for file in path.iterdir()}
    assert not write_folder(path, MANIFEST, found)
    assert {file: file.stat().st_mtime_ns for file in path.iterdir()} == before
    assert write_folder(path, MANIFEST, definition(shell("A")))
    assert sorted(file.name for file in path.iterdir()) == ["manifest.json", "pipeline.json"]


def test_the_folder_of_one_pipeline_is_a_choice_of_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_folder(tmp_path / name, Manifest(name=name, pipeline_id=f"df-{name}"), definition())
    (tmp_path / ".git").mkdir()
    assert [one.name for one in read_folders(tmp_path)] == ["a", "b"]
    assert [one.name for one in read_folders(tmp_path / "a")] == ["a"]
    assert [one.name for one in present_folders(tmp_path)] == ["a", "b"]
    assert present_folders(tmp_path / "none") == []
    with pytest.raises(UsageError, match="is one pipeline's folder"):
        present_folders(tmp_path / "a")


def test_what_is_no_folder_of_pipelines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no pipeline"):
        read_folders(tmp_path)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "pipeline.json").write_text("{}")
    with pytest.raises(UsageError, match=r"found pipeline\.json without manifest\.json"):
        read_folders(tmp_path)
    (tmp_path / "new" / "manifest.json").write_text('{"name": "new"}')
    (tmp_path / "new" / "pipeline.json").unlink()
    (folder,) = read_folders(tmp_path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        folder.definition()

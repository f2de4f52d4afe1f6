"""The folders of an attempt, and how they go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taskrunner.agent.attempt_process.folders import make_folders
from taskrunner.agent.forks.children import Child
from taskrunner.agent.handouts.scratch import remove_scratch
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.ipc.verdicts import Exit
from tests.unit.agent.fakes import FakeClock, FakeSpawner


def _files(folder: Path, user: str | None) -> AttemptFiles:
    return AttemptFiles(log_dir=folder / "logs", scratch=folder / "tmp", log_uri=None, user=user)


def test_plugin_and_commands_of_one_user_share_a_folder(tmp_path: Path) -> None:
    files = _files(tmp_path, None)
    make_folders(files, None)
    assert files.command_dir == files.work_dir
    spawner = FakeSpawner()
    remove_scratch(files, spawner, FakeClock())
    assert spawner.spawned == []
    assert not files.scratch.exists()


def test_what_another_user_owns_is_removed_by_a_process_of_that_user(tmp_path: Path) -> None:
    files = _files(tmp_path, "dp")
    files.command_dir.mkdir(parents=True)
    spawner = FakeSpawner()
    spawner.on_spawn = lambda child: child.ended(Exit(status=0))
    remove_scratch(files, spawner, FakeClock())
    ((role, payload),) = spawner.spawned
    assert role == "cleaner"
    assert json.loads(payload) == {"user": "dp", "folder": str(files.command_dir)}
    assert not files.scratch.exists()


def test_a_removal_that_hangs_is_ended(tmp_path: Path) -> None:
    files = _files(tmp_path, "dp")
    files.command_dir.mkdir(parents=True)
    spawner, ended = FakeSpawner(), list[Child]()
    spawner.on_end = ended.append
    remove_scratch(files, spawner, FakeClock())
    assert ended == spawner.children


@pytest.mark.parametrize("name", ["StdOutput", "StdError"])
def test_logs_are_closed_to_others_when_nobody_else_writes_them(tmp_path: Path, name: str) -> None:
    files = _files(tmp_path, None)
    make_folders(files, None)
    assert (files.log_dir / name).stat().st_mode & 0o022 == 0

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from taskrunner.agent.handouts.ending import read_result
from taskrunner.agent.ipc.progress import read_progress
from taskrunner.agent.ipc.untrusted import read_object
from taskrunner.wire.api import Verdict


def _link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text('{"status": "FINISHED"}')
    path.symlink_to(target)


NASTY: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a link": _link,
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "no JSON": lambda path: path.write_bytes(b"\xff{"),
    "a list": lambda path: path.write_text('["status", "FINISHED"]'),
    "a text": lambda path: path.write_text('"FINISHED"'),
    "too deep": lambda path: path.write_text("[" * 60_000),
    "too much": lambda path: path.write_text(
        json.dumps({"status": "FINISHED", "x": "y" * 300_000})
    ),
    "endless": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("kind", NASTY)
def test_what_a_task_leaves_in_place_of_a_file_is_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "result.json"
    NASTY[kind](path)
    assert read_object(path) == {}
    assert read_result(path) is None
    assert read_progress(path) == {}


@pytest.mark.parametrize("status", ["RUNNING", "", None, 7, ["FINISHED"]])
def test_a_result_that_is_none_is_not_told(tmp_path: Path, status: object) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"status": status, "error_id": "X"}))
    assert read_result(path) is None


def test_of_a_result_only_texts_count(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps({"status": "FAILED", "error_id": 3, "error_message": "m", "x": []}))
    assert read_result(path) == Verdict(status="FAILED", error_message="m")

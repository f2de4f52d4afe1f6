from __future__ import annotations

import json
from pathlib import Path

from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.ipc.progress import progress_of, read_progress


def test_progress_has_a_summary_for_people(tmp_path: Path) -> None:
    files = AttemptFiles(log_dir=tmp_path, scratch=tmp_path, log_uri=None)
    assert progress_of(files) == {}
    files.progress.write_text(json.dumps({"rows": "10", "bytes": "200"}))
    assert progress_of(files)["attemptStatus"] == "rows 10, bytes 200"
    files.progress.write_text("{half")
    assert progress_of(files) == {}


def test_what_a_command_has_written_is_progress_too(tmp_path: Path) -> None:
    files = AttemptFiles(log_dir=tmp_path, scratch=tmp_path, log_uri=None)
    (tmp_path / "StdOutput").write_text("12345")
    (tmp_path / "StdError").write_text("67")
    assert progress_of(files) == {"outputBytes": "7", "attemptStatus": "outputBytes 7"}


def test_of_progress_only_a_few_plain_values_count(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text(json.dumps({"rows": 7, "at": "x", "deep": {}, "none": None}))
    assert read_progress(path) == {"rows": "7", "at": "x"}
    path.write_text(json.dumps({f"k{number}": number for number in range(1000)}))
    assert len(read_progress(path)) == 20

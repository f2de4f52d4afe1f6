from __future__ import annotations

import stat
from pathlib import Path

from taskrunner.agent.attempt_process.result_file import ResultFile


def test_the_result_appears_whole_and_only_when_written(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = ResultFile(path)
    assert not path.exists()
    result.write(b'{"status": "FINISHED"}')
    assert path.read_bytes() == b'{"status": "FINISHED"}'
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_its_room_is_taken_before_the_work(tmp_path: Path) -> None:
    result = ResultFile(tmp_path / "result.json")
    (draft,) = tmp_path.iterdir()
    assert draft.stat().st_blocks * 512 >= 64 << 10
    result.write(b"x" * 100_000)
    assert (tmp_path / "result.json").read_bytes() == b"x" * 100_000

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from taskrunner.host.process_start import process_start_id


def test_a_birth_is_the_same_each_time_and_no_others() -> None:
    mine = process_start_id(os.getpid())
    assert mine is not None
    assert mine == process_start_id(os.getpid())
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as later:
        assert mine != process_start_id(later.pid)


def test_who_is_not_there_has_none() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert process_start_id(process.pid) is None


def _proc(folder: Path, stat: str) -> Path:
    (folder / "sys/kernel/random").mkdir(parents=True)
    (folder / "sys/kernel/random/boot_id").write_text("b-1\n")
    (folder / "7").mkdir()
    (folder / "7/stat").write_text(stat)
    return folder


def test_no_program_name_misleads(tmp_path: Path) -> None:
    fields = " ".join(str(number) for number in range(3, 53))
    proc = _proc(tmp_path, f"7 (a) R 1 2 (b) {fields}")
    assert process_start_id(7, proc) == "b-1/22"


@pytest.mark.parametrize("stat", ["", "7 (sh) S 1", "7 (sh) " + "x " * 50])
def test_what_cannot_be_read_is_nobody(tmp_path: Path, stat: str) -> None:
    assert process_start_id(7, _proc(tmp_path, stat)) is None

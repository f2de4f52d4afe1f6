from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.activities.commands import copy_output, run_to_end
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError
from taskrunner.host.process import Command


def _command(folder: Path, script: str) -> Command:
    return Command(
        ["/bin/sh", "-c", script],
        env={"PATH": "/usr/bin:/bin"},
        cwd=folder,
        stdout=folder / "out",
        stderr=folder / "err",
    )


def test_a_result_has_the_end_of_what_this_command_complained_of(tmp_path: Path) -> None:
    (tmp_path / "err").write_text("of an earlier one\n")
    result = run_to_end(_command(tmp_path, "echo why >&2; exit 3"), stderr=tmp_path / "err")
    assert (result.exit_code, result.stderr_tail, result.out_of_memory) == (3, "why", False)
    assert result.largest_process > 1 << 16
    result = run_to_end(_command(tmp_path, "kill -9 $$"), stderr=tmp_path / "err")
    assert (result.exit_code, result.stderr_tail, result.signal) == (-9, "", 9)


def test_a_command_that_begins_its_log_anew_is_heard_too(tmp_path: Path) -> None:
    (tmp_path / "err").write_text("of an earlier one\n" * 10)
    result = run_to_end(_command(tmp_path, "echo why > err; exit 3"), stderr=tmp_path / "err")
    assert result.stderr_tail == "why"


def test_output_that_is_not_whole_does_not_become_an_object(tmp_path: Path) -> None:
    objects = open_store(DataSettings(s3_root=tmp_path / "s3"))
    log = tmp_path / "StdOutput"
    log.write_text("all of it")
    copy_output(objects, log, "s3://b/whole")
    assert (tmp_path / "s3" / "b" / "whole").read_text() == "all of it"
    log.with_name("StdOutput.gap").write_text("0 0 12345\n")
    with pytest.raises(PermanentTaskError, match="left out 12345 bytes of StdOutput") as caught:
        copy_output(objects, log, "s3://b/half")
    assert caught.value.error_id == ErrorId.STORAGE_FULL
    assert objects.stat("s3://b/half") is None

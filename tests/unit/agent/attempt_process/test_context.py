from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.errors import Canceled
from taskrunner.model.document import Ref
from tests.unit.agent.bench import Bench
from tests.unit.agent.fakes import make_object, make_task


def test_commands_run_in_the_work_folder_with_a_clean_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "agents-own")
    monkeypatch.setenv("WANTED_1", "yes")
    bench = Bench(tmp_path, make_task(), pass_env=["WANTED_*"])
    bench.ctx.extra_env["STAGED"] = "here"
    result = bench.ctx.run_command(["/bin/sh", "-c", "pwd; env; exit 7"], env={"OWN": "1"})
    assert result.exit_code == 7
    lines = bench.stdout.splitlines()
    assert lines[0] == str(bench.ctx.work_dir)
    assert {"STAGED=here", "OWN=1", "WANTED_1=yes", "TASKRUNNER_ATTEMPT=mark"} <= set(lines)
    assert f"TMPDIR={bench.ctx.work_dir}" in lines
    assert "agents-own" not in bench.stdout


def test_progress_is_written_at_most_once_a_second_and_at_the_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_task())

    def written() -> object:
        return json.loads(bench.files.progress.read_text())

    bench.ctx.progress(rows=1)
    bench.ctx.progress(rows=2, bytes=10)
    assert written() == {"rows": "1"}
    bench.clock.elapsed += 1
    bench.ctx.progress(rows=3)
    assert written() == {"rows": "3", "bytes": "10"}
    bench.ctx.progress(rows=4)
    bench.ctx.flush_progress()
    assert written() == {"rows": "4", "bytes": "10"}


def test_no_secret_is_in_the_progress(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_task({"*password": "hunter22"}))
    bench.ctx.mask = lambda text: text.replace("hunter22", "*")
    bench.ctx.progress(note="with hunter22")
    assert json.loads(bench.files.progress.read_text()) == {"note": "with *"}


def test_term_interrupts_what_runs_once_and_clean_up_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_task())
    before = signal.getsignal(signal.SIGTERM)
    bench.cancellation.install()
    cleaned = []

    def work() -> None:
        with bench.cancellation:
            try:
                signal.raise_signal(signal.SIGTERM)
                pytest.fail("it went on")
            finally:
                signal.raise_signal(signal.SIGTERM)
                cleaned.append(True)

    try:
        with pytest.raises(Canceled):
            work()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert cleaned == [True]
    with pytest.raises(Canceled):
        bench.ctx.check_canceled()


def test_a_cancel_before_the_work_keeps_it_from_beginning(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_task())
    bench.cancellation.asked = True
    with pytest.raises(Canceled):
        bench.cancellation.__enter__()
    with pytest.raises(Canceled):
        bench.ctx.run_command([sys.executable, "-c", ""])


def test_a_job_survives_the_way_to_the_child() -> None:
    node = make_object("@Node", {"filePath": "s3://b/k", "*password": "x\u00e9\n"})
    task = make_task({"command": "x", "input": [Ref("@Node")], "scriptArgument": ["a", "b"]}, node)
    files = AttemptFiles(log_dir=Path("/l"), scratch=Path("/s"), log_uri="s3://b/l")
    job = Job(task=task, files=files, mark="t", handout="h")
    assert Job.decode(job.encode()) == job

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import psutil
import pytest

from taskrunner.agent.masking import Masker
from taskrunner.errors import Canceled, ErrorId, TaskError
from taskrunner.process import Command, kill_tree, oom_kills, signal_name


def _command(folder: Path, script: str, *, masker: Masker | None = None) -> Command:
    return Command(
        ["/bin/sh", "-c", script],
        env={"PATH": os.environ["PATH"]},
        cwd=folder,
        stdout=folder / "out",
        stderr=folder / "err",
        output_filter=masker.stream if masker else None,
        grace_s=10,
    )


@pytest.mark.parametrize("masker", [None, Masker(["secret-value"])])
def test_output_is_appended_and_the_exit_code_returned(
    tmp_path: Path, masker: Masker | None
) -> None:
    (tmp_path / "out").write_text("before\n")
    assert _command(tmp_path, "echo out; echo err >&2; exit 3", masker=masker).run() == 3
    assert (tmp_path / "out").read_text() == "before\nout\n"
    assert (tmp_path / "err").read_text() == "err\n"
    assert _command(tmp_path, "kill -9 $$", masker=masker).run() == -9


def test_a_filter_sees_all_output(tmp_path: Path) -> None:
    command = _command(
        tmp_path, "printf secret-; printf 'value end'", masker=Masker(["secret-value"])
    )
    assert command.run() == 0
    assert (tmp_path / "out").read_text() == "********* end"


def test_a_command_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    for argv in (["/no/such/program"], ["/"], ["with\0nul"]):
        command = Command(argv, env={}, cwd=tmp_path, stdout=tmp_path / "o", stderr=tmp_path / "e")
        with pytest.raises(TaskError, match="cannot run") as caught:
            command.run()
        assert caught.value.error_id == ErrorId.COMMAND_FAILED


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_an_interruption_ends_the_whole_group(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    script = f"sleep 1000 & echo $! $$ > {tmp_path}/ready; wait"
    pids: list[int] = []

    def interrupt() -> None:
        pids.extend(map(int, (tmp_path / "ready").read_text().split()))
        os.kill(os.getpid(), signal.SIGUSR1)

    def arrived(_number: int, _frame: object) -> None:
        raise Canceled

    before = signal.signal(signal.SIGUSR1, arrived)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Canceled):
            _command(tmp_path, script).run()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert len(pids) == 2
    assert [pid for pid in pids if _runs(pid)] == []


def test_a_tree_is_killed_with_those_who_left_the_group() -> None:
    script = "setsid sh -c 'echo $$; sleep 1000' & echo $$; wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(process.stdout.readline()) for _ in range(2)]
    tree = [psutil.Process(pid) for pid in pids]
    kill_tree(process.pid)
    assert process.wait(30) == -9
    assert process.stdout.read() == ""  # ends only when the last holder of the pipe is gone
    process.stdout.close()
    _, alive = psutil.wait_procs([p for p in tree if p.pid != process.pid], timeout=30)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    kill_tree(process.pid)  # gone already: no error


def test_signals_have_names() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(60) == "signal 60"
    assert oom_kills() >= 0

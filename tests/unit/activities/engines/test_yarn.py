from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from taskrunner.activities.engines.yarn import guarded
from tests.unit.activities.engines.host import Host

_ID = "application_1700000000000_0042"


def test_output_and_exit_code_are_the_commands_own(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo out; echo err >&2; exit $1", "sh", "7"]
    done = subprocess.run(
        guarded(command, tmp_path / "log"), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_what_the_command_leaves_running_holds_up_nothing(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "sleep 600 >/dev/null & echo $!"]
    with (tmp_path / "err").open("wb") as errors:
        done = subprocess.run(
            guarded(command, tmp_path / "log", patience_s=0.01),
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
        )
    os.kill(int(done.stdout), signal.SIGKILL)
    assert done.returncode == 0


@pytest.mark.parametrize("told", [[_ID, _ID, "application_1700000000000_0043"], []])
def test_told_to_end_it_has_yarn_end_the_applications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    host = Host(tmp_path, monkeypatch)
    host.program("yarn")
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    lines = [f"echo Submitted {name}, as application_x_1 >&2" for name in told]
    # What the error output names is on its way into the log for a moment.
    seen = [f"grep -q {max(told)} < <(tail -n +1 -F {tmp_path}/log)"] if told else []
    script = "; ".join([*lines, *seen, f"echo ready > {ready}", "exec sleep 600"])
    process = subprocess.Popen(
        guarded(["/bin/bash", "-c", script], tmp_path / "log"),
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert ready.read_text() == "ready\n"
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()
    assert process.returncode == 143
    assert host.calls == [["yarn", "application", "-kill", name] for name in sorted(set(told))]

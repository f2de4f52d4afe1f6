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


@pytest.mark.parametrize("told", [[_ID, "application_1700000000000_0043", _ID], []])
def test_told_to_end_it_has_yarn_end_the_applications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    host = Host(tmp_path, monkeypatch)
    host.program("yarn")
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    lines = [f"echo Submitted {name} >&2" for name in [*told, "all"]]
    # The copy of the error output is on its way for a moment.
    seen = f"grep -q all < <(tail -n +1 -F {tmp_path}/log)"
    script = "; ".join([*lines, seen, f"echo ready > {ready}", "exec sleep 600"])
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

"""The wrapper of the test run: it must see what detached itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_leftovers.py"


def wrapped(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--", "bash", "-c", script],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_clean_command_keeps_its_exit_code(tmp_path: Path) -> None:
    assert wrapped("exit 0", tmp_path).returncode == 0
    done = wrapped("exit 3", tmp_path)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_detached_process_is_found_and_ended(tmp_path: Path) -> None:
    done = wrapped("setsid sleep 987654 >/dev/null 2>&1 &", tmp_path)
    assert done.returncode == 1
    assert "sleep 987654" in done.stderr
    running = {" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])}
    assert "sleep 987654" not in running


def test_a_temporary_file_is_found_and_removed(tmp_path: Path) -> None:
    done = wrapped('touch "$TMPDIR/forgotten"', tmp_path)
    assert done.returncode == 1
    assert "forgotten" in done.stderr
    assert list(tmp_path.iterdir()) == []

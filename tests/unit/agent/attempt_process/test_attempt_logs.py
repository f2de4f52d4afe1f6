"""The logs of an attempt, in a process of their own: its descriptors 1 and 2 are taken over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from taskrunner.agent.attempt_process.attempt_logs import start_afresh
from taskrunner.host.capped_log import gap_of, marker

SCRIPT = """
import logging, os, subprocess, sys
from pathlib import Path
from taskrunner.agent.attempt_process.attempt_logs import AttemptLogs
from taskrunner.agent.secrets.masking import Masker
from taskrunner.clock import SystemClock

folder, holes, secrets = Path(sys.argv[1]), sys.argv[2] == "holes", sys.argv[3:]
logs = AttemptLogs(
    folder,
    masker=Masker(secrets),
    pipeline_id="df-1",
    limit=1 << 20,
    clock=SystemClock(),
    holes=lambda _path: holes,
)
{work}
logs.close()
print("after the end")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    start_afresh(tmp_path)
    return tmp_path


def _run(folder: Path, work: str, *, holes: bool, secrets: tuple[str, ...] = ()) -> None:
    argv = [sys.executable, "-c", SCRIPT.format(work=work), str(folder)]
    argv += ["holes" if holes else "none", *secrets]
    assert subprocess.run(argv, check=False).returncode == 0


PRINTS = """
print("out hunter22!", flush=True)
os.write(1, b"hunt"); os.write(1, b"er22 split\\n")
subprocess.run(["sh", "-c", "echo err hunter22! >&2"])
logging.getLogger("taskrunner.activity").info("log hunter22!")
"""


@pytest.mark.parametrize("holes", [True, False])
def test_what_plugins_and_their_programs_print_is_masked(folder: Path, *, holes: bool) -> None:
    _run(folder, PRINTS, holes=holes, secrets=("hunter22!", "hunter22 split"))
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written["StdOutput"] == "out *********\n*********\n"
    assert written["StdError"] == "err *********\n"
    assert "log *********" in written["Activity.log"]


def test_without_secrets_it_goes_straight_to_the_files(folder: Path) -> None:
    _run(folder, PRINTS, holes=True)
    assert (folder / "StdOutput").read_text() == "out hunter22!\nhunter22 split\nafter the end\n"


@pytest.mark.parametrize("secrets", [(), ("hunter22!",)])
@pytest.mark.parametrize("holes", [True, False])
def test_twenty_megabytes_take_one_on_disk_and_hardly_any_memory(
    folder: Path, *, holes: bool, secrets: tuple[str, ...]
) -> None:
    work = """
for number in range(20 << 4):
    os.write(1, b"%063d\\n" % number * 1024)
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
assert int(peak) < 64 << 10, peak
"""
    _run(folder, work, holes=holes, secrets=secrets)
    log = folder / "StdOutput"
    assert log.stat().st_blocks * 512 < 3 << 20
    gap = gap_of(log)
    assert 18 << 20 <= gap.left_out <= 20 << 20
    assert log.read_bytes()[:64] == b"%063d\n" % 0
    assert b"%063d\n" % ((20 << 4) - 1) in log.read_bytes()[-200:]
    if not holes:
        assert marker(gap.left_out) in log.read_bytes()


def test_a_task_is_told_when_it_has_emptied_its_log(folder: Path) -> None:
    work = """
import time
os.write(2, b"a line that is lost\\n" * 1000)
time.sleep(1)
subprocess.run(["sh", "-c", "echo late > /dev/stderr"])
"""
    _run(folder, work, holes=True)
    assert (folder / "StdError").read_text() == "late\n"
    assert "emptied StdError, at least 19995 bytes" in (folder / "Activity.log").read_text()


def test_logs_begin_anew(folder: Path) -> None:
    (folder / "StdOutput").write_text("old")
    (folder / "StdOutput.gap").write_text("1 2 0")
    start_afresh(folder)
    assert (folder / "StdOutput").read_bytes() == b""
    assert gap_of(folder / "StdOutput").left_out == 0


KEEPS = """
copy = os.dup(1)
print("out hunter22!")
import threading
begun = threading.Event()
def shout():
    while True:
        os.write(copy, b"x" * 100)
        begun.set()
threading.Thread(target=shout, daemon=True).start() if {shouts} else begun.set()
begun.wait()
"""


@pytest.mark.parametrize("shouts", [False, True])
def test_a_copy_of_a_descriptor_that_is_kept_holds_nobody_up(folder: Path, *, shouts: bool) -> None:
    _run(folder, KEEPS.replace("{shouts}", str(shouts)), holes=True, secrets=("hunter22!",))
    assert "out *********" in (folder / "StdOutput").read_text()


def test_a_message_that_does_not_fit_its_arguments_fails_nothing(folder: Path) -> None:
    work = 'logging.getLogger("taskrunner.activity").info("%d rows", "many")'
    _run(folder, work, holes=False)

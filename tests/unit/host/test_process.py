from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import taskrunner
from taskrunner.agent.secrets.masking import Masker
from taskrunner.errors import Canceled, ErrorId, TaskError
from taskrunner.host.process import (
    Command,
    Filter,
    oom_kills,
    raise_descriptor_limit,
    signal_name,
)


def _command(folder: Path, script: str, *, masker: Masker | None = None) -> Command:
    return Command(
        ["/bin/sh", "-c", script],
        env={"PATH": os.environ["PATH"]},
        cwd=folder,
        stdout=folder / "out",
        stderr=folder / "err",
        output_filter=(lambda _path: masker.stream()) if masker else None,
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


def test_an_interruption_ends_the_whole_group(tmp_path: Path) -> None:
    def interrupt(_path: Path) -> Filter:
        raise Canceled

    command = Command(
        ["/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait"],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        stdout=tmp_path / "out",
        stderr=tmp_path / "err",
        output_filter=interrupt,
        grace_s=0.2,
    )
    with pytest.raises(Canceled):
        command.run()
    children = psutil.Process().children(recursive=True)
    assert [child for child in children if "sleep" in " ".join(child.cmdline())] == []


#: As an attempt's process does: it adopts orphans. Whoever signals a group is found out.
HELD_OPEN = """
import os
from pathlib import Path
from taskrunner.agent.secrets.masking import Masker
from taskrunner.host.process import Command, become_subreaper

def killpg(group, number):
    raise AssertionError(f"signal {number} to the group {group}, which nobody leads any more")

become_subreaper()
os.killpg = killpg
here = Path.cwd()
code = Command(
    ["/bin/sh", "-c", "sleep 1000 & setsid sleep 1000 & echo out; exit 3"],
    env={"PATH": os.environ["PATH"]},
    cwd=here,
    stdout=here / "out",
    stderr=here / "err",
    output_filter=lambda _path: Masker(["secret-value"]).stream(),
    grace_s=0.1,
).run()
assert code == 3
"""


def test_what_a_command_left_running_does_not_hold_its_output_open(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(taskrunner.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", HELD_OPEN], cwd=tmp_path, env=environ, check=True)
    assert (tmp_path / "out").read_text() == "out\n"


def test_signals_have_names() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(60) == "signal 60"
    assert oom_kills() >= 0


def test_a_process_takes_all_the_descriptors_it_may_have() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        raise_descriptor_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.errors import TaskError
from taskrunner.preconditions.shell import ShellCommandPrecondition
from tests.unit.agent.bench import Bench
from tests.unit.agent.fakes import make_task


@pytest.mark.parametrize(
    ("command", "met"), [("exit 0", True), ("exit 1", False), ("[ 1 = 2 ]", False)]
)
def test_the_exit_code_is_the_answer(tmp_path: Path, command: str, *, met: bool) -> None:
    bench = Bench(tmp_path, make_task({"command": command}))
    assert ShellCommandPrecondition().check(bench.ctx) is met


@pytest.mark.parametrize("command", ["no-such-program", "/etc/passwd", "kill -9 $$"])
def test_a_command_that_gave_no_answer_is_a_failed_attempt(tmp_path: Path, command: str) -> None:
    bench = Bench(tmp_path, make_task({"command": command}))
    with pytest.raises(TaskError, match="command "):
        ShellCommandPrecondition().check(bench.ctx)


def test_a_script_without_an_interpreter_here_gave_no_answer_either(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_task({"command": "#!/no/such/sh\nexit 1"}))
    with pytest.raises(TaskError, match="there is no interpreter '/no/such/sh'"):
        ShellCommandPrecondition().check(bench.ctx)
    bench = Bench(tmp_path / "2", make_task({"command": "#!/usr/bin/env no-sh\r\nexit 1\r\n"}))
    with pytest.raises(TaskError, match=r"exited with 12[67].*Windows line ends \(CRLF\)"):
        ShellCommandPrecondition().check(bench.ctx)

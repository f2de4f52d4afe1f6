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

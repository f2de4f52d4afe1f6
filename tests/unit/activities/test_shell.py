from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.activities.shell import ShellCommandActivity, ShellRun, run_shell
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.document import Value
from tests.unit.agent.bench import Bench
from tests.unit.agent.fakes import make_task


def _bench(folder: Path, **fields: Value | list[Value]) -> Bench:
    return Bench(folder, make_task(fields))


def test_arguments_reach_the_command_as_they_are(tmp_path: Path) -> None:
    arguments: list[Value] = ["a b", "$(touch pwned)", "'; exit 1", "*", ""]
    bench = _bench(
        tmp_path, command='for a in "$@"; do echo "<$a>"; done', scriptArgument=arguments
    )
    ShellCommandActivity().run(bench.ctx)
    assert bench.stdout.splitlines() == [f"<{argument}>" for argument in arguments]
    assert list((bench.ctx.work_dir / "cwd").iterdir()) == []


def test_bash_is_used_where_there_is_one(tmp_path: Path) -> None:
    bench = _bench(tmp_path, command="x=(1 2 3); [[ ${#x[@]} == 3 ]] && echo $0")
    if not Path("/bin/bash").exists():
        pytest.skip("no bash on this machine")
    ShellCommandActivity().run(bench.ctx)
    assert bench.stdout.endswith("Work20260213T020000Attempt1_command.sh\n")


def test_an_interpreter_line_of_its_own_is_honoured(tmp_path: Path) -> None:
    bench = _bench(tmp_path, command="#!/bin/cat\nprinted by cat")
    ShellCommandActivity().run(bench.ctx)
    assert "printed by cat" in bench.stdout


def test_a_script_is_downloaded_and_run_with_arguments(tmp_path: Path) -> None:
    bench = _bench(tmp_path, scriptUri="s3://b/scripts/job.sh", scriptArgument=["x"])
    bench.put("s3://b/scripts/job.sh", "echo script $1\n")
    ShellCommandActivity().run(bench.ctx)
    assert bench.stdout == "script x\n"


def test_output_is_copied_where_the_fields_say_even_after_a_failure(tmp_path: Path) -> None:
    bench = _bench(
        tmp_path,
        command="echo out; echo err >&2; exit 1",
        stdout="s3://b/out/",
        stderr=str(tmp_path / "local" / "err.txt"),
    )
    with pytest.raises(TaskError):
        ShellCommandActivity().run(bench.ctx)
    assert bench.got("s3://b/out/StdOutput") == "out\n"
    assert (tmp_path / "local" / "err.txt").read_text() == "err\n"


@pytest.mark.parametrize("fields", [{}, {"command": "x", "scriptUri": "s3://b/x"}])
def test_one_of_command_and_script_is_wanted(tmp_path: Path, fields: dict[str, str]) -> None:
    bench = _bench(tmp_path, **fields)
    with pytest.raises(PermanentTaskError, match="'command' and 'scriptUri'") as caught:
        run_shell(bench.ctx)
    assert caught.value.error_id == ErrorId.INVALID_FIELD


def test_the_error_has_the_end_of_the_error_output(tmp_path: Path) -> None:
    bench = _bench(tmp_path, command="seq 1 100000 >&2; echo '  the cause ' >&2; exit 4")
    bench.ctx.stderr_path.write_text("of an earlier command\n")
    with pytest.raises(TaskError) as caught:
        ShellCommandActivity().run(bench.ctx)
    assert str(caught.value) == "command exited with 4: 99999 | 100000 | the cause"
    bench = _bench(tmp_path / "2", command="printf %5000s x >&2; exit 1")
    with pytest.raises(TaskError) as caught:
        ShellCommandActivity().run(bench.ctx)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("code", "oom", "error_id", "part"),
    [
        (-9, False, ErrorId.KILLED_BY_SIGNAL, "killed by signal 9 (SIGKILL): why"),
        (-9, True, ErrorId.OUT_OF_MEMORY, "out-of-memory killer"),
        (137, True, ErrorId.OUT_OF_MEMORY, "out-of-memory killer"),
        (137, False, ErrorId.COMMAND_FAILED, "exited with 137 (SIGKILL in the command): why"),
        (1, True, ErrorId.COMMAND_FAILED, "exited with 1: why"),
        (255, False, ErrorId.COMMAND_FAILED, "exited with 255: why"),
    ],
)
def test_signals_and_memory_are_named(code: int, oom: bool, error_id: str, part: str) -> None:
    error = ShellRun(code, "why", oom=oom).error()
    assert error.error_id == error_id
    assert part in str(error)


def test_output_that_is_not_whole_does_not_become_an_object(tmp_path: Path) -> None:
    for command, wanted in (("echo out", "left out 12345 bytes"), ("exit 3", "exited with 3")):
        again = Bench(tmp_path / wanted, make_task({"command": command, "stdout": "s3://b/out"}))
        again.ctx.stdout_path.with_name("StdOutput.gap").write_text("0 0 12345\n")
        with pytest.raises(TaskError, match=wanted):
            ShellCommandActivity().run(again.ctx)
        assert not (again.s3 / "b" / "out").exists()

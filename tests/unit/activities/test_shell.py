from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.activities.shell import ShellCommandActivity, run_shell
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.document import Value
from taskrunner.secret import Secret
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


def test_output_that_is_not_whole_does_not_become_an_object(tmp_path: Path) -> None:
    for command, wanted in (("echo out", "left out 12345 bytes"), ("exit 3", "exited with 3")):
        again = Bench(tmp_path / wanted, make_task({"command": command, "stdout": "s3://b/out"}))
        again.ctx.stdout_path.with_name("StdOutput.gap").write_text("0 0 12345\n")
        with pytest.raises(TaskError, match=wanted) as caught:
            ShellCommandActivity().run(again.ctx)
        assert ("field 'stdout': s3://b/out was not" in str(caught.value)) == ("left" in wanted)
        assert not (again.s3 / "b" / "out").exists()


@pytest.mark.parametrize("name", ["command", "scriptUri"])
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/opt/no/such/python3\nprint(1)\n", "there is no interpreter '/opt/no/such/python3'"),
        ("#!/bin/bash\r\necho one\r\n", r"Windows line ends \(CRLF\).*'/bin/bash\\r'"),
        ("#!python3\nprint(1)\n", "wanted an absolute path"),
        ("#! \nprint(1)\n", "names no interpreter"),
        ("#!/usr/bin/env no-such-1\r\nx\r\n", r"exited with 12[67]: .*no-such-1.*; .*\(CRLF\)"),
        ("cd /tmp\r\nexit 3\r\n", r"; the script has Windows line ends \(CRLF\)"),
    ],
)
def test_a_script_that_cannot_be_run_is_told_by_what_is_wrong_in_it(
    tmp_path: Path, name: str, script: str, words: str
) -> None:
    bench = _bench(tmp_path, **{name: script if name == "command" else "s3://b/a script.sh"})
    bench.put("s3://b/a script.sh", script)
    with pytest.raises(TaskError, match=words) as caught:
        ShellCommandActivity().run(bench.ctx)
    assert caught.value.error_id == ErrorId.COMMAND_FAILED
    assert "No such file or directory: '" not in str(caught.value)


def test_windows_line_ends_are_no_fault_of_what_succeeds_or_has_none(tmp_path: Path) -> None:
    ShellCommandActivity().run(_bench(tmp_path / "1", command="true #\r\n").ctx)
    with pytest.raises(TaskError) as caught:
        ShellCommandActivity().run(_bench(tmp_path / "2", command="printf 'a\\r\\n'\nexit 3").ctx)
    assert str(caught.value) == "command exited with 3"


@pytest.mark.parametrize("secret", [True, False])
def test_a_secret_among_the_arguments_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, secret: bool
) -> None:
    argument = Secret("hunter2") if secret else "hunter2"
    bench = _bench(tmp_path, command='echo "$1"', scriptArgument=[argument])
    ShellCommandActivity().run(bench.ctx)
    assert bench.stdout == "hunter2\n"
    assert ("list of processes" in caplog.text) == secret

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from taskrunner import __version__, cli
from taskrunner.cli import COMMANDS, main
from taskrunner.errors import ConfigError, TaskrunnerError, UsageError


def taskrunner(*arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "taskrunner", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        timeout=60,
        check=False,
    )


# -- what is called -------------------------------------------------------------------------


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"taskrunner {__version__}\n"


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["help"]])
def test_help_names_every_command(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(args) == 0
    printed = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(text)}$", printed, re.MULTILINE)


def test_nothing_at_all_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Usage:" in capsys.readouterr().out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    printed = capsys.readouterr().out
    program = "taskrunner" if name == "agent" else f"taskrunner {name}"
    assert printed.startswith(f"Usage: {program} ")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("rum", "no command 'rum'; did you mean 'run'? See taskrunner --help."),
        ("valdate", "no command 'valdate'; did you mean 'validate'? See taskrunner --help."),
        ("qqq", "no command 'qqq'. See taskrunner --help."),
        ("", "no command ''. See taskrunner --help."),
    ],
)
def test_a_wrong_command_is_answered_with_the_nearest(
    word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"taskrunner: {message}\n")


def test_flags_without_a_command_are_the_agents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tasks", "4"]) == 2
    assert "no worker group is named" in capsys.readouterr().err


# -- how it ends ----------------------------------------------------------------------------


class Ending:
    """A module whose command ends as it is told."""

    error: BaseException | None = None
    value: object = None

    @staticmethod
    def end() -> object:
        if Ending.error is not None:
            raise Ending.error
        return Ending.value


command = click.Command("ending", callback=Ending.end)


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> type[Ending]:
    """The command `ending`, put into the table of commands."""
    monkeypatch.setitem(sys.modules, "ending", sys.modules[__name__])
    monkeypatch.setitem(cli.COMMANDS, "ending", ("ending", "Ends."))
    monkeypatch.setattr(Ending, "error", None)
    monkeypatch.setattr(Ending, "value", None)
    return Ending


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UsageError("--at and --from: one of them"), 2, "--at and --from: one of them"),
        (ConfigError("tasks: found 0"), 2, "tasks: found 0"),
        (TaskrunnerError("no luck"), 1, "no luck"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/w"), 1, "/w: No such file"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left on device"),
        (OSError("odd"), 1, "odd"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(
    error: Exception,
    code: int,
    message: str,
    ending: type[Ending],
    capsys: pytest.CaptureFixture[str],
) -> None:
    ending.error = error
    assert main(["ending"]) == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"taskrunner: {message}\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.exceptions.Abort()])
def test_an_interruption_is_130_without_words(
    error: BaseException, ending: type[Ending], capsys: pytest.CaptureFixture[str]
) -> None:
    ending.error = error
    assert main(["ending"]) == 130
    printed = capsys.readouterr()
    assert (printed.out.strip(), printed.err.strip()) == ("", "")


@pytest.mark.parametrize(("value", "code"), [(None, 0), (0, 0), (3, 3), ("text", 0)])
def test_what_a_command_returns_is_the_exit_code(
    value: object, code: int, ending: type[Ending]
) -> None:
    ending.value = value
    assert main(["ending"]) == code


def test_a_mistake_of_ours_is_not_hidden(ending: type[Ending]) -> None:
    ending.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        main(["ending"])


def test_an_unknown_option_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "--no-such", "x"]) == 2
    assert "--no-such" in capsys.readouterr().err


# -- what it prints on ----------------------------------------------------------------------


def test_what_the_terminal_cannot_show_is_written_out(
    monkeypatch: pytest.MonkeyPatch, ending: type[Ending]
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert main(["ending"]) == 0
    print("Bücher 日")
    sys.stdout.flush()
    assert raw.getvalue() == b"B\\xfccher \\u65e5\n"


def test_a_poor_terminal_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"objects": [{"id": "\\u65e5", "type": "ShellCommandActivity"}]}')
    done = taskrunner("graph", str(path), PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert b"\\u65e5  ShellCommandActivity" in done.stdout


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"objects": [{"id": "A", "type": "ShellCommandActivity"}]}')
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["graph", str(path)], ["explain"]):
        done = subprocess.run(
            [sys.executable, "-m", "taskrunner", *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == b""
    os.close(writer)

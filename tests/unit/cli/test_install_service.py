from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskrunner.cli import main
from taskrunner.cli.install_service import _check_config, _run
from taskrunner.errors import TaskrunnerError
from taskrunner.installer.plan import Target


class Kept(Target):
    """An instance whose settings file is in a test's folder."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / f"{self.instance}.toml"


def test_a_dry_run_lists_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(
        ["install-service", "--dry-run", "--start", "--instance", "x", "--worker-group", "a"]
    )
    captured = capsys.readouterr()
    assert code == ("would refuse: " in captured.err), "as it would end here"
    lines = captured.out.splitlines()
    assert all(line.startswith("would ") for line in lines)
    assert "would write /etc/taskrunner/x.toml (mode 640)" in lines
    assert lines[-1] == "would run systemctl start taskrunner@x.service"


def test_starting_without_a_worker_group_is_refused_before_anything_happens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["install-service", "--dry-run", "--start", "--instance", "no-such"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "give --worker-group NAME" in captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tasks", "0"], "--tasks: found '0', wanted a whole number from 1 to 1000"),
        (["--endpoint", "ftp://x"], "--endpoint: found 'ftp://x', wanted a URL"),
        (["--serve", "--tasks", "3"], "--tasks is a setting of the agent"),
        (["--serve", "--instance", "a"], "one or the other"),
    ],
)
def test_wrong_arguments_are_named(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["install-service", "--dry-run", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_dry_run_of_uninstalling_lists_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["uninstall-service", "--dry-run"])
    captured = capsys.readouterr()
    assert code == ("would refuse: " in captured.err)
    assert "would run systemctl disable --now taskrunner.service" in captured.out


def test_a_dry_run_ends_as_the_real_one_would(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise TaskrunnerError("not here")

    asked: Any = {"instance": None, "serve": True, "start": False}
    assert _run(**asked, dry_run=True, checks=[]) == 0
    captured = capsys.readouterr()
    assert (captured.err, captured.out.splitlines()[-1][:5]) == ("", "next:")
    assert _run(**asked, dry_run=True, checks=[refuse]) == 1
    captured = capsys.readouterr()
    assert captured.err == "would refuse: not here\n"
    assert captured.out.startswith("would write ")
    assert "next:" not in captured.out
    with pytest.raises(TaskrunnerError, match="not here"):
        _run(**asked, dry_run=False, checks=[refuse])
    assert capsys.readouterr().out == ""


def test_a_kept_file_by_which_no_agent_is_found_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Kept.folder = tmp_path
    kept = Kept(instance="blue")
    kept.config.write_text('worker_group = ["g"]\n')
    _check_config(kept, {}, start=True)
    line = f'{kept.config} has no work_dir: add the line work_dir = "{kept.state}"\n'
    assert capsys.readouterr().err == line
    kept.config.write_text(f'worker_group = ["g"]\nwork_dir = "{kept.state}"\n')
    _check_config(kept, {}, start=True)
    assert capsys.readouterr().err == ""

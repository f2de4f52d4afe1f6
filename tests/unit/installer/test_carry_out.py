from __future__ import annotations

import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taskrunner.errors import TaskrunnerError
from taskrunner.installer.carry_out import (
    Installer,
    _credentials_there,
    check_host,
    check_program,
    require_root_and_systemd,
)
from taskrunner.installer.plan import (
    Create,
    Link,
    RemoveFile,
    RemoveLink,
    RemoveState,
    Run,
    Step,
    Write,
)


@dataclass
class Fake:
    """Stands for the host: records commands and owners, in a folder of its own."""

    root: Path
    code: int = 0
    ran: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def execute(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.ran.append(" ".join(argv))
        return subprocess.CompletedProcess(argv, self.code, "", "no such unit\n")

    def own(self, path: Path, group: str) -> None:
        self.owners[path.name] = group

    def carry_out(self, *steps: Step, dry_run: bool = False) -> list[str]:
        self.said.clear()
        Installer(
            dry_run=dry_run,
            root=self.root,
            execute=self.execute,
            own=self.own,
            say=self.said.append,
        ).carry_out(steps)
        return self.said


@pytest.fixture
def host(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_written_once_and_rewritten_when_it_differs(host: Fake) -> None:
    path = Path("/etc/systemd/system/x.service")
    assert host.carry_out(Write(path, "one")) == [f"write {path}"]
    assert host.carry_out(Write(path, "one")) == [f"keep {path} (unchanged)"]
    assert host.carry_out(Write(path, "two")) == [f"write {path}"]
    file = host.root / "etc/systemd/system/x.service"
    assert (file.read_text(), _mode(file)) == ("two", 0o644)
    assert [entry.name for entry in file.parent.iterdir()] == ["x.service"]


def test_the_operators_file_is_made_once_and_never_touched_again(host: Fake) -> None:
    step = Create(Path("/etc/t/t.toml"), "secret", 0o640, "taskrunner")
    assert host.carry_out(step) == ["write /etc/t/t.toml (mode 640)"]
    file = host.root / "etc/t/t.toml"
    assert (_mode(file), set(host.owners.values())) == (0o640, {"taskrunner"})
    file.write_text("mine")
    assert host.carry_out(step) == ["keep /etc/t/t.toml (it is yours)"]
    assert file.read_text() == "mine"


def test_a_dry_run_says_everything_and_does_nothing(host: Fake) -> None:
    (host.root / "old").write_text("x")
    (host.root / "state").mkdir()
    (host.root / "state/journal").write_text("x")
    said = host.carry_out(
        Write(Path("/a"), "x"),
        Create(Path("/b"), "x", 0o600),
        Run(("systemctl", "daemon-reload")),
        RemoveFile(Path("/old")),
        RemoveState(Path("/state")),
        dry_run=True,
    )
    assert len(said) == 5
    assert all(line.startswith("would ") for line in said)
    assert host.ran == []
    assert {path.name for path in host.root.rglob("*")} == {"old", "state", "journal"}


def test_a_command_that_fails_ends_it_and_says_what_the_command_said(host: Fake) -> None:
    host.code = 5
    with pytest.raises(TaskrunnerError, match=r"systemctl start x: failed \(5\): no such unit"):
        host.carry_out(Run(("systemctl", "start", "x")), Write(Path("/after"), "x"))
    assert not (host.root / "after").exists()
    assert host.carry_out(Run(("systemctl", "stop", "x"), may_fail=True)) == [
        "run systemctl stop x"
    ]


def test_what_cannot_be_written_is_named(host: Fake) -> None:
    (host.root / "etc").write_text("a file")
    with pytest.raises(TaskrunnerError, match=r"/etc/x: "):
        host.carry_out(Write(Path("/etc/x"), "x"))


def test_the_command_is_linked_unless_something_else_is_there(host: Fake) -> None:
    step = Link(Path("/usr/local/bin/taskrunner"), Path("/opt/t/bin/taskrunner"))
    path = host.root / "usr/local/bin/taskrunner"
    assert host.carry_out(step, dry_run=True) == [f"would link {step.path} to {step.to}"]
    assert not path.is_symlink()
    assert host.carry_out(step) == [f"link {step.path} to {step.to}"]
    assert path.readlink() == step.to
    assert host.carry_out(step) == [f"keep {step.path} (unchanged)"]
    other = Link(step.path, Path("/other"))
    assert host.carry_out(other) == [f"keep {step.path} (it is not ours)"]
    assert host.carry_out(RemoveLink(step.path, Path("/other"))) == []
    assert host.carry_out(RemoveLink(step.path, step.to)) == [f"remove {step.path}"]
    assert not path.is_symlink()


def test_a_unit_that_does_not_start_is_told_with_its_own_reason(host: Fake) -> None:
    told = "ended with exit code 77: not authorized: who are you"

    def execute(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        facts = f"LoadState=loaded\nActiveState=failed\nExecMainStatus=77\nStatusText={told}\n"
        shown = argv[1] == "show"
        return subprocess.CompletedProcess(argv, 0 if shown else 1, facts if shown else "", "")

    installer = Installer(root=host.root, execute=execute, say=host.said.append)
    with pytest.raises(TaskrunnerError) as caught:
        installer.carry_out([Run(("systemctl", "start", "taskrunner.service"))])
    assert "taskrunner.service is failed, exit code 77: not authorized: who are you" in str(
        caught.value
    )
    assert "`taskrunner doctor --unit taskrunner`" in str(caught.value)


def test_credentials_that_others_may_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "aws-credentials"
    assert not _credentials_there(path)
    path.touch(0o600)
    assert _credentials_there(path)
    path.chmod(0o640)
    with pytest.raises(TaskrunnerError, match="others may read it"):
        _credentials_there(path)


def test_removing_takes_the_drop_ins_folder_along_if_it_is_empty(host: Fake) -> None:
    folder = host.root / "taskrunner.service.d"
    folder.mkdir()
    name = "10-taskrunner-backoff.conf"
    for mine in (False, True):
        (folder / name).write_text("x")
        if mine:
            (folder / "override.conf").write_text("x")
        host.carry_out(RemoveFile(Path(f"/taskrunner.service.d/{name}")))
        assert folder.exists() is mine
        folder.mkdir(exist_ok=True)
    assert host.carry_out(RemoveFile(Path("/not/there"))) == []


def test_state_goes_but_for_what_is_kept_and_links_are_not_followed(host: Fake) -> None:
    outside = host.root / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    state = host.root / "state"
    for name in ("journal", "instances"):
        (state / name).mkdir(parents=True)
        (state / name / "file").write_text("x")
    (state / "link").symlink_to(outside)
    host.carry_out(RemoveState(Path("/state"), keep=("instances",)))
    assert [entry.name for entry in state.iterdir()] == ["instances"]
    assert (outside / "precious").exists()
    assert host.carry_out(RemoveState(Path("/nowhere"))) == []


def test_a_dry_run_says_all_that_would_be_refused_and_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse() -> None:
        check_program(lambda: "/opt/private is closed to other users (mode 700)")

    checks = [refuse, lambda: check_program(lambda: ""), refuse]
    assert not check_host(checks, dry_run=True)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[0].startswith("would refuse: /opt/private is closed to other users (mode 700); ")
    assert "a venv in /opt/taskrunner" in said[0]
    with pytest.raises(TaskrunnerError, match="/opt/private is closed"):
        check_host(checks, dry_run=False)
    for dry_run in (True, False):
        assert check_host(checks[1:2], dry_run=dry_run)


def test_only_root_and_only_systemd_will_do(tmp_path: Path) -> None:
    with pytest.raises(TaskrunnerError, match="use sudo"):
        require_root_and_systemd(user=1000, runs=tmp_path)
    with pytest.raises(TaskrunnerError, match="systemd does not run on this host"):
        require_root_and_systemd(user=0, runs=tmp_path / "absent")
    require_root_and_systemd(user=0, runs=tmp_path)

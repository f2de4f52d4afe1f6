from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskrunner.host.program import (
    by_mode,
    closed_part,
    closed_to,
    closed_to_services,
    command_here,
    program_files,
)
from taskrunner.host.users import User


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A file in two folders, all of them open to others."""
    folder = tmp_path / "opt" / "lib"
    folder.mkdir(parents=True)
    file = folder / "module.py"
    file.touch()
    for path, mode in ((folder.parent, 0o755), (folder, 0o755), (file, 0o644)):
        path.chmod(mode)
    return file


@pytest.mark.parametrize(
    ("part", "mode", "closed"),
    [
        (".", 0o700, True),
        (".", 0o711, False),  # passed, not listed
        ("lib/module.py", 0o600, True),  # as umask 077 makes them
        ("lib", 0o744, True),
        ("lib/module.py", 0o604, False),
    ],
)
def test_the_part_that_is_closed_is_named_with_its_mode(
    program: Path, part: str, mode: int, closed: bool
) -> None:
    root = program.parents[1]
    path = root / part
    path.chmod(mode)
    others = by_mode(-1)
    found = closed_part(
        [program], "others", lambda it, want: not it.is_relative_to(root) or others(it, want)
    )
    within = "" if path == program else f"{program}: "
    assert found == (f"{within}{path} is closed to others (mode {mode:o})" if closed else "")


def test_a_folder_of_libraries_must_be_listed(program: Path) -> None:
    folder = program.parent
    wanted: list[int] = []

    def can(path: Path, want: int) -> bool:
        if path == folder:
            wanted.append(want)
        return True

    assert closed_part([folder, program], "others", can) == ""
    assert wanted == [os.R_OK | os.X_OK, os.X_OK]


def test_modes_count_as_the_kernel_counts_them(program: Path) -> None:
    program.chmod(0o640)
    found = program.stat()
    stranger = found.st_uid + 1
    assert by_mode(found.st_uid + 1, [found.st_gid])(program, os.R_OK)
    assert not by_mode(stranger)(program, os.R_OK)
    program.chmod(0o404)
    assert not by_mode(stranger, [found.st_gid])(program, os.R_OK), "the group's bits decide"
    assert by_mode(stranger)(program, os.R_OK)
    program.chmod(0o000)
    assert by_mode(0)(program, os.R_OK)


def test_who_may_read_all_is_told_nothing(program: Path) -> None:
    me = User(name="me", uid=os.getuid(), gid=os.getgid(), groups=(os.getgid(),), shell="/bin/sh")
    assert closed_to(me, [program]) == ""
    assert closed_to(me) == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_asked_by_becoming_it(program: Path) -> None:
    program.parents[1].chmod(0o700)
    user = User(name="other", uid=12345, gid=12345, groups=(12345,), shell="/bin/sh")
    found = closed_to(user, [program])
    assert "is closed to the user 'other' (mode 7" in found


@pytest.mark.parametrize(
    "path", ["/home/me/venv/bin/taskrunner", "/root/x", "/tmp/x", "/run/user/0/x"]
)
def test_what_the_sandbox_hides_is_told(path: str) -> None:
    found = closed_to_services(paths=[Path(path)])
    assert found.startswith(f"{path}: services do not see what is in /")


def test_a_known_user_of_a_unit_has_its_own_rights() -> None:
    assert closed_to_services("root", [Path(os.sep)]) == ""


def test_the_program_is_what_starts_it_and_what_it_imports() -> None:
    files = program_files()
    assert Path(command_here()[0]) in files
    assert all(path.exists() for path in files)
    names = {path.name for path in files}
    assert {"click", "tenacity", "__init__.py"} <= names
    assert "__pycache__" not in names

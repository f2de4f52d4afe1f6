"""Scripts as the kernel really runs them, and on file systems that run none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskrunner.errors import TaskError
from taskrunner.host.process import Command, RunAs
from taskrunner.host.scripts import Shebang, runnable
from taskrunner.host.users import User
from tests.integration.other_users import people, shared_folder

Mount = Callable[..., Path]
FORMS = (
    "#!{show}\n",
    "#!{show}",
    "#! \t{show} \t\n",
    "#!{show} -e\n",
    "#!{show} -S one  two \t\n",
    "#!{show} one\\ two\r\n",
    "#!{show}\0-e\n",
    "#!{show} -e\0x\n",
    "#!{show} " + "a" * 400,
    "#!{show} " + "a" * 400 + "\n",
    "#!" + " " * 400 + "{show}\n",
    "#!/" + "./" * 150 + "{show}\n",
)


@pytest.fixture
def mounted() -> Iterator[Mount]:
    """Mounts file systems: with the options given, and everybody may pass."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system")
    folders: list[Path] = []
    with shared_folder() as base:

        def mount(options: str, name: str = "mounted") -> Path:
            folder = base / name
            folder.mkdir()
            options = f"size=8m,mode=777,{options}"
            argv = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
            if subprocess.run(argv, check=False).returncode != 0:
                pytest.skip("file systems cannot be mounted here")
            folders.append(folder)
            return folder

        yield mount
        for folder in folders:
            subprocess.run(["umount", folder], check=True)


def script(folder: Path, text: str) -> Path:
    path = folder / "a script"
    path.write_bytes(text.encode())
    path.chmod(0o755)
    return path


def ran(argv: list[str], cwd: Path, run_as: User | None = None) -> str:
    """What a command prints, each argument on a line of its own."""
    out = cwd / "out"
    out.write_bytes(b"")
    command = Command(
        argv,
        env={"PATH": "/usr/bin:/bin"},
        cwd=cwd,
        stdout=out,
        stderr=out,
        run_as=RunAs(user=run_as) if run_as else None,
    )
    assert command.run() == 0, out.read_text()
    return out.read_text()


def show(folder: Path) -> Path:
    """A program that prints its arguments: an interpreter that a short line can name."""
    path = folder / "show"
    path.write_text("#!/bin/sh\nprintf '<%s>\\n' \"$@\"\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_a_first_line_is_read_as_the_kernel_reads_it(tmp_path: Path, form: str) -> None:
    path = script(tmp_path, form.format(show=show(tmp_path)))
    shebang = Shebang.parse(path.read_bytes())
    try:
        done = subprocess.run([path, "x"], capture_output=True, check=True)
    except OSError:
        assert shebang is None
        return
    assert shebang is not None
    argument = [] if shebang.argument is None else [shebang.argument]
    assert done.stdout.decode() == "".join(f"<{text}>\n" for text in [*argument, str(path), "x"])


@pytest.mark.parametrize(
    "line", ["#!/bin/sh", "#! /bin/sh -e", "#!/usr/bin/env sh", "#!/usr/bin/env -S sh -e"]
)
@pytest.mark.parametrize("other", [False, True])
def test_a_script_where_none_may_be_run_is_run_by_its_interpreter(
    mounted: Mount, line: str, other: bool
) -> None:
    user = User.named(people().task.pw_name) if other else None
    path = script(mounted("noexec"), f'{line}\nprintf "<%s>" "$0" "$@"; id -u\n')
    if user is not None:
        path.chmod(0o700)
        os.chown(path, user.uid, user.gid)
    uid = user.uid if user else os.geteuid()
    expected = f"<{path}><a b><*>{uid}\n"
    assert ran([str(path), "a b", "*"], path.parent, user) == expected


def test_an_interpreter_where_none_may_be_run_is_run_by_its_own(
    mounted: Mount,
) -> None:
    folder = mounted("noexec")
    inner = show(folder)
    path = script(folder, f"#!{inner} one two\n")
    assert ran([str(path), "x"], folder) == f"<one two>\n<{path}>\n<x>\n"
    path = script(folder, "#!show\n")
    assert ran([str(path), "x"], folder) == f"<{path}>\n<x>\n"


def test_a_program_where_none_may_be_run_is_told_with_its_mount(
    mounted: Mount, tmp_path: Path
) -> None:
    folder = mounted("noexec", "mounted here")
    program = folder / "true"
    shutil.copy("/bin/true", program)
    words = f"it lies on the file system {folder}, which is mounted noexec"
    with pytest.raises(TaskError, match=words):
        ran([str(program)], folder)
    link = tmp_path / "link"
    link.symlink_to(program)
    for where in (tmp_path, folder):
        path = script(where, f"#!{link}\n")
        with pytest.raises(TaskError, match=f"the interpreter '{link}' lies on the file system"):
            ran([str(path)], where)


def test_a_program_may_be_run_elsewhere_as_ever(mounted: Mount) -> None:
    path = script(mounted("exec"), "#!/bin/sh\necho done\n")
    assert runnable([str(path)], path.parent) == [str(path)]
    assert ran([str(path)], path.parent) == "done\n"

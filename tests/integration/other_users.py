"""Agents without root's rights, and tasks of other users: three users that every system has."""

from __future__ import annotations

import atexit
import os
import pwd
import re
import shutil
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

__all__ = ["People", "copied_program", "people", "shared_folder"]

_REPOSITORY = Path(__file__).resolve().parents[2]
_CANDIDATES = ("games", "news", "mail", "lp", "operator", "uucp", "ftp")
#: What the unit gives the agent.
_CAPABILITIES = "+setuid,+setgid,+kill"


@dataclass(frozen=True, slots=True)
class People:
    """Whose agent it is, and as whom tasks run."""

    agent: pwd.struct_passwd
    task: pwd.struct_passwd
    other: pwd.struct_passwd

    def unprivileged(self, capabilities: str = _CAPABILITIES) -> Sequence[str]:
        """What runs an agent as its user, with no more rights than the unit gives it."""
        python = _python_for_all()
        own = capabilities or "-all"
        return (
            *("setpriv", f"--reuid={self.agent.pw_uid}", f"--regid={self.agent.pw_gid}"),
            *("--clear-groups", f"--inh-caps={own}", f"--ambient-caps={own}"),
            *(f"--bounding-set=-all,{own}" if capabilities else "--bounding-set=-all", "--"),
            # In place of the interpreter of the tests, which may lie where only root gets.
            *("/bin/sh", "-c", f'shift; exec {python} "$@"', "sh"),
        )

    @property
    def python(self) -> str:
        """An interpreter that everybody may run."""
        return _python_for_all()

    @property
    def environ(self) -> Mapping[str, str]:
        """What such an agent's interpreter needs to find this program and its libraries."""
        return {"PYTHONPATH": ":".join(map(str, _program_for_all()))}


def people() -> People:
    """Skips the test where there are none, or where users cannot be changed."""
    if os.geteuid() != 0:
        pytest.skip("only root can start processes of several users")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (package util-linux) is not installed")
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    found = [known[name] for name in _CANDIDATES if name in known]
    if len(found) < 3:
        pytest.skip("fewer than three of the usual system users are here")
    return People(*found[:3])


def _python_for_all() -> str:
    name = f"python3.{sys.version_info.minor}"
    for candidate in (Path(sys.executable).resolve(), Path("/usr/bin") / name):
        if candidate.exists() and _open_to_all(candidate, 0o001):
            return str(candidate)
    pytest.skip(f"no {name} that other users may run: this one is {sys.executable}")


def _open_to_all(path: Path, right: int) -> bool:
    """Whether everybody may get to a file and has this right to it."""
    passable = all(part.stat().st_mode & 0o001 for part in path.parents)
    return passable and bool(path.stat().st_mode & right)


@cache
def _program_for_all() -> tuple[Path, ...]:
    """Where everybody may import the program from: here, or a copy if only its owner gets here.

    A checkout in the home of root is such a case, and so is one that was made with umask 077.
    """
    libraries = Path(sysconfig.get_path("purelib"))
    samples = (_REPOSITORY / "taskrunner" / "__init__.py", libraries / "boto3" / "__init__.py")
    if all(_open_to_all(sample, 0o004) for sample in samples):
        return _REPOSITORY, libraries
    return (copied_program(),)


@cache
def copied_program() -> Path:
    """A folder with the program and the libraries that it needs, for everybody to read."""
    libraries = Path(sysconfig.get_path("purelib"))
    copy = Path(tempfile.mkdtemp(prefix="taskrunner-program-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    # With the tests, whose mutants are programs too.
    for name in ("taskrunner", "systemd", "tests"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_REPOSITORY / name, copy / name, ignore=ignored)
    shutil.copy(_REPOSITORY / "config.example.toml", copy)
    for file in _files_of_libraries(libraries):
        target = copy / file.relative_to(libraries)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def _files_of_libraries(folder: Path) -> Iterator[Path]:
    """What the program and the packages that it needs have installed in a folder."""
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text())["project"]
    locked = (_REPOSITORY / "requirements.lock").read_text()
    for name in (project["name"], *re.findall(r"^([\w.-]+)==", locked, re.MULTILINE)):
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue  # one for another system
        paths = (Path(str(file.locate())) for file in files if ".." not in file.parts)
        yield from (path for path in paths if path.is_file() and path.is_relative_to(folder))


@contextmanager
def shared_folder(owner: pwd.struct_passwd | None = None) -> Iterator[Path]:
    """A folder that all may pass through, unlike those that pytest makes."""
    folder = Path(tempfile.mkdtemp(prefix="taskrunner-users-"))
    folder.chmod(0o711)
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

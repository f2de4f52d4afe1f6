"""Carries out, or shows, the steps of an installation; and finds out what they depend on."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from taskrunner.errors import TaskrunnerError
from taskrunner.host.program import REMEDY, closed_to_services, command_here
from taskrunner.host.units import UNIT_FOLDER, Execute, show_unit
from taskrunner.installer.plan import (
    CREDENTIALS,
    NEEDRESTART,
    Create,
    Host,
    Link,
    RemoveFile,
    RemoveLink,
    RemoveState,
    Run,
    Step,
    Write,
)

_SYSTEMD_RUNS = Path("/run/systemd/system")
_TOOLS = ("systemd-sysusers", "systemd-tmpfiles", "useradd")
_OLDEST = 1

#: Raises TaskrunnerError.
Check = Callable[[], None]


def require_root_and_systemd(*, user: int | None = None, runs: Path = _SYSTEMD_RUNS) -> None:
    """Raise TaskrunnerError where this host or user cannot have a unit installed."""
    if (os.geteuid() if user is None else user) != 0:
        raise TaskrunnerError("only root can install a service: use sudo, or --dry-run to look")
    if not runs.is_dir():
        raise TaskrunnerError(
            f"systemd does not run on this host (there is no {runs}): start "
            "`taskrunner --worker-group NAME` by whatever starts services here"
        )


def check_program(closed: Callable[[], str] = closed_to_services) -> None:
    """Raise TaskrunnerError if the unit's user could not read this program."""
    if found := closed():
        raise TaskrunnerError(f"{found}; {REMEDY}")


#: What an installation needs of its host.
CHECKS: Sequence[Check] = (require_root_and_systemd, check_program)


def check_host(checks: Iterable[Check], *, dry_run: bool) -> bool:
    """Whether this can go on; else a dry run says all that is in the way, and another raises it."""
    may = True
    for check in checks:
        try:
            check()
        except TaskrunnerError as error:
            if not dry_run:
                raise
            click.echo(f"would refuse: {error}", err=True)
            may = False
    return may


def host_facts() -> Host:
    """Look around on this host."""
    return Host(
        command=command_here(),
        systemd_version=_systemd_version(),
        tools=frozenset(tool for tool in _TOOLS if shutil.which(tool)),
        users=frozenset(entry.pw_name for entry in pwd.getpwall()),
        credentials=_credentials_there(CREDENTIALS),
        needrestart=NEEDRESTART.parent.is_dir(),
        units=frozenset(_our_units(UNIT_FOLDER)),
    )


def _credentials_there(path: Path) -> bool:
    """Raises TaskrunnerError for a file with secrets that others may read."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if mode & 0o077:
        raise TaskrunnerError(f"{path}: others may read it: `chown root:root` and `chmod 600` it")
    return True


def _systemd_version() -> int:
    with suppress(OSError):
        done = _execute(("systemctl", "--version"))
        if found := re.match(r"systemd (\d+)", done.stdout):
            return int(found[1])
    return _OLDEST


def _our_units(folder: Path) -> Iterable[str]:
    yield from (path.name for path in folder.glob("taskrunner*.service") if "@" not in path.name)
    # An instance has no file of its own; being enabled is what makes it one.
    yield from (path.name for path in folder.glob("*.wants/taskrunner@*.service"))


def _execute(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603  ours


def _own(path: Path, group: str) -> None:
    shutil.chown(path, "root", group)


@dataclass(frozen=True, slots=True)
class Installer:
    """Carries out steps and says what it does; a dry run only says it."""

    dry_run: bool = False
    #: Where the host's files are; a test has its own.
    root: Path = Path("/")
    execute: Execute = _execute
    own: Callable[[Path, str], None] = _own
    say: Callable[[str], None] = click.echo

    def carry_out(self, steps: Iterable[Step]) -> None:
        """Do the steps in order; raises TaskrunnerError, naming the one that failed."""
        actions: Mapping[type, Callable[..., str]] = {
            Write: self._write,
            Create: self._create,
            Run: self._run,
            Link: self._link,
            RemoveFile: self._remove,
            RemoveLink: self._remove_link,
            RemoveState: self._remove_state,
        }
        for step in steps:
            try:
                line = actions[type(step)](step)
            except (OSError, LookupError) as error:
                reason = getattr(error, "strerror", None) or error
                name = " ".join(step.argv) if isinstance(step, Run) else step.path
                raise TaskrunnerError(f"{name}: {reason}") from None
            if line:
                self.say(f"would {line}" if self.dry_run else line)

    def _here(self, path: Path) -> Path:
        return self.root / path.relative_to("/")

    def _write(self, step: Write) -> str:
        path = self._here(step.path)
        with suppress(FileNotFoundError):
            if path.read_text() == step.text:
                return f"keep {step.path} (unchanged)"
        self._put(path, step.text, step.mode)
        return f"write {step.path}"

    def _create(self, step: Create) -> str:
        path = self._here(step.path)
        if path.exists():
            return f"keep {step.path} (it is yours)"
        self._put(path, step.text, step.mode, step.group)
        return f"write {step.path} (mode {step.mode:o})"

    def _put(self, path: Path, text: str, mode: int, group: str | None = None) -> None:
        if self.dry_run:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)
        fresh.write_text(text)
        if group is not None:
            self.own(fresh, group)
        fresh.chmod(mode)
        fresh.replace(path)

    def _run(self, step: Run) -> str:
        line = f"run {' '.join(step.argv)}"
        if self.dry_run:
            return line
        done = self.execute(step.argv)
        if done.returncode != 0 and not step.may_fail:
            raise TaskrunnerError(f"{line}: failed ({done.returncode}): {self._why(step, done)}")
        return line

    def _why(self, step: Run, done: subprocess.CompletedProcess[str]) -> str:
        """What the command said; of a start, why the unit does not run."""
        unit = step.argv[-1]
        shown = show_unit(unit, self.execute) if step.argv[:2] == ("systemctl", "start") else None
        if shown is None:
            return (done.stderr or done.stdout).strip() or "it said nothing"
        agent = not unit.startswith("taskrunner-")
        look = f"`taskrunner doctor --unit {unit.removesuffix('.service')}` or " if agent else ""
        return f"{unit} is {shown.state}; see {look}`journalctl -u {unit}`"

    def _link(self, step: Link) -> str:
        path = self._here(step.path)
        if path.is_symlink() and path.readlink() == step.to:
            return f"keep {step.path} (unchanged)"
        if path.is_symlink() or path.exists():
            return f"keep {step.path} (it is not ours)"
        if not self.dry_run:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(step.to)
        return f"link {step.path} to {step.to}"

    def _remove_link(self, step: RemoveLink) -> str:
        path = self._here(step.path)
        if not path.is_symlink() or path.readlink() != step.to:
            return ""
        if not self.dry_run:
            path.unlink()
        return f"remove {step.path}"

    def _remove(self, step: RemoveFile) -> str:
        path = self._here(step.path)
        if not path.exists():
            return ""
        if not self.dry_run:
            path.unlink()
            with suppress(OSError):  # not empty: others have files there
                if path.parent.name.endswith(".d") and "-taskrunner-" in path.name:
                    path.parent.rmdir()
        return f"remove {step.path}"

    def _remove_state(self, step: RemoveState) -> str:
        path = self._here(step.path)
        if not path.is_dir():
            return ""
        for entry in [] if self.dry_run else list(path.iterdir()):
            if entry.name in step.keep:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        return f"remove what is in {step.path}"

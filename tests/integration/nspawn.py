"""A machine with a systemd of its own, in a container, with this taskrunner installed in it.

The root file system is made once and kept in the user's cache; each machine sees it read-only
under a layer in memory, with no network but its own loopback.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil

from taskrunner.clock import SystemClock
from taskrunner.host.process import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
#: Set by `make systemd-test`; a plain test run does without the half minute.
ASKED_FOR = "TASKRUNNER_SYSTEMD_TEST"
PROGRAM = Path("/opt/taskrunner")
_LIBRARIES = "/opt/libraries"
_TOOLS = ("systemd-nspawn", "mmdebstrap", "nsenter")
_PACKAGES = "systemd,systemd-sysv,dbus,python3,procps,iproute2"
PATIENCE_S = 60.0

T = TypeVar("T")


class CannotBoot(Exception):
    """This host cannot run such a machine; the message says why."""


def wait_for(what: str, holds: Callable[[], T | None]) -> T:
    """Wait until `holds` gives something true; returns it."""
    clock, never = SystemClock(), threading.Event()
    until = clock.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert clock.monotonic() < until, f"waited in vain for {what}"
        clock.wait(never, 0.05)
    return found


class Machine:
    """A booted machine."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._init = 0

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine as its root."""
        done = subprocess.run(
            [*self._enter(), *argv],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,
        )
        if check:
            assert done.returncode == 0, f"{argv}: {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def output(self, *argv: str) -> str:
        """What a command prints."""
        return self.run(*argv).stdout.strip()

    def path(self, path: str) -> Path:
        """Where a file of the machine is, seen from here."""
        return Path(f"/proc/{self._init}/root{path}")

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Make a file in the machine."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.output("systemctl", "show", "-P", name, unit)

    def journal(self, unit: str) -> str:
        """What a unit has logged."""
        return self.output("journalctl", "-u", unit, "-o", "cat", "--no-pager")

    def processes(self, unit: str) -> set[int]:
        """The ids, in the machine, of a unit's processes."""
        folder = self.path("/sys/fs/cgroup" + self.show(unit, "ControlGroup"))
        return {int(pid) for file in folder.rglob("cgroup.procs") for pid in _lines(file)}

    def alive(self, pids: set[int]) -> set[int]:
        """Those of these processes that still are."""
        return {pid for pid in pids if self.path(f"/proc/{pid}").exists()}

    def await_boot(self) -> None:
        """Wait until systemd has started everything."""

        def done() -> bool:
            if self._process.poll() is not None:
                raise CannotBoot(f"systemd-nspawn ended with {self._process.returncode}")
            self._init = self._find_init()
            if self._init == 0:
                return False
            state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            return state in {"running", "degraded"}

        wait_for("the boot", done)

    def _find_init(self) -> int:
        """The child in a process namespace of its own: another one only prepares the place."""
        for child in psutil.Process(self._process.pid).children():
            if _namespace(child.pid) not in {None, _namespace(os.getpid())}:
                return child.pid
        return 0

    def power_off(self) -> None:
        """Shut down, at once if need be."""
        self._process.terminate()  # which systemd-nspawn makes an orderly shutdown
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _enter(self) -> list[str]:
        assert self._init > 1, "no machine to enter; the command would run on the host"
        return ["nsenter", "-t", str(self._init), "-m", "-u", "-i", "-p", "-n", "-C", "--"]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:  # the group is gone
        return []


def _namespace(pid: int) -> Path | None:
    try:
        return Path(f"/proc/{pid}/ns/pid").readlink()
    except OSError:  # it has gone
        return None


@contextmanager
def booted_machine(folder: Path) -> Iterator[Machine]:
    """Boot a machine with this checkout's wheel in /opt/taskrunner; raises CannotBoot."""
    _check_host()
    image = _image()
    program = folder / "program"
    _install(image, folder, program)
    console = folder / "console.log"
    with console.open("wb") as log:
        process = subprocess.Popen(
            _nspawn(image, program, "--boot", name="boot"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )
    machine = Machine(process)
    try:
        machine.await_boot()
        yield machine
    finally:
        machine.power_off()


def _check_host() -> None:
    if not os.environ.get(ASKED_FOR):
        raise CannotBoot("booting a systemd is left to `make systemd-test`")
    if os.geteuid() != 0:
        raise CannotBoot("only root can boot a systemd in a container")
    lacking = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if lacking:
        raise CannotBoot(f"not installed: {', '.join(lacking)} (scripts/install-systemd-tools)")


def _image() -> Path:
    """The root file system, made if it is not there yet; nothing half made is ever seen."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taskrunner-tests"
    suite = _suite()
    image = cache / f"systemd-{suite}-1"
    if not image.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        making = cache / f".making-{os.getpid()}"
        argv = ["mmdebstrap", "-q", "--variant=minbase", f"--include={_PACKAGES}"]
        done = _run([*argv, suite, str(making)])
        if done.returncode != 0:
            shutil.rmtree(making, ignore_errors=True)
            raise CannotBoot(f"mmdebstrap could not make a {suite}: {done.stdout[-500:]}")
        making.rename(image)
    if not (image / f"usr/bin/python3.{sys.version_info.minor}").exists():
        raise CannotBoot(f"Debian {suite} has another Python than this one, {sys.version[:6]}")
    return image


def _suite() -> str:
    release = Path("/etc/os-release").read_text().replace('"', "").splitlines()
    facts = dict(line.split("=", 1) for line in release if "=" in line)
    return facts.get("VERSION_CODENAME", "") if facts.get("ID") == "debian" else "bookworm"


def _install(image: Path, folder: Path, program: Path) -> None:
    """Make a virtual environment with our wheel; the libraries are those of this one."""
    wheels = folder / "wheels"
    program.mkdir()
    built = _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)])
    assert built.returncode == 0, built.stdout
    site = f"{PROGRAM}/lib/python3.{sys.version_info.minor}/site-packages"
    script = (
        f"python3 -m venv --without-pip {PROGRAM} && echo {_LIBRARIES} >{site}/libraries.pth && "
        f"{PROGRAM}/bin/python -m pip install -q --no-deps --no-index --force-reinstall "
        "--root-user-action=ignore --disable-pip-version-check /mnt/*.whl"
    )
    extra = [f"--bind={program}:{PROGRAM}", f"--bind-ro={wheels}:/mnt"]
    done = _run(_nspawn(image, None, *extra, "--", "/bin/sh", "-c", script, name="install"))
    if done.returncode != 0:
        raise CannotBoot(f"no container runs here: {done.stdout[-500:]}")


def _nspawn(image: Path, program: Path | None, *rest: str, name: str) -> list[str]:
    argv = ["systemd-nspawn", "-q", "-D", str(image), "--volatile=overlay", "--register=no"]
    argv += ["--keep-unit", "--private-network", "-M", f"taskrunner-{name}-{os.getpid()}"]
    argv.append(f"--bind-ro={sysconfig.get_path('purelib')}:{_LIBRARIES}")
    if program is not None:
        argv.append(f"--bind-ro={program}:{PROGRAM}")
    return [*argv, *rest]


def _run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        preexec_fn=die_with_parent,
    )

"""The agent that runs here, or does not: its unit, its control group, who has its work folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from taskrunner.doctor.case import Case, Finding, failed, passed, warned
from taskrunner.doctor.resource_limits import CGROUPS, group_of
from taskrunner.doctor.units import check_unit
from taskrunner.host.units import agent_units, show_unit


def check_agent(case: Case) -> Iterator[Finding]:
    """Whether an agent runs here, what it says of itself, and what it runs under."""
    if case.agent is None:
        yield from _no_agent(case)
        return
    pid = int(case.agent["pid"])
    yield passed("agent", f"process {pid} is {case.agent['phase']}")
    if case.agent["ready"] != "ok":
        remedy = "`taskrunner resume`" if "by operator" in case.agent["ready"] else _SEE
        yield warned("agent takes work", f"no: {case.agent['ready']}", remedy)
    group = group_of(pid)
    yield from _service(group)
    yield _delegation(group, pid)
    yield from _others(case, pid)


_SEE = "see `taskrunner status` and the other findings"


def _no_agent(case: Case) -> Iterator[Finding]:
    folder = case.settings.work_dir
    if (holder := _holder(folder)) is not None:
        found = f"process {holder} has the work folder {folder}, but does not answer"
        remedy = "it starts, ends or hangs: try again; `systemctl restart` its unit if it stays so"
        yield failed("agent", found, remedy)
        return
    names = [case.unit] if case.unit else agent_units()
    units = [unit for name in names if (unit := show_unit(name)) is not None]
    running = [unit for unit in units if unit.facts.get("ActiveState") == "active"]
    if not units:
        start = "`taskrunner install-service --start`, or start it with this work folder"
        yield warned("agent", f"none runs with the work folder {folder}", start)
    elif running:
        found = f"none runs with the work folder {folder}, but {running[0].name} does with another"
        yield warned("agent", found, f"`taskrunner doctor --unit {_short(running[0].name)}`")
    for unit in units:
        yield from check_unit(unit)
    yield from _others(case, 0)


def _short(name: str) -> str:
    return name.removesuffix(".service")


def _holder(work_dir: Path) -> int | None:
    """The process that has the work folder, by the lock that it holds."""
    with suppress(OSError, ValueError):
        descriptor = os.open(work_dir / "journal" / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(os.read(descriptor, 32))
        finally:
            os.close(descriptor)
    return None


def _others(case: Case, own: int) -> Iterator[Finding]:
    """Other agents of this host that take tasks of the same worker groups: mostly left over."""
    for process in psutil.process_iter(["pid", "cmdline", "username"]):
        words = process.info["cmdline"] or []
        if process.info["pid"] in {own, os.getpid()} or not _is_agent(words):
            continue
        groups = [word for word in words if word in case.settings.worker_group]
        if groups and _parent_is_none(process):
            yield warned(
                "another agent",
                f"process {process.info['pid']} of {process.info['username']} takes tasks of "
                f"{', '.join(groups)} too",
                "none, if it is meant to; else end it: kill -TERM lets it finish its tasks",
            )


def _is_agent(words: list[str]) -> bool:
    flags = ("--worker-group", "--workerGroup")
    names = [Path(word).name for word in words[:3]]
    return "taskrunner" in names and "doctor" not in words and any(f in words for f in flags)


def _parent_is_none(process: psutil.Process) -> bool:
    """Not an agent's fork server or its child, whose command line is the agent's."""
    with suppress(psutil.Error):
        parent = process.parent()
        return parent is None or not _is_agent(parent.cmdline())
    return False


def _service(group: str | None) -> Iterator[Finding]:
    names = [part for part in (group or "").split("/") if part.endswith(".service")]
    if not names or names[0].startswith(("user@", "session")):
        yield warned(
            "systemd",
            "it is not a service of systemd: nothing starts it again after a crash or a reboot",
            "`taskrunner install-service --start`",
        )
    elif (unit := show_unit(names[-1])) is None:
        yield passed("systemd", f"it is {names[-1]}")
    else:
        yield from check_unit(unit)


def _delegation(group: str | None, pid: int) -> Finding:
    folder = CGROUPS / (group or "").lstrip("/")
    try:
        owner, runner = folder.stat().st_uid, Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        owner, runner = -1, 0
    if group and group != "/" and owner == runner:
        return passed("cgroup", f"{group} is delegated to the agent's user")
    return warned(
        "cgroup",
        "no control group is delegated: tasks are kept apart as process groups only",
        "run the agent as a service with Delegate=yes, as the unit that comes with it has",
    )

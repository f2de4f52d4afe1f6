"""The host: disk, drivers, and how the agent is run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from taskrunner import plugins
from taskrunner.agent.disk import measure
from taskrunner.doctor.case import Case, Finding, failed, passed, warned
from taskrunner.errors import TaskError

__all__ = ["check_agent", "check_disk", "check_drivers", "check_user"]

_CGROUPS = Path("/sys/fs/cgroup")
_FEW_INODES = 10_000


def check_disk(case: Case) -> Iterator[Finding]:
    """The work folder: there, writable, with space and inodes."""
    folder = case.settings.work_dir
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        yield failed(
            "work folder",
            f"{there} cannot be written to by this user (id {os.geteuid()})",
            "run this as the agent's user, or make the folder his, or set work_dir",
        )
    space = measure(there)
    floor = case.settings.min_free_disk.of(space.total)
    found = f"{space.free >> 20} MB free of {space.total >> 20} MB for {folder}"
    if space.inodes_free is not None:
        found += f", {space.inodes_free} files can be made"
    if space.free < floor:
        found += f"; less than min_free_disk, {floor >> 20} MB: no task is taken"
        yield failed("disk", found, f"make space: old logs are in {folder / 'output' / 'logs'}")
    elif space.inodes_free is not None and space.inodes_free < _FEW_INODES:
        yield warned("disk", found, "delete files: each attempt makes about a dozen")
    else:
        yield passed("disk", found)


def check_drivers(_case: Case) -> Iterator[Finding]:
    """Every activity, precondition, database and format that is installed can be used."""
    found = plugins.discover()
    broken = 0
    for plugin in found:
        try:
            plugin.load()
        except TaskError as error:
            broken += 1
            yield failed(f"driver {plugin.name}", str(error), plugins.remedy(plugin))
    if found and not broken:
        names = ", ".join(sorted({plugin.name for plugin in found}))
        yield passed("drivers", f"{len(found)} can be imported: {names}")
    elif not found:
        nothing = "no activity is registered: the installation is not whole"
        yield failed("drivers", nothing, "install taskrunner anew with pip")


def check_agent(case: Case) -> Iterator[Finding]:
    """Whether an agent runs here, and what it runs under."""
    if case.agent is None:
        found = f"none runs with the work folder {case.settings.work_dir}"
        yield warned("agent", found, "`systemctl start taskrunner`, or name another --work-dir")
        return
    pid = int(case.agent["pid"])
    yield passed("agent", f"process {pid} is {case.agent['phase']}")
    if case.agent["ready"] != "ok":
        remedy = "see `taskrunner status` and the other findings"
        yield warned("agent takes work", f"no: {case.agent['ready']}", remedy)
    group = _cgroup_of(pid)
    yield _service(group)
    yield _delegation(group, pid)


def _cgroup_of(pid: int) -> str | None:
    """The process's group in the unified hierarchy, e.g. /system.slice/taskrunner.service."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    return next((line[3:] for line in lines if line.startswith("0::")), None)


def _service(group: str | None) -> Finding:
    units = [part for part in (group or "").split("/") if part.endswith(".service")]
    if units and not units[0].startswith(("user@", "session")):
        return passed("systemd", f"it is {units[-1]}")
    return warned(
        "systemd",
        "it is not a service of systemd: nothing starts it again after a crash or a reboot",
        "`taskrunner install-service --start`",
    )


def _delegation(group: str | None, pid: int) -> Finding:
    folder = _CGROUPS / (group or "").lstrip("/")
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


def check_user(case: Case) -> Iterator[Finding]:
    """Tasks run as the agent's user, which had better not be root."""
    allowed = bool(getattr(case.settings, "allow_root", False))
    if case.agent is not None:
        uid, whose = Path(f"/proc/{case.agent['pid']}").stat().st_uid, "the agent runs"
    else:
        uid, whose = os.geteuid(), "this command runs, and an agent started alike would run,"
    remedy = "run it as a user of its own, as the systemd unit does; --allow-root says you mean it"
    if uid != 0 or allowed:
        yield passed("user", f"{whose} as user {uid}" + (", as allowed" if uid == 0 else ""))
    elif case.agent is not None:
        yield failed("user", f"{whose} as root, and so does every task", remedy)
    else:
        yield warned("user", f"{whose} as root", remedy)

"""Whether what one task may use can be held on this host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from taskrunner.agent.ipc.resource_limits import ResourceLimits
from taskrunner.doctor.case import Case, Finding, passed, warned
from taskrunner.host.cgroups import Bounds

CGROUPS = Path("/sys/fs/cgroup")


def check_limits(case: Case) -> Iterator[Finding]:
    """The settings `task_memory`, `task_cpus` and `task_processes`, by the agent's group."""
    settings = case.settings
    names = ("task_memory", "task_cpus", "task_processes", "task_file_size", "task_time")
    given = [name for name in names if getattr(settings, name) is not None]
    controllers = _controllers(int(case.agent["pid"]) if case.agent else os.getpid())
    limits = ResourceLimits(
        bounds=Bounds(
            memory=settings.task_memory, cpus=settings.task_cpus, processes=settings.task_processes
        ),
        file_size=settings.task_file_size,
        controllers=controllers,
    )
    unheld = list(limits.unheld(other_users=bool(settings.run_as_user)))
    for found in unheld:
        yield warned(
            "limits",
            found,
            "run the agent as the unit of `taskrunner install-service`, on a host with control "
            "groups of version 2; looked at by hand, this command's own group counts",
        )
    if not unheld:
        can = ", ".join(sorted(controllers & {"memory", "cpu", "pids"})) or "none"
        held = f"{', '.join(given)} can be held" if given else "none are set"
        yield passed("limits", f"{held} (controllers of the agent's group: {can})")


def group_of(pid: int) -> str | None:
    """A process's group in the unified hierarchy, e.g. /system.slice/taskrunner.service."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return None
    return next((line[3:] for line in lines if line.startswith("0::")), None)


def _controllers(pid: int) -> frozenset[str]:
    """What the group hands down, or could, if it is the process's own to say."""
    group = group_of(pid)
    if group is None:
        return frozenset()
    folder = CGROUPS / group.lstrip("/")
    # The agent itself sits in a group below the one that it was given.
    base = folder.parent if folder.name == "agent" else folder
    try:
        delegated = base.stat().st_uid == Path(f"/proc/{pid}").stat().st_uid
        words = (base / "cgroup.controllers").read_text().split()
    except OSError:
        return frozenset()
    return frozenset(words if delegated and group != "/" else ())

"""The host: disk, drivers, and as whom tasks run."""

from __future__ import annotations

import os
import pwd
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from taskrunner import DISTRIBUTION
from taskrunner.agent.operations.disk import amount_text, measure
from taskrunner.doctor.case import Case, Finding, failed, passed, warned
from taskrunner.errors import TaskError
from taskrunner.host.program import REMEDY, closed_to
from taskrunner.host.users import User
from taskrunner.plugins import discovery as plugins

#: Packages of other names than the modules that are in them.
_PACKAGES = {"psycopg": "'psycopg[binary]'"}
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
    free, total = amount_text(space.free), amount_text(space.total)
    found = f"{free} free of {total} for {folder}"
    if space.inodes_free is not None:
        found += f", {space.inodes_free} files can be made"
    if space.free < floor:
        found += f"; less than min_free_disk, {amount_text(floor)}: no task is taken"
        remedy = f"make space (logs are in {folder / 'output' / 'logs'}), or lower min_free_disk"
        yield failed("disk", found, remedy)
    elif space.inodes_free is not None and space.inodes_free < _FEW_INODES:
        yield warned("disk", found, "delete files: each attempt makes about a dozen")
    else:
        yield passed("disk", found)


def check_drivers(case: Case) -> Iterator[Finding]:
    """Every activity, precondition, database and format that is installed can be used."""
    found = plugins.discover()
    broken = 0
    for plugin in found:
        try:
            plugin.load()
        except TaskError as error:
            broken += 1
            yield failed(f"driver {plugin.name}", str(error), _install(plugin, error))
    if found and not broken:
        names = ", ".join(sorted({plugin.name for plugin in found}))
        yield passed("drivers", f"{len(found)} can be imported: {names}")
    elif not found:
        nothing = "no activity is registered: the installation is not whole"
        yield failed("drivers", nothing, f"install {DISTRIBUTION} anew: docs/install.md")
    known = {plugin.name for plugin in found}
    for name in case.settings.allow_types:
        if name not in known:
            remedy = "`taskrunner plugins` lists the types that are; case counts"
            yield warned("allow_types", f"{name} is allowed, and is not installed here", remedy)


def _install(plugin: plugins.Plugin, error: TaskError) -> str:
    cause = error.__cause__
    if not isinstance(cause, ModuleNotFoundError) or not cause.name:
        return plugins.remedy(plugin)
    module = cause.name.partition(".")[0]
    if module == "taskrunner":
        return plugins.remedy(plugin)  # pip knows somebody else's package by this name
    package = _PACKAGES.get(cause.name, module)
    pip = f"{sys.prefix}/bin/pip install {package}"
    return f"`{pip}`; tasks that do not use it run without"


def check_user(case: Case) -> Iterator[Finding]:
    """Tasks run as users that are there, and not as root unless that is meant."""
    if case.agent is not None:
        pid = int(case.agent["pid"])
        uid, whose = Path(f"/proc/{pid}").stat().st_uid, "the agent runs"
    else:
        pid = os.getpid()
        uid, whose = os.geteuid(), "this command runs, and an agent started alike would run,"
    users = case.settings.run_as_user
    name = _name_of(uid)
    if uid != 0 or case.settings.allow_root or "" in users:
        yield passed("user", f"{whose} as {name}" + ("" if uid else ", as allowed"))
    else:
        remedy = "run it as a user of its own, as the systemd unit does, or set run_as_user"
        found = f"{whose} as root: it refuses to, for every task would be root"
        yield (failed if case.agent is not None else warned)("user", found, remedy)
    if case.unit is None and case.agent is not None and uid != os.geteuid():
        found = f"this is looked at as {_name_of(os.geteuid())}, who may have other credentials"
        remedy = "run it as the agent's user, or with --unit for a service of systemd"
        yield warned("examination", found, remedy)
    for user in sorted(set(users.values())):
        yield _check_task_user(user, uid, pid)


def check_local_files(case: Case) -> Iterator[Finding]:
    """Which local files definitions may name, and whether the agent's own are among them."""
    settings, name = case.settings, "local_paths"
    groups = [g for g in settings.worker_group if not {"", g} & settings.run_as_user.keys()]
    bare = groups or not (settings.worker_group or settings.run_as_user)
    if not bare:
        if settings.local_paths:
            found = "not asked: every worker group has a run_as_user, whose rights count"
            yield warned(name, found, "leave it out")
        return
    work = Path(os.path.realpath(settings.work_dir))
    for path in settings.local_paths:
        real = Path(os.path.realpath(path))
        if work.is_relative_to(real) or real.is_relative_to(work):
            found = f"{path} holds files of the agent, which definitions may then read and write"
            yield warned(name, found, "list folders that hold nothing but data")
        elif not path.exists():
            yield warned(name, f"{path} is not there", f"make it (mkdir {path}), or leave it out")
    listed = ", ".join(map(str, settings.local_paths))
    yield passed(name, f"definitions may name local files below {listed or 'no folder'}")


#: CAP_KILL, CAP_SETGID, CAP_SETUID.
_TO_CHANGE_USERS = 1 << 5 | 1 << 6 | 1 << 7


def _check_task_user(
    user: str, uid: int, pid: int, closed_to: Callable[[User], str] = closed_to
) -> Finding:
    name = f"run_as_user {user}"
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        found = f"there is no user {user}: tasks that are to run as it fail"
        return failed(name, found, f"`useradd --system --user-group {user}`, or correct the name")
    if entry.pw_uid == uid:
        found = "it is the agent's own user, from whom tasks are to be kept apart"
        return failed(name, found, "give tasks a user of their own")
    if _capabilities(pid) & _TO_CHANGE_USERS != _TO_CHANGE_USERS:
        found = "the agent may not change users"
        remedy = "run it as the systemd unit does: CAP_SETUID, CAP_SETGID and CAP_KILL"
        return warned(name, f"{found}, seen from here", remedy)
    if closed := closed_to(User.named(entry.pw_name)):
        return warned(name, f"{closed}, and tasks may need it", REMEDY)
    return passed(name, f"user id {entry.pw_uid}, and the agent may change to it")


def _capabilities(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", text, re.MULTILINE)
    return int(found[1], 16) if found else 0


def _name_of(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"

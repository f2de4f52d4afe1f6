"""Running as another user, for a moment or for good: how tasks get their users' rights.

The agent need not be root: CAP_SETUID and CAP_SETGID let it change, CAP_KILL lets it end what it
has started as another. None of the three reaches a command.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

#: Numbers of CAP_KILL, CAP_SETGID, CAP_SETUID: what changing users takes.
CAPABILITIES = {"CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7}
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_MOST_CAPABILITIES = 64
_AS_IT_IS = -1
_GENERIC = {"setresuid": 147, "setresgid": 149, "setgroups": 159}
#: Numbers of the kernel's calls, by machine.
_CALLS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {"setresuid": 117, "setresgid": 119, "setgroups": 116},
    "aarch64": _GENERIC,
    "riscv64": _GENERIC,
    "ppc64le": {"setresuid": 164, "setresgid": 169, "setgroups": 81},
    "s390x": {"setresuid": 208, "setresgid": 210, "setgroups": 206},
}
_libc = ctypes.CDLL(None, use_errno=True)


#: Gives this thread another user's rights while its block lasts.
Rights = Callable[[], AbstractContextManager[None]]


class NotNow:
    """Defers what a signal handler would raise until this process has its own rights again.

    Blocking the signal does not: a handler runs in the main thread, in the midst of anything, when
    the kernel gives the signal to any other thread.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._kept: Callable[[], None] | None = None

    def call(self, act: Callable[[], None]) -> None:
        """Call `act` at once, or after the deferral; for signal handlers."""
        if self._depth:
            self._kept = act
        else:
            act()

    def begin(self) -> None:
        """Begin to defer calls."""
        self._depth += 1

    def end(self) -> None:
        """End the deferral and make the deferred call, which may raise."""
        self._depth -= 1
        if not self._depth and (act := self._kept) is not None:
            self._kept = None
            act()


#: That of the main thread, the only one that signal handlers disturb.
NOT_NOW = NotNow()


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as the kernel knows it, and as a login would find it."""

    name: str
    uid: int
    gid: int
    #: All groups, the first one among them.
    groups: tuple[int, ...]
    shell: str

    @classmethod
    def named(cls, name: str) -> User:
        """A user of this host; raises KeyError."""
        found = pwd.getpwnam(name)
        groups = os.getgrouplist(name, found.pw_gid)
        return cls(
            name=name,
            uid=found.pw_uid,
            gid=found.pw_gid,
            groups=tuple(groups),
            shell=found.pw_shell or "/bin/sh",
        )

    @classmethod
    def of_this_process(cls) -> User:
        """The effective user; one that no list of users has, as in a container, by its number."""
        uid = os.geteuid()
        try:
            found = pwd.getpwuid(uid)
        except KeyError:
            name, shell = str(uid), "/bin/sh"
        else:
            name, shell = found.pw_name, found.pw_shell or "/bin/sh"
        return cls(name=name, uid=uid, gid=os.getegid(), groups=tuple(os.getgroups()), shell=shell)

    @contextmanager
    def assumed(self) -> Iterator[None]:
        """Have the user's rights to files, in this thread alone, until the block ends.

        What the thread starts meanwhile has them too. The block is to be short: a cancellation
        waits for its end, since nothing that it raised before would leave these rights for sure.
        """
        main = threading.current_thread() is threading.main_thread()
        not_now = NOT_NOW if main else NotNow()
        not_now.begin()
        try:
            with self._rights_of_thread():
                yield
        finally:
            not_now.end()

    @contextmanager
    def _rights_of_thread(self) -> Iterator[None]:
        own = os.geteuid(), os.getegid(), os.getgroups()
        dies_with_parent = _parent_death_signal()
        try:
            _set_groups(self.groups)
            _change("setresgid", _AS_IT_IS, self.gid, _AS_IT_IS)
            _change("setresuid", _AS_IT_IS, self.uid, _AS_IT_IS)
            yield
        finally:
            _change("setresuid", _AS_IT_IS, own[0], _AS_IT_IS)
            _change("setresgid", _AS_IT_IS, own[1], _AS_IT_IS)
            _set_groups(own[2])
            # The kernel forgets it with every change of user.
            _libc.prctl(_PR_SET_PDEATHSIG, dies_with_parent, 0, 0, 0)

    def become(self) -> None:
        """Be this user for good, without any capability."""
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        _set_capabilities(keep=False)


def _set_groups(groups: Sequence[int]) -> None:
    _change("setgroups", len(groups), (ctypes.c_uint32 * len(groups))(*groups))


def _change(name: str, *arguments: object) -> None:
    """A call to the kernel itself: the C library would change every thread of the process."""
    number = ctypes.c_long(_CALLS[os.uname().machine][name])
    given = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    if _libc.syscall(number, *given) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def effective_capabilities() -> int:
    """What this process may do besides what its user may, as bits."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff:"))


def forbid_new_privileges() -> None:
    """Let no program run from here on get more rights than its user has; cannot be taken back."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for number in range(_MOST_CAPABILITIES):
        # Only root may; for others no program can use what stays in the set.
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    _set_capabilities(keep=True)


def can_change_users() -> bool:
    """Whether the calls to the kernel are known on this kind of machine."""
    return os.uname().machine in _CALLS


def said_as(user: User, work: Callable[[], str]) -> str:
    """What `work` returns as another user, in a process of its own; for one of a single thread.

    Raises OSError when it did not get to return anything.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            user.become()
            os.write(writing, work().encode())
            os._exit(0)
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read().decode()
    if os.waitpid(pid, 0)[1] != 0:
        raise OSError(f"nothing could be tried as the user {user.name!r}")
    return answer


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _set_capabilities(*, keep: bool) -> None:
    """Let programs inherit none; and have none, unless they are to be kept."""
    header, sets = _Header(_CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    if keep and _libc.capget(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), "capget failed")
    for half in sets:
        half.inheritable = 0
    if _libc.capset(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), "capset failed")


def _parent_death_signal() -> int:
    number = ctypes.c_int(0)
    _libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return number.value

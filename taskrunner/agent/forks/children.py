"""The agent's side of the fork server: start a child, end it, learn how it ended."""

from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn, Protocol

from taskrunner.agent.ipc import frames
from taskrunner.agent.ipc.usage import Usage
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.host.cgroups import Groups
from taskrunner.host.process import become_subreaper

if TYPE_CHECKING:
    from taskrunner.agent.forks.forkserver import MakeRoles

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
#: How long the server waits for a first request before it loads what attempts need.
_AGENT_STARTS_IN_S = 1.0
_LOST = Exit(status=None, error="the fork server is gone", lost=True)


class Child:
    """A process that the fork server was asked to start."""

    def __init__(self, child_id: int, owner: Children, on_exit: Callable[[], None]) -> None:
        self.id = child_id
        #: Known soon after the start; None when it could not be started.
        self.pid: int | None = None
        #: Set once the process has ended and its tree with it.
        self.exit: Exit | None = None
        self._owner = owner
        self._on_exit = on_exit

    def begin(self) -> None:
        """Let a process that was prepared do its work."""
        self._owner.send({"op": "begin", "id": self.id})

    def drop(self) -> None:
        """Let a process that was prepared end without having done any work."""
        self._owner.send({"op": "drop", "id": self.id})

    def end(self, grace_s: float) -> None:
        """TERM the process now, KILL all of its tree after the grace time."""
        self._owner.send({"op": "end", "id": self.id, "grace_s": grace_s})

    def ended(self, how: Exit) -> None:
        """Record the end, once, and wake whoever waits for it."""
        if self.exit is None:
            self.exit = how
            self._on_exit()


class Spawner(Protocol):
    """What attempts and the shipper need of `Children`."""

    def spawn(
        self,
        role: str,
        payload: bytes,
        *,
        on_started: Callable[[int], None] | None = None,
        on_exit: Callable[[], None],
        descriptor: int | None = None,
    ) -> Child:
        """Start a child in a role."""
        ...

    def prepare(
        self,
        role: str,
        payload: bytes,
        *,
        kind: str,
        on_started: Callable[[int], None],
        on_exit: Callable[[], None],
    ) -> Child:
        """Have a child get ready for work that it begins when it is told to."""
        ...


class Children:
    """Starts children through the fork server, which must be started first (before threads)."""

    def __init__(self, control: socket.socket, pid: int) -> None:
        self.pid = pid
        self._control = control
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._alive: dict[int, tuple[Child, Callable[[int], None] | None]] = {}
        self._gone = False

    @classmethod
    def start(cls, make_roles: MakeRoles, groups: Groups | None = None) -> Children:
        """Fork the server off this process, which must not have other threads yet.

        With `groups`, each attempt gets a control group of its own.
        """
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _serve(theirs, make_roles, groups)
        theirs.close()
        return cls(ours, pid)

    def spawn(
        self,
        role: str,
        payload: bytes,
        *,
        on_started: Callable[[int], None] | None = None,
        on_exit: Callable[[], None],
        descriptor: int | None = None,
    ) -> Child:
        """Start a child in a role; the callbacks run in the reader's thread and must not block."""
        return self._ask({"op": "spawn", "role": role}, payload, descriptor, on_started, on_exit)

    def prepare(
        self,
        role: str,
        payload: bytes,
        *,
        kind: str,
        on_started: Callable[[int], None],
        on_exit: Callable[[], None],
    ) -> Child:
        """Have a child get ready; its work begins, or never will, by `begin` or `drop`.

        `on_started` is called when it begins. `kind` is the type of the task: what the next tasks
        of that type need is loaded by and by.
        """
        kind = kind.encode(errors="replace").decode()
        head = {"op": "prepare", "role": role, "kind": kind}
        return self._ask(head, payload, None, on_started, on_exit)

    def _ask(
        self,
        head: Mapping[str, object],
        payload: bytes,
        descriptor: int | None,
        on_started: Callable[[int], None] | None,
        on_exit: Callable[[], None],
    ) -> Child:
        child = Child(next(self._numbers), self, on_exit)
        self._alive[child.id] = (child, on_started)
        self.send({**head, "id": child.id}, payload, descriptor)
        if self._gone:
            child.ended(_LOST)
        return child

    def send(
        self, head: Mapping[str, object], payload: bytes = b"", descriptor: int | None = None
    ) -> None:
        """Send the server a request; one that is gone is noticed by the reader."""
        with self._sending:
            try:
                frames.send(self._control, head, payload, descriptor)
            except OSError:
                self._gone = True

    def read_events(self) -> None:
        """The reader's loop; returns when the server is gone."""
        while (frame := frames.receive(self._control)) is not None:
            self._handle(frame)
        self._gone = True
        for child, _ in list(self._alive.values()):
            child.ended(_LOST)

    def end_orphans(self) -> None:
        """End what a server that died has left: this process, a subreaper, adopts it."""
        from taskrunner.host.process_tree import kill_descendants

        kill_descendants()

    def close(self) -> None:
        """End the server and, with it, everything that it started; waits until it has."""
        with suppress(OSError):  # it may be gone already
            self._control.shutdown(socket.SHUT_RDWR)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self._control.close()

    def _handle(self, frame: frames.Frame) -> None:
        facts = dict(frame.head)
        event, child_id = facts.pop("event"), facts.pop("id")
        child, on_started = self._alive[child_id]
        if event == "spawned":
            child.pid = facts["pid"]
            if on_started is not None:
                on_started(facts["pid"])
        else:
            del self._alive[child_id]
            usage = Usage(**facts.pop("usage", {}))
            child.ended(Exit(usage=usage, **facts))


def _serve(control: socket.socket, make_roles: MakeRoles, groups: Groups | None) -> NoReturn:
    """What the forked process does until the agent is gone, and that it ends then."""
    code = 1
    try:
        os.setsid()
        become_subreaper()
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        # A child may be told to end before it has set out: blocked, the signal waits for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        # All that follows takes time, for which the agent's first poll would wait.
        asked, _, _ = select.select([control], [], [], _AGENT_STARTS_IN_S)
        if not (asked and _ended(control)):
            from taskrunner.agent.forks.forkserver import ForkServer

            ForkServer.main(control, make_roles, groups)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _ended(control: socket.socket) -> bool:
    return not control.recv(1, socket.MSG_PEEK)

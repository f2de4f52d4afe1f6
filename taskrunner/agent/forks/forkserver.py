"""A small process, forked before threads and large imports, that starts attempts and ends them.

Forking from here costs milliseconds, and a child has neither the agent's memory nor its locks.
The server is the adopter of everything that its children leave behind: what is not a registered
child is a leftover, and is killed. When the agent dies, even by kill -9, the control socket ends,
and the server kills every attempt and exits. Where there are control groups, each attempt is made
in one of its own, which is ended as a whole. While tasks come, a process waits for the next one.
"""

from __future__ import annotations

import gc
import itertools
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from taskrunner.agent.forks import process_setup
from taskrunner.agent.forks.spares import Spare, may_begin
from taskrunner.agent.ipc import frames
from taskrunner.agent.ipc.attempt_roles import ATTEMPT, LOADER
from taskrunner.agent.ipc.usage import Usage
from taskrunner.clock import Clock, SystemClock
from taskrunner.host.cgroups import Group, Groups, Used
from taskrunner.host.hot_pages import HotPages
from taskrunner.host.process import oom_kills
from taskrunner.host.process_tree import kill_descendants, kill_tree

#: What a child does: it gets the request's payload, and the descriptor sent along, if any. What it
#: returns, if anything, is done only when the agent says so.
Role = Callable[[bytes, int | None], Callable[[], None] | None]
MakeRoles = Callable[[], Mapping[str, Role]]
#: How long the server waits for what it has killed; what hangs in the kernel takes longer.
_GONE_WITHIN_S = 2.0
#: How long a process is kept for the next task: an agent that is idle stays as small as it is.
_READY_FOR_S = 60.0
#: When it is made, after a hand-out has come: while that one's command starts, the processors have
#: other things to do.
_NEXT_AFTER_S = 0.03


@dataclass(slots=True, kw_only=True)
class _Child:
    id: int
    oom_kills: int
    group: Group | None
    #: When it is to be killed, if it was told to end.
    kill_at: float | None = None


@dataclass(slots=True, kw_only=True)
class _Prepared:
    """Work that was told to a process, and is not begun."""

    frame: frames.Frame
    #: None: the process died, or could not be made.
    process: Spare | None


class ForkServer:
    """The server's loop; runs in the forked process only."""

    def __init__(
        self,
        control: socket.socket,
        roles: Mapping[str, Role],
        clock: Clock,
        groups: Groups | None,
    ) -> None:
        self._control = control
        self._roles = roles
        self._clock = clock
        self._groups = groups
        self._children: dict[int, _Child] = {}
        #: The processes for the next tasks, by process id, oldest first.
        self._spares: dict[int, Spare] = {}
        #: By the number of the request.
        self._prepared: dict[int, _Prepared] = {}
        #: When the process for the next task is to be made.
        self._next_at: float | None = None
        #: The types of the tasks that have come since the last one was made.
        self._kinds: list[str] = []
        #: Those of an attempt.
        self._hot = HotPages()
        self._numbers = itertools.count(1)
        self._pid = os.getpid()
        self._wakeup, self._woken = socket.socketpair()
        self._handlers: dict[str, Callable[[frames.Frame], None]] = {
            "prepare": self._prepare,
            "begin": self._begin,
            "drop": self._drop,
            "spawn": lambda frame: self._launch(frame, None),
            "end": self._end,
        }

    @classmethod
    def main(
        cls, control: socket.socket, make_roles: MakeRoles, groups: Groups | None = None
    ) -> None:
        """Serve until the agent is gone. What roles need is loaded here."""
        server = cls(control, make_roles(), SystemClock(), groups)
        server._set_up()
        server._serve()

    def _set_up(self) -> None:
        self._woken.setblocking(False)
        self._wakeup.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        # Objects made so far are never freed, so that a collection does not copy their pages.
        gc.collect()
        gc.freeze()
        gc.enable()  # an agent starts without

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._control, self._wakeup], [], [], self._timeout())
            if self._wakeup in ready:
                self._wakeup.recv(4096)
            self._reap()
            self._kill_overdue()
            self._discard_overdue()
            self._make_next()
            if self._control in ready and not self._receive():
                break
        for pid, child in self._children.items():
            _kill(pid, child.group)
        kill_descendants()
        for child in self._children.values():
            self._close(child.group)
        for waiting in self._waiting().values():
            self._close(waiting.group)

    def _waiting(self) -> dict[int, Spare]:
        """All processes that do no work yet."""
        prepared = [work.process for work in self._prepared.values() if work.process is not None]
        return {**self._spares, **{process.pid: process for process in prepared}}

    def _timeout(self) -> float | None:
        deadlines = [c.kill_at for c in self._children.values() if c.kill_at is not None]
        deadlines += [spare.until for spare in self._spares.values()]
        if self._next_at is not None:
            deadlines.append(self._next_at)
        return max(min(deadlines) - self._clock.monotonic(), 0.0) if deadlines else None

    def _receive(self) -> bool:
        frame = frames.receive(self._control)
        if frame is not None:
            self._handlers[frame.head["op"]](frame)
        return frame is not None

    def _prepare(self, frame: frames.Frame) -> None:
        process = None
        with suppress(OSError):  # tried again, and told, when it is to begin
            process = self._hand_over(frame)
        self._prepared[frame.head["id"]] = _Prepared(frame=frame, process=process)
        self._kinds.append(frame.head["kind"])
        self._next_at = self._clock.monotonic() + _NEXT_AFTER_S

    def _make_next(self) -> None:
        """Load what the next tasks need, and have a process ready for one."""
        if self._next_at is None or self._next_at > self._clock.monotonic():
            return
        self._next_at = None
        kinds, self._kinds = self._kinds, []
        for kind in kinds:
            self._roles[LOADER](kind.encode(), None)
        with suppress(OSError):  # the next task makes one itself
            if not self._spares:
                spare = self._start(ATTEMPT, ahead=True)
                self._spares[spare.pid] = spare

    def _begin(self, frame: frames.Frame) -> None:
        prepared = self._prepared.pop(frame.head["id"])
        self._launch(prepared.frame, prepared.process)

    def _drop(self, frame: frames.Frame) -> None:
        child_id = frame.head["id"]
        process = self._prepared.pop(child_id).process
        if process is None:
            self._tell("exited", child_id, status=None, error="it was gone before")
            return
        process.sock.close()
        self._adopt(child_id, process)
        # Nothing of the task has run, so there is nothing that it could have to end in order.
        _kill(process.pid, process.group)

    def _launch(self, frame: frames.Frame, process: Spare | None) -> None:
        """Have the work begun by the process that is prepared for it, or by another."""
        child_id = frame.head["id"]
        try:
            if process is None or not process.begin():
                if process is not None:
                    self._discard(process)
                process = self._hand_over(frame)
                process.begin()  # what is done by now has needed no word
        except OSError as error:
            self._tell("exited", child_id, status=None, error=f"cannot fork: {error}")
            return
        finally:
            if frame.descriptor is not None:
                os.close(frame.descriptor)
        self._adopt(child_id, process)
        self._tell("spawned", child_id, pid=process.pid)

    def _adopt(self, child_id: int, process: Spare) -> None:
        self._children[process.pid] = _Child(
            id=child_id, oom_kills=oom_kills(), group=process.group
        )

    def _hand_over(self, frame: frames.Frame) -> Spare:
        """Give the work to a process that is ready, or to a new one; raises OSError."""
        role = frame.head["role"]
        while role == ATTEMPT and self._spares:
            spare = self._spares.pop(next(iter(self._spares)))
            if spare.give(frame):
                return spare
            self._discard(spare)
        new = self._start(role)
        if not new.give(frame):
            self._discard(new)
            raise ChildProcessError("the new process was gone at once")
        return new

    def _start(self, role: str, *, ahead: bool = False) -> Spare:
        """A process that waits for its work; raises OSError. `ahead`: it has time until then."""
        ours, theirs = socket.socketpair()
        group = None
        try:
            group = self._make_group(role)
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            self._close(group)
            raise
        if pid == 0:
            self._become(theirs, group, ahead=ahead)
        theirs.close()
        until = self._clock.monotonic() + _READY_FOR_S
        return Spare(pid=pid, group=group, sock=ours, until=until)

    def _make_group(self, role: str) -> Group | None:
        if self._groups is None or role != ATTEMPT:
            return None
        return self._groups.make(f"{self._pid}-{next(self._numbers)}")

    def _become(self, sock: socket.socket, group: Group | None, *, ahead: bool) -> None:
        """In the child: wait for the work, do it and exit, without any of the server's clean-up."""
        code = 1
        try:
            process_setup.isolate(self._pid, keep=sock.fileno(), group=group)
            if ahead:
                self._hot.fetch()
            self._work(sock)
            if ahead:
                self._hot.note()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _work(self, sock: socket.socket) -> None:
        begin = None
        with sock:
            work = frames.receive(sock)
            if work is None:
                return
            role = partial(self._roles[work.head["role"]], work.payload, work.descriptor)
            if work.head["op"] == "prepare":
                begin = role()
                if not may_begin(sock):
                    return
        # Whatever is done now may start other programs, which the server's socket is no concern of.
        begin = begin or role()
        if begin is not None:
            begin()

    def _end(self, frame: frames.Frame) -> None:
        for pid, child in self._children.items():
            if child.id == frame.head["id"]:
                child.kill_at = self._clock.monotonic() + float(frame.head["grace_s"])
                os.kill(pid, signal.SIGTERM)

    def _kill_overdue(self) -> None:
        now = self._clock.monotonic()
        for pid, child in self._children.items():
            if child.kill_at is not None and child.kill_at <= now:
                child.kill_at = None
                _kill(pid, child.group)

    def _discard_overdue(self) -> None:
        now = self._clock.monotonic()
        for spare in [spare for spare in self._spares.values() if spare.until <= now]:
            del self._spares[spare.pid]
            self._discard(spare)

    def _discard(self, spare: Spare) -> None:
        spare.sock.close()
        _kill(spare.pid, spare.group)
        self._close(spare.group)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.wait4(-1, os.WNOHANG))[0]:
                self._ended(*ended)

    def _ended(self, pid: int, status: int, usage: resource.struct_rusage) -> None:
        if (waiting := self._waiting().get(pid)) is not None:
            self._forget(waiting)
            return
        child = self._children.pop(pid, None)
        if child is None:
            return  # a leftover that was killed
        if child.group is not None:
            child.group.end(_GONE_WITHIN_S, self._clock)
        if status != 0:
            # It had no chance to end what it had started, which is ours by now.
            kill_descendants(spare=frozenset([*self._children, *self._waiting()]))
        used = child.group.used() if child.group is not None else None
        counted = Usage.of(usage, used=used)
        self._close(child.group)
        self._tell(
            "exited",
            child.id,
            status=status,
            usage=asdict(counted),
            oom=_was_oom(child, status, used),
        )

    def _forget(self, dead: Spare) -> None:
        """One that did no work yet has ended. Its process id may be another's by now."""
        self._spares.pop(dead.pid, None)
        for prepared in self._prepared.values():
            if prepared.process is dead:
                prepared.process = None
        dead.sock.close()
        self._close(dead.group)

    def _close(self, group: Group | None) -> None:
        if group is not None:
            group.end(_GONE_WITHIN_S, self._clock)
            group.remove()

    def _tell(self, event: str, child_id: int, **facts: Any) -> None:
        # An agent that is gone shows at the next read.
        with suppress(BrokenPipeError, ConnectionResetError):
            frames.send(self._control, {"event": event, "id": child_id, **facts})


def _kill(pid: int, group: Group | None) -> None:
    if group is not None:
        group.kill()
    else:
        kill_tree(pid)


def _was_oom(child: _Child, status: int, used: Used | None) -> bool:
    if used is not None and used.oom_kills is not None:
        return used.oom_kills > 0
    # Where the group does not count its own, this may have been another's.
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return killed and oom_kills() > child.oom_kills

"""A `taskrunner` that is killed, as by kill -9, at a named step in the life of one hand-out.

    python -m tests.chaos.failpoints STEP TASK_ID WITHOUT taskrunner-arguments...

WITHOUT names a defence to take away (see mutants.py), or is `-`. The product knows nothing of this:
its functions are wrapped here, from outside.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tests.chaos.mutants import MUTANTS, become_taskrunner

__all__ = ["AFTER_EXIT", "BEFORE_EXIT", "command"]

Install = Callable[[str], None]
#: Whether the call in progress in this thread is about the hand-out, for what cannot see it.
_CURRENT = threading.local()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()


def _wrap(owner: Any, name: str, concerns: Callable[..., bool], *, before: bool) -> None:
    """Die before or after a function that is called for the hand-out."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        ours = concerns(*args)
        if before and ours:
            _die()
        result = original(*args, **kwargs)
        if ours:
            _die()
        return result

    setattr(owner, name, wrapped)


def _entry(name: str, *, before: bool) -> Install:
    """A step of the hand-out's journal."""

    def install(task_id: str) -> None:
        from taskrunner.agent.journal.journal import Entry

        _wrap(Entry, name, lambda entry, *_: entry.task_id == task_id, before=before)

    return install


def _accepted(task_id: str) -> None:
    from taskrunner.agent.journal.journal import Journal

    _wrap(Journal, "accept", lambda _self, task, _files: task.task_id == task_id, before=False)


def _acknowledged(task_id: str) -> None:
    from taskrunner.agent.handouts.reporter import Reporter

    _wrap(Reporter, "acknowledge", lambda self, _: self._task_id == task_id, before=False)


def _shipping(task_id: str) -> None:
    from taskrunner.agent.handouts import attempt, recovery

    for module in (attempt, recovery):
        _wrap(module, "ship_logs", lambda entry, _: entry.task_id == task_id, before=True)


def _delivering(task_id: str) -> None:
    from taskrunner.agent.handouts.outbox import Outbox

    _wrap(Outbox, "deliver", lambda _, entry: entry.task_id == task_id, before=True)


def _told(*, before: bool) -> Install:
    def install(task_id: str) -> None:
        from taskrunner.wire.runner import RunnerApi

        _wrap(RunnerApi, "set_task_status", lambda _, told, __: told == task_id, before=before)

    return install


def _reply_unread(dying: str) -> None:
    """The service has taken the verdict, and its answer is there, but was never read."""
    from taskrunner.wire import transport
    from taskrunner.wire.runner import RunnerApi

    original = RunnerApi.set_task_status

    def set_task_status(self: RunnerApi, task_id: str, verdict: Any) -> None:
        _CURRENT.ours = task_id == dying
        original(self, task_id, verdict)

    RunnerApi.set_task_status = set_task_status  # type: ignore[method-assign]
    _wrap(transport, "_read", lambda _reply: getattr(_CURRENT, "ours", False), before=True)


def _half_forgotten(task_id: str) -> None:
    """It is remembered as finished, and its file is still there."""
    from taskrunner.agent.ipc.names import token_of
    from taskrunner.host import durable

    token = token_of(task_id)
    _wrap(durable, "append_line", lambda _path, line: line == token, before=False)


#: Where the agent can be killed before the child has ended; the child is then ended, too.
BEFORE_EXIT: Mapping[str, Install] = {
    "accepted": _accepted,
    "acknowledged": _acknowledged,
    "started": _entry("started", before=False),
}
#: ... and between the child's end and the last that is owed for it.
AFTER_EXIT: Mapping[str, Install] = {
    "ended": _entry("exited", before=True),
    "end journaled": _entry("exited", before=False),
    "shipping": _shipping,
    "shipped": _entry("shipped", before=False),
    "scratch removed": _delivering,
    "telling": _told(before=True),
    "answer unread": _reply_unread,
    "told": _told(before=False),
    "closing": _entry("close", before=True),
    "half forgotten": _half_forgotten,
    "forgotten": _entry("close", before=False),
}


def command(step: str, task_id: str, without: str = "-") -> tuple[str, ...]:
    """What to run in place of `taskrunner`."""
    return ("tests.chaos.failpoints", step, task_id, without)


def main(argv: list[str]) -> int:
    """Lay the trap, take a defence away, and become `taskrunner`."""
    step, task_id, without, *arguments = argv
    if without != "-":
        MUTANTS[without]()
    {**BEFORE_EXIT, **AFTER_EXIT}[step](task_id)
    return become_taskrunner(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Programs with one defence taken away: a test that still passes against one shows nothing.

    python -m tests.chaos.mutants NAME taskrunner-arguments...

This is the one place where our own code is patched: what is shown is that a test can fail.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tests.chaos.storm_mutants import STORM_MUTANTS


def _end_not_journaled() -> None:
    """A8: how a child ended is known to the agent's memory alone."""
    from taskrunner.agent.journal.journal import Entry

    def exited(self: Entry, verdict: Any) -> None:
        self.verdict = verdict
        self.files.result.unlink(missing_ok=True)  # what the child wrote would do instead

    Entry.exited = exited  # type: ignore[method-assign]


def _hand_outs_forgotten() -> None:
    """A8: what was accepted, or finished, before is no reason not to run it."""
    from taskrunner.agent.journal.journal import Journal

    original = Journal.accept

    def accept(self: Journal, task: Any, files: Any) -> Any:
        from taskrunner.agent.ipc.names import token_of

        token = token_of(task.task_id)
        self._finished.pop(token, None)
        (self._folder / f"{token}.jsonl").unlink(missing_ok=True)
        return original(self, task, files)

    Journal.accept = accept  # type: ignore[method-assign]


def _silent_drain() -> None:
    """A10: an agent that was told to stop tells the service nothing of what runs any more."""
    from taskrunner.agent.agent import Agent

    original = Agent._drain

    def drain(self: Agent, *args: Any) -> None:
        original(self, *args)
        for attempt in self._running.values():
            attempt._reporter.end()

    Agent._drain = drain  # type: ignore[assignment]


def _notice_ignored() -> None:
    """A11: an agent that never looks whether its host is about to go."""
    from taskrunner.agent.ec2.notices import NoticeWatch

    NoticeWatch.tick = lambda self, tell: None  # type: ignore[method-assign]


def _lease_unwatched() -> None:
    """A6: an agent that works on, however long the service has not answered it."""
    from taskrunner.agent.handouts import deadlines

    deadlines._PART_OF_LEASE = 1000.0
    deadlines._PART_OF_INTERVAL = 0.2


def _body_without_deadline() -> None:
    """A9: a time limit for each read of a reply, as HTTP libraries have, and none for all of it."""
    from taskrunner.wire import transport

    transport._Deadline.left = lambda self: 1000.0  # type: ignore[method-assign]


def _parts_forgotten() -> None:
    """C1: which parts of a log were pushed is only known while the agent lives."""
    from taskrunner.agent.journal.journal import Entry

    def part_begun(self: Entry, name: str, start: int, end: int) -> None:
        self.parts.append((name, start, end))

    Entry.part_begun = part_begun  # type: ignore[method-assign]


def _logs_not_recovered() -> None:
    """C1: the next agent tells how a hand-out ended, and leaves its logs where they are."""
    from taskrunner.agent.handouts import recovery

    recovery.ship_logs = lambda *_: None  # type: ignore[attr-defined]


def _store_not_held() -> None:
    """C2: whatever a store says it has is taken to be what it was sent."""
    from taskrunner.agent.logs import uploads
    from taskrunner.data.objects.s3_upload import Target

    uploads.verify = lambda *_: None  # type: ignore[attr-defined]
    Target.took = lambda *_: True  # type: ignore[method-assign]


def _no_second_try() -> None:
    """C2: a call to S3 is made once."""
    from taskrunner.agent import roles
    from taskrunner.agent.handouts import attempt

    roles._TRIES = 1
    attempt._SHIP_TRIES = 1


def _unmasked() -> None:
    """E1: nothing is known to be a secret."""
    from taskrunner.agent.secrets.masking import Masker

    original = Masker.__init__

    def init(self: Masker, secrets: Any) -> None:
        original(self, ())

    Masker.__init__ = init  # type: ignore[method-assign]


def _trees_left_alone() -> None:
    """A7: a task's end is the end of its own process and of no other."""
    import os
    from contextlib import suppress

    from taskrunner.host import cgroups, process_tree

    def kill(pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)

    process_tree.kill_tree = kill
    process_tree.kill_descendants = lambda **_: 0
    cgroups.Group.kill = lambda self: None  # type: ignore[method-assign]
    cgroups.Group.end = lambda self, *_: True  # type: ignore[method-assign]


def _no_control_groups() -> None:
    """A host that has none, or hands none down: the tree of processes is walked instead."""
    from taskrunner.host import cgroups

    def find_groups(*_: object) -> Any:
        raise cgroups.NoGroups("none here")

    cgroups.find_groups = find_groups  # type: ignore[assignment]


def _local_files_unchecked() -> None:
    """Whatever a definition names on this host is opened as the agent would open its own."""
    from contextlib import nullcontext

    from taskrunner.host.local_files import LocalFiles

    LocalFiles.bounded = property(lambda _self: False)  # type: ignore[assignment]
    LocalFiles.rights = lambda _self: nullcontext()  # type: ignore[assignment,method-assign]


#: Name of the defence that is off -> what takes it away. Each says which invariant must then break.
MUTANTS: Mapping[str, Callable[[], None]] = {
    "end-not-journaled": _end_not_journaled,
    "hand-outs-forgotten": _hand_outs_forgotten,
    "silent-drain": _silent_drain,
    "notice-ignored": _notice_ignored,
    "lease-unwatched": _lease_unwatched,
    "body-without-deadline": _body_without_deadline,
    "parts-forgotten": _parts_forgotten,
    "logs-not-recovered": _logs_not_recovered,
    "store-not-held": _store_not_held,
    "no-control-groups": _no_control_groups,
    "no-second-try": _no_second_try,
    **STORM_MUTANTS,
    "local-files-unchecked": _local_files_unchecked,
    "trees-left-alone": _trees_left_alone,
    "unmasked": _unmasked,
}


def become_taskrunner(arguments: list[str]) -> int:
    """Run its command line in this process."""
    from taskrunner.cli import main as taskrunner

    sys.argv = ["taskrunner", *arguments]
    return taskrunner()


def main(argv: list[str]) -> int:
    """Take one defence away and become `taskrunner`."""
    name, *arguments = argv
    MUTANTS[name]()
    return become_taskrunner(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

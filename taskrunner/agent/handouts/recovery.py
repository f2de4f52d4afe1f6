"""After a restart: end what the last agent left running, then send the verdicts it owed.

Nothing is run again. A hand-out whose process had ended gets the verdict that it left; one that
was cut short is reported as interrupted. No task is asked for before nothing runs any more, nor,
for a while, before all is told.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from taskrunner.agent.handouts.attempt import AttemptServices, ship_logs
from taskrunner.agent.handouts.ending import read_result
from taskrunner.agent.handouts.scratch import remove_scratch
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import MARK
from taskrunner.agent.journal.journal import Entry, Journal
from taskrunner.clock import Clock
from taskrunner.errors import UnknownTask, WireError
from taskrunner.host.cgroups import Groups
from taskrunner.host.process_start import process_start_id
from taskrunner.logs import get_logger
from taskrunner.wire.api import Verdict

log = get_logger()

_TELL_FIRST_S = 20.0
_GONE_WITHIN_S = 5.0
#: How many hand-outs of the last run are concluded side by side.
_AT_ONCE = 4
#: Often, since the shortest lease is not known any more.
_REPORT_EVERY_S = 10.0


def recover(journal: Journal, services: AttemptServices, poll: Callable[[], None]) -> None:
    """Settle every hand-out that the journal still holds; `poll` begins to take work, once."""
    if services.groups is not None:
        end_groups(services.groups, services.clock)
    entries = list(journal.open_entries())
    if services.janitor is not None:
        services.janitor.sweep({entry.files.scratch for entry in entries})
    if entries:
        log.info("hand-outs left by the last run", count=len(entries))
        end_leftovers(entries)
    owed = _Owed(entries, services)
    owed.settle()
    # A service or a bucket that is away must not keep the agent from the work there is.
    services.clock.wait(owed.told, _TELL_FIRST_S)
    poll()


class _Owed:
    """The last run's hand-outs: their leases are kept by reports until their verdicts are sent.

    Logs come before verdicts, and can take longer than a lease.
    """

    def __init__(self, entries: Sequence[Entry], services: AttemptServices) -> None:
        self._services = services
        self._waiting = deque(entries)
        self._untold = {entry.token: entry for entry in entries}
        #: Set when nothing is owed any more.
        self.told = threading.Event()
        if not entries:
            self.told.set()

    def settle(self) -> None:
        """Start the threads that send verdicts and keep leases; does not wait for them."""
        threads = self._services.threads
        # None of these may stand behind all others: each may wait for a bucket of its own.
        for number in range(1, min(len(self._waiting), _AT_ONCE) + 1):
            threads.run(f"owed-{number}", self._tell)
        if self._untold:
            threads.run("owed-progress", self._keep)

    def _tell(self) -> None:
        while True:
            try:
                entry = self._waiting.popleft()
            except IndexError:
                return
            _conclude(entry, self._services)
            del self._untold[entry.token]
            if not self._untold:
                self.told.set()

    def _keep(self) -> None:
        gone: set[str] = set()
        while not self.told.is_set():
            for entry in list(self._untold.values()):
                try:
                    if entry.token not in gone:
                        self._services.api.report_task_progress(entry.task_id, {})
                except UnknownTask:
                    gone.add(entry.token)
                except WireError:
                    continue  # its verdict will say more
            self._services.clock.wait(self.told, _REPORT_EVERY_S)


def _conclude(entry: Entry, services: AttemptServices) -> None:
    if entry.verdict is None:
        entry.exited(verdict_of(entry))
    if not entry.logs_shipped:
        ship_logs(entry, services)
    services.outbox.deliver(entry)
    remove_scratch(entry.files, services.spawner, services.clock)


def verdict_of(entry: Entry) -> Verdict:
    """How a hand-out ended whose agent died before it could say so."""
    result = read_result(entry.files.result)
    if result is None or result.status == "CANCELED":
        return verdicts.INTERRUPTED
    return result


def end_groups(groups: Groups, clock: Clock) -> int:
    """End what runs in control groups of the last agent, whose work folder this one has now."""
    groups.sweep()
    left = groups.all()
    alive = {pid for group in left for pid in group.pids()}
    for group in left:
        if not group.end(_GONE_WITHIN_S, clock):
            log.error("processes of the last run cannot be ended", group=str(group.folder))
        group.remove()
    if alive:
        log.warning("ended what the last run had left", processes=len(alive))
    return len(alive)


def end_leftovers(entries: Iterable[Entry]) -> int:
    """Kill what still runs of these hand-outs: by process, and by the mark in the environment."""
    found = {pid for entry in entries if (pid := _alive(entry)) is not None}
    found |= set(_marked({entry.mark for entry in entries}))
    if found:
        from taskrunner.host.process_tree import kill_tree

        for pid in found:
            kill_tree(pid)
        log.warning("ended what the last run had left", processes=len(found))
    return len(found)


def _alive(entry: Entry) -> int | None:
    if entry.process is None:
        return None
    pid, start_id = entry.process
    return pid if process_start_id(pid) == start_id else None


def _marked(marks: set[str]) -> Iterable[int]:
    if not marks:
        return
    import psutil  # an agent that has nothing to settle starts without it

    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) in marks:
                yield process.pid

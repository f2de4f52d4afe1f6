"""Who asks for work: known by the calls of runners, kept here, and saved now and then.

A poll never waits for it. What is new is saved within a second or two, what has only come again
every ten, all of it in one transaction. It is told to people, and tells which runner an order to
pause or drain is for; what a runner may do is decided by its key.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy.engine import Connection

from taskrunner.clock import Clock
from taskrunner.service.callers import Caller
from taskrunner.service.store import runners as runner_store
from taskrunner.service.store.rows import RefusedPollRow, RunnerGroupRow, RunnerRow
from taskrunner.wire.user_agent import DOCTOR, RunnerFacts

#: Between two looks whether there is anything to save, and two savings of one row, in seconds.
NAP_S = 1.0
SAVED_EVERY = timedelta(seconds=10)
#: What is held, at most; what has not come for longest goes.
MOST_RUNNERS = 10_000
MOST_GROUPS = 20_000
MOST_REFUSED = 200
#: Of one runner, and of one address: nobody crowds out the others.
MOST_GROUPS_OF_ONE = 100
MOST_REFUSED_OF_ONE = 20

K = TypeVar("K", bound=Hashable)
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerCall:
    """Who makes a call of a runner."""

    caller: Caller
    ip: str | None = None
    #: What it says of itself; None: it is somebody else's program.
    facts: RunnerFacts | None = None

    @property
    def is_runner(self) -> bool:
        """Whether it would do work, if it got any."""
        return self.facts is None or self.facts.program != DOCTOR


class Writes(Protocol):
    """A store, as far as it is written to."""

    def write(self) -> AbstractContextManager[Connection]:
        """A transaction that may write. Raises StoreError."""
        ...


class Roster:
    """Takes note of runners; safe for threads."""

    def __init__(self, store: Writes, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._runners: _Kept[tuple[str, str], RunnerRow] = _Kept(MOST_RUNNERS)
        self._groups: _Kept[tuple[str, str, str], RunnerGroupRow] = _Kept(MOST_GROUPS)
        self._refused: _Kept[tuple[str, str, str], RefusedPollRow] = _Kept(MOST_REFUSED)

    def polled(self, call: RunnerCall, worker_group: str, hostname: str | None) -> None:
        """A runner asks for the work of a group, or has been answered just now."""
        runner_id = (call.facts and call.facts.runner_id) or hostname or call.ip
        if not call.is_runner or runner_id is None:
            return
        now = self._clock.now()
        with self._lock:
            row = self._seen(call, runner_id, now, hostname, last_poll_at=now)
            self._runners.put((row.account, runner_id), row)
            self._named(row, worker_group, polled_at=now)

    def beat(
        self, call: RunnerCall, runner_id: str, worker_group: str | None, hostname: str | None
    ) -> None:
        """A runner says that it lives, and maybe for which group."""
        # A doctor of before it said so in its header has such an id.
        if not call.is_runner or runner_id.startswith("doctor-"):
            return
        now = self._clock.now()
        with self._lock:
            row = self._seen(call, runner_id, now, hostname, last_heartbeat_at=now)
            self._runners.put((row.account, runner_id), row)
            if worker_group is not None:
                self._named(row, worker_group, polled_at=None)

    def worked(self, call: RunnerCall) -> None:
        """A runner reports on a task; by that alone only those are known that tell who they are."""
        if call.is_runner and call.facts is not None and call.facts.runner_id is not None:
            with self._lock:
                row = self._seen(call, call.facts.runner_id, self._clock.now(), None)
                self._runners.put((row.account, row.runner_id), row)

    def refused(self, row: RefusedPollRow) -> None:
        """A poll was refused."""
        key = (row.ip, row.worker_group, row.code)
        with self._lock:
            self._refused.put(key, row, owner=row.ip, most_of_owner=MOST_REFUSED_OF_ONE)

    def _seen(
        self,
        call: RunnerCall,
        runner_id: str,
        now: datetime,
        hostname: str | None,
        **moments: Any,
    ) -> RunnerRow:
        """What is known of a runner, with what its call says, and when it said what."""
        row = self._runners.get((call.caller.account, runner_id)) or RunnerRow(
            account=call.caller.account,
            runner_id=runner_id,
            user_id=call.caller.user,
            first_seen_at=now,
            last_seen_at=now,
        )
        facts = call.facts
        said: dict[str, Any] = {}
        if facts is not None:
            said["version"] = facts.version
            if facts.slots is not None:
                said |= {"slots": facts.slots, "busy": facts.busy, "paused": facts.paused}
        # All at once: to replace anything of a row takes as long as a short statement does.
        return replace(
            row,
            user_id=call.caller.user,
            hostname=hostname or row.hostname,
            ip=call.ip or row.ip,
            last_seen_at=now,
            **said,
            **moments,
        )

    def _named(self, runner: RunnerRow, worker_group: str, *, polled_at: datetime | None) -> None:
        key = (runner.account, runner.runner_id, worker_group)
        known = self._groups.get(key)
        row = RunnerGroupRow(
            account=runner.account,
            runner_id=runner.runner_id,
            worker_group=worker_group,
            last_seen_at=runner.last_seen_at,
            last_poll_at=polled_at or (known.last_poll_at if known else None),
        )
        self._groups.put(key, row, owner=key[:2], most_of_owner=MOST_GROUPS_OF_ONE)

    def step(self, now: datetime) -> float:
        """Save what is to be saved by now; returns how long nothing is to be done, in seconds."""
        self.save(now, every=SAVED_EVERY)
        return NAP_S

    def save(self, now: datetime, *, every: timedelta = timedelta(0)) -> None:
        """Save what has changed, but no row twice within a time. Raises StoreError."""
        with self._lock:
            runners = self._runners.due(now, every)
            groups = self._groups.due(now, every)
            refused = self._refused.due(now, every)
        if not (runners or groups or refused):
            return
        with self._store.write() as conn:
            runner_store.save_runners(conn, list(runners.values()))
            runner_store.save_groups(conn, list(groups.values()))
            runner_store.save_refused(conn, list(refused.values()), most=MOST_REFUSED)
        with self._lock:
            self._runners.saved(runners, now)
            self._groups.saved(groups, now)
            self._refused.saved(refused, now)


class _Kept(Generic[K, R]):
    """The newest of each, no more than so many, and which of them are to be saved."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: OrderedDict[K, R] = OrderedDict()
        self._owners: dict[K, Hashable] = {}
        self._of_owner: Counter[Hashable] = Counter()
        self._changed: dict[K, None] = {}
        self._saved: dict[K, datetime] = {}

    def get(self, key: K) -> R | None:
        return self._rows.get(key)

    def put(self, key: K, row: R, *, owner: Hashable = None, most_of_owner: int = 0) -> None:
        """Take a row in the place of an older one."""
        if key not in self._rows and owner is not None:
            self._owners[key] = owner
            self._of_owner[owner] += 1
            if self._of_owner[owner] > most_of_owner:
                self._forget(next(k for k in self._rows if self._owners[k] == owner))
        self._rows[key] = row
        self._rows.move_to_end(key)
        self._changed[key] = None
        if len(self._rows) > self._most:
            self._forget(next(iter(self._rows)))

    def _forget(self, key: K) -> None:
        del self._rows[key]
        self._changed.pop(key, None)
        self._saved.pop(key, None)
        owner = self._owners.pop(key, None)
        if owner is not None:
            self._of_owner[owner] -= 1
            if not self._of_owner[owner]:
                del self._of_owner[owner]

    def due(self, now: datetime, every: timedelta) -> dict[K, R]:
        """What has changed and was not saved within this time."""
        return {
            key: self._rows[key]
            for key in self._changed
            if key not in self._saved or abs(now - self._saved[key]) >= every
        }

    def saved(self, rows: dict[K, R], now: datetime) -> None:
        """These were; what has changed meanwhile is to be saved again."""
        for key, row in rows.items():
            if self._rows.get(key) is row:
                self._changed.pop(key, None)
            if key in self._rows:
                self._saved[key] = now

"""Polls and slots: a thread for each worker group asks for tasks, a thread for each slot runs them.

No more tasks are taken than there are slots. Two groups that were quiet may each be given a task at
the same moment; the one too many waits for a slot for a while without being acknowledged, and is
then left to other runners.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from random import Random

from taskrunner.agent.backoff import Backoff, Outage
from taskrunner.agent.lifecycle import Threads
from taskrunner.agent.polling.gate import Gate
from taskrunner.agent.polling.turns import Turns
from taskrunner.clock import Clock
from taskrunner.errors import CallGivenUp, CallRefused, NotAuthorized, ServiceUnreachable
from taskrunner.logs import get_logger
from taskrunner.model.task import Task
from taskrunner.wire.runner import RunnerApi

log = get_logger()

#: A poll has a deadline of its own, above the 90 s that the service may hold it.
_LONGEST_POLL_S = 150.0
#: Half of the time in which a task must be acknowledged.
_LONGEST_HOLD_S = 60.0
#: When no task can be taken for so long, polls that are still held are given up. Short tasks come
#: and go without that.
_GIVE_UP_AFTER_S = 1.0
_UNTIL_SOMETHING_HAPPENS_S = 60.0


class Poller:
    """Asks for tasks and has them run."""

    def __init__(
        self,
        api: RunnerApi,
        turns: Turns,
        *,
        hostname: str,
        run: Callable[[Task], None],
        stopping: threading.Event,
        clock: Clock,
        gate: Gate | None = None,
        random: Random | None = None,
    ) -> None:
        """Without a gate, nothing but a stop keeps groups from being polled."""
        self._gate = gate or Gate(clock)
        self._api = api
        self._hostname = hostname
        self._run = run
        self._stopping = stopping
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = turns
        #: One a group: something has changed, it may be its turn.
        self._changed = {group: threading.Event() for group in turns.groups}
        #: Tasks, with when each came; None: look whether the agent stops.
        self._tasks: queue.SimpleQueue[tuple[Task, float] | None] = queue.SimpleQueue()
        #: Since when nothing can be taken.
        self._barred_since: float | None = None
        self._outage = Outage(
            began=lambda error: log.warning("no answer; will keep trying", error=str(error)),
            goes_on=lambda error, failures: log.warning(
                "still no answer; will keep trying", error=str(error), failures=failures
            ),
            ended=lambda failures: log.info("the service answers again", failures=failures),
            backoff=Backoff(),
            random=random or Random(),  # noqa: S311  spreads load, guards nothing
        )

    def start(self, threads: Threads) -> None:
        """Begin to take work."""
        for number in range(1, self._turns.slots + 1):
            threads.start(f"slot-{number}", self._work)
        for group in self._changed:
            threads.start(f"poll-{group}", partial(self._ask_on, group))

    def weigh(self, weights: Mapping[str, int]) -> None:
        """Poll the groups by other weights from now on."""
        with self._lock:
            self._turns.weigh(weights)

    def release(self) -> None:
        """Let all waiting threads go and end outstanding polls: the agent stops."""
        self._gate.end()
        for _ in range(self._turns.slots):
            self._tasks.put(None)
        self._wake_groups()
        self._give_up()

    @property
    def busy(self) -> int:
        """How many slots have a task."""
        return min(self._turns.slots, self._turns.slots - self._turns.free)

    def stuck(self) -> bool:
        """Whether a poll has outlived its deadline, which only a defect can explain."""
        now = self._clock.monotonic()
        with self._lock:
            polling = self._turns.polling()
        return any(now - since > _LONGEST_POLL_S for since in polling.values())

    def look(self) -> None:
        """Give up polls whose tasks could not be taken, so that other runners get them."""
        now = self._clock.monotonic()
        barred = self._turns.free < 1 or self._gate.is_shut or self._stopping.is_set()
        if not barred:
            self._barred_since = None
        elif self._barred_since is None:
            self._barred_since = now
        elif now - self._barred_since >= _GIVE_UP_AFTER_S:
            self._give_up()

    def _give_up(self) -> None:
        with self._lock:
            polling = list(self._turns.polling())
        for group in polling:
            self._api.give_up_poll(group)

    def _wake_groups(self) -> None:
        for event in self._changed.values():
            event.set()

    # -- a group's thread -------------------------------------------------------------------

    def _ask_on(self, group: str) -> None:
        while not self._stopping.is_set():
            self.ask(group)

    def ask(self, group: str) -> None:
        """Wait for the group's turn, poll once, pass on what came."""
        if not self._await_turn(group):
            return
        try:
            task = self._api.poll_for_task(worker_group=group, hostname=self._hostname)
        except NotAuthorized:
            # Whoever watches the calls ends the agent for it; until then, do not ask again.
            self._broke_off(group)
            self._stopping.wait()
        except CallGivenUp:
            self._broke_off(group)
        except (ServiceUnreachable, CallRefused) as error:
            self._rest(group, self._outage.failed(error))
        else:
            self._outage.succeeded()
            self._came(group, task and replace(task, worker_group=group))

    def _await_turn(self, group: str) -> bool:
        """Wait until the group may poll and the gate is open; false when the agent stops."""
        changed = self._changed[group]
        while not self._stopping.is_set():
            self._gate.wait()
            if self._stopping.is_set():
                break
            changed.clear()
            now = self._clock.monotonic()
            with self._lock:
                begins = self._turns.begin(group, now)
                patience = self._turns.patience(now)
            if begins:
                self._wake_groups()
                return True
            wait_s = _UNTIL_SOMETHING_HAPPENS_S if patience is None else patience
            self._clock.wait(changed, wait_s)
        return False

    def _came(self, group: str, task: Task | None) -> None:
        with self._lock:
            self._turns.came(group, task=task is not None)
        if task is not None:
            self._tasks.put((task, self._clock.monotonic()))
        self._wake_groups()

    def _broke_off(self, group: str) -> None:
        with self._lock:
            self._turns.broke_off(group, self._clock.monotonic())
        self._wake_groups()

    def _rest(self, group: str, seconds: float) -> None:
        with self._lock:
            self._turns.broke_off(group, self._clock.monotonic(), rest=True)
        self._wake_groups()
        self._clock.wait(self._stopping, seconds)
        with self._lock:
            self._turns.rested(group)

    # -- a slot's thread --------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping.is_set():
            self.serve()

    def serve(self) -> None:
        """Wait for a task and run it, or leave it to other runners."""
        item = self._tasks.get()
        if item is None:
            return
        task, came_at = item
        waited_s = self._clock.monotonic() - came_at
        try:
            if self._stopping.is_set() or self._gate.is_shut or waited_s > _LONGEST_HOLD_S:
                # Not acknowledged, so the service hands it to another runner.
                log.info("task left to others", attempt_id=task.attempt_id)
            else:
                self._run(task)
        finally:
            with self._lock:
                self._turns.freed()
            self._wake_groups()

"""The slots: each polls for a task when it is its turn, runs it, and comes back for the next.

A worker group has one outstanding poll at most, held by a free slot; so no more tasks are taken
than there are slots, and a group's next task is asked for as soon as one has arrived.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from random import Random

import structlog

from taskrunner.agent.backoff import Backoff, Outage
from taskrunner.agent.gate import Gate
from taskrunner.clock import Clock
from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable
from taskrunner.model.task import Task
from taskrunner.wire.api import RunnerApi

__all__ = ["Poller"]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

#: A poll has a deadline of its own, above the 90 s that the service may hold it.
_LONGEST_POLL_S = 150.0


class Poller:
    """Turns to poll, one a worker group, and what is done with a task."""

    def __init__(
        self,
        api: RunnerApi,
        groups: Iterable[str],
        *,
        hostname: str,
        run: Callable[[Task], None],
        stopping: threading.Event,
        clock: Clock,
        gate: Gate | None = None,
        random: Random | None = None,
    ) -> None:
        """Without a gate, nothing but a stop keeps a free slot from polling."""
        self._gate = gate or Gate(clock)
        self._api = api
        self._hostname = hostname
        self._run = run
        self._stopping = stopping
        self._clock = clock
        self._turns: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        for group in groups:
            self._turns.put(group)
        self._polls: dict[str, float] = {}
        self._outage = Outage(
            began=lambda error: log.warning("no answer; will keep trying", error=str(error)),
            goes_on=lambda error, failures: log.warning(
                "still no answer; will keep trying", error=str(error), failures=failures
            ),
            ended=lambda failures: log.info("the service answers again", failures=failures),
            backoff=Backoff(),
            random=random or Random(),  # noqa: S311  spreads load, guards nothing
        )

    def loop(self) -> None:
        """A slot's life: ends when the agent stops taking work."""
        while not self._stopping.is_set():
            self.tick()

    def tick(self) -> None:
        """Wait for a turn, poll once, run what came."""
        group = self._turns.get()
        if group is None:
            return
        self._gate.wait()
        try:
            task = None if self._stopping.is_set() else self._poll(group)
        finally:
            self._polls.pop(group, None)
            self._turns.put(group)
        if task is None:
            return
        if self._stopping.is_set() or self._gate.is_shut:
            # Not acknowledged, so the service hands it to another runner.
            log.info("task left to others", attempt_id=task.attempt_id)
            return
        self._run(task)

    def release(self, slots: int) -> None:
        """Wake the slots that wait for a turn, so that they see that the agent stops."""
        self._gate.end()
        for _ in range(slots):
            self._turns.put(None)

    def stuck(self) -> bool:
        """Whether a poll has outlived its deadline, which only a defect can explain."""
        now = self._clock.monotonic()
        return any(now - since > _LONGEST_POLL_S for since in list(self._polls.values()))

    def _poll(self, group: str) -> Task | None:
        self._polls[group] = self._clock.monotonic()
        try:
            task = self._api.poll_for_task(worker_group=group, hostname=self._hostname)
        except NotAuthorized:
            # Whoever watches the calls ends the agent for it; until then, do not ask again.
            self._stopping.wait()
        except (ServiceUnreachable, CallRefused) as error:
            delay = self._outage.failed(error)
            self._polls.pop(group, None)
            self._clock.wait(self._stopping, delay)
        else:
            self._outage.succeeded()
            return task
        return None

"""The service's background threads: each repeats one step until it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from taskrunner.clock import Clock
from taskrunner.errors import StoreError, StoreLost, TaskrunnerError
from taskrunner.logs import get_logger
from taskrunner.service.actions.publisher import AlarmLoop
from taskrunner.service.checks import Checks
from taskrunner.service.listener import Listener
from taskrunner.service.resources.manager import ResourceManager
from taskrunner.service.scheduler import LONGEST_NAP_S, Scheduler

log = get_logger()

#: How often resources are looked at that are needed or run, in seconds.
SHORT_NAP_S = 0.25
#: How often the store is looked at, whether it is still the same one, in seconds.
STORE_NAP_S = 1.0
#: The duties, besides the scheduler, that look at the store only when something was committed.
_LOOK_FOR_CHANGES = ("resources", "alarms", "encryption")


@dataclass
class Duties:
    """The threads that keep the service going. If one dies, `failed` is called with its name."""

    clock: Clock
    scheduler: Scheduler
    resources: ResourceManager
    alarms: AlarmLoop
    failed: Callable[[str, BaseException], None]
    #: Hears the service's other processes, where there can be any.
    listener: Listener | None = None
    #: Takes note of a clock that was set, before the scheduler decides by it.
    catch_up: Callable[[], None] = lambda: None
    #: Raises StoreLost when the store is not the one that was opened; whether other processes have
    #: committed anything since the look before.
    look_at_store: Callable[[], bool] = lambda: False
    #: Checks preconditions, where the service does.
    checks: Checks | None = None
    #: Removes what has been kept for long enough; how long nothing is to be done, in seconds.
    clean_up: Callable[[datetime], float] | None = None
    #: Saves who has asked for work; how long nothing is to be done, in seconds.
    save_runners: Callable[[datetime], float] | None = None
    #: Goes on with backfills that have a limit; how long nothing is to be done, in seconds.
    go_on_with_backfills: Callable[[datetime], float] | None = None
    #: Seals secrets by the newest key; how long nothing is to be done, in seconds.
    seal_anew: Callable[[datetime], float] | None = None
    #: How often it is looked whether there are resources or alarms, in seconds: more often only
    #: where a look costs nothing.
    look_s: float = SHORT_NAP_S

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._kick = threading.Event()
        #: What wakes a duty before its time; the others look often enough by themselves.
        self._wakes = {"scheduler": self._kick}
        self._wakes.update((name, threading.Event()) for name in _LOOK_FOR_CHANGES)
        if self.checks is not None:
            self._wakes["preconditions"] = self.checks.wake
        self._threads: list[threading.Thread] = []
        #: When each loop has ended a step, by the clock that nobody sets.
        self._moved: dict[str, float] = {}

    def start(self) -> None:
        """Start every duty."""
        for name, loop in self._loops().items():
            thread = threading.Thread(target=self._run, args=(name, loop), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _loops(self) -> dict[str, Callable[[], None]]:
        loops: dict[str, Callable[[], None]] = {
            name: partial(self._loop, name, step) for name, step in self._steps().items()
        }
        if self.listener is not None:
            loops["listener"] = self.listener.loop
        return loops

    def _steps(self) -> dict[str, Callable[[datetime], float]]:
        """Each duty's step; it returns how long nothing is to be done, in seconds."""
        steps: dict[str, Callable[[datetime], float]] = {
            "scheduler": self._schedule,
            "resources": self._reconcile,
            "alarms": lambda now: 0 if self.alarms.run_once(now) else self.look_s,
            "store": self._look_at_store,
        }
        if self.checks is not None:
            steps["preconditions"] = self.checks.step
        if self.clean_up is not None:
            steps["clean-up"] = self.clean_up
        if self.save_runners is not None:
            steps["runners"] = self.save_runners
        if self.go_on_with_backfills is not None:
            steps["backfills"] = self.go_on_with_backfills
        if self.seal_anew is not None:
            steps["encryption"] = self.seal_anew
        return steps

    def _reconcile(self, now: datetime) -> float:
        if self.resources.reconcile(now):
            return 0
        return SHORT_NAP_S if self.resources.any_live else self.look_s

    def _look_at_store(self, _now: datetime) -> float:
        if self.look_at_store():
            for name in ("scheduler", *_LOOK_FOR_CHANGES):
                self._wakes[name].set()
        return STORE_NAP_S

    def _schedule(self, _now: datetime) -> float:
        self.catch_up()
        return self.scheduler.step(self.clock.now())

    def stuck(self, longest_s: float) -> list[str]:
        """The duties that have not come to the end of a step for so long."""
        now = self.clock.monotonic()
        return [name for name, moved in self._moved.items() if now - moved > longest_s]

    def kick(self) -> None:
        """Have the scheduler look at once."""
        self._kick.set()

    def stop(self) -> None:
        """Stop every duty and wait for it."""
        self._stop.set()
        for wake in self._wakes.values():
            wake.set()
        if self.checks is not None:
            self.checks.close()
        if self.listener is not None:
            self.listener.stop()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, loop: Callable[[], None]) -> None:
        try:
            loop()
        except StoreLost as error:
            self.failed(name, error)
        except BaseException as error:
            self.failed(name, error)
            raise

    def _loop(self, name: str, step: Callable[[datetime], float]) -> None:
        woken = self._wakes.get(name, self._stop)
        self._moved[name] = self.clock.monotonic()
        while not self._stop.is_set():
            self._kick_seen(woken)
            nap_s = self._try(name, step)
            self._moved[name] = self.clock.monotonic() + nap_s
            if nap_s:
                self.clock.wait(woken, nap_s)

    def _kick_seen(self, woken: threading.Event) -> None:
        # Before the step, so that a kick during the step is not lost.
        if woken is not self._stop:
            woken.clear()
            if self._stop.is_set():
                woken.set()  # it was cleared between the two

    def _try(self, name: str, step: Callable[[datetime], float]) -> float:
        try:
            return step(self.clock.now())
        except StoreLost:
            raise  # there is nothing to go on with
        except StoreError:
            return LONGEST_NAP_S  # the store has it logged once, for all who meet it
        except TaskrunnerError as error:
            # Without a traceback: the message says it all.
            log.error("a background loop could not do its work", loop=name, error=str(error))  # noqa: TRY400
            return LONGEST_NAP_S

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from structlog.testing import capture_logs

from taskrunner.clock import SystemClock
from taskrunner.errors import StoreError, StoreLost
from taskrunner.service.actions.publisher import AlarmLoop
from taskrunner.service.duties import Duties
from taskrunner.service.listener import Listener
from taskrunner.service.resources.manager import ResourceManager
from taskrunner.service.scheduler import Scheduler
from taskrunner.service.wakeups import WorkReady


class Quiet:
    """Every duty at once, with nothing to do."""

    any_live = False

    def step(self, _now: object) -> float:
        return 60.0

    def reconcile(self, _now: object) -> bool:
        return False

    def run_once(self, _now: object) -> bool:
        return False


class Line:
    def __init__(self, wait: Callable[[], None]) -> None:
        self._wait = wait
        self.interrupted = threading.Event()

    def wait(self, _timeout_s: float | None) -> list[str]:
        self._wait()
        self.interrupted.wait(20)
        return []

    def interrupt(self) -> None:
        self.interrupted.set()


def duties(line: Line, failed: Callable[[str, BaseException], None]) -> Duties:
    @contextmanager
    def open_line() -> Iterator[Line]:
        yield line

    quiet = Quiet()
    return Duties(
        clock=SystemClock(),
        scheduler=cast(Scheduler, quiet),
        resources=cast(ResourceManager, quiet),
        alarms=cast(AlarmLoop, quiet),
        failed=failed,
        listener=Listener(open_line, WorkReady(), SystemClock()),
    )


def test_they_listen_until_they_are_stopped() -> None:
    listening = threading.Event()
    told: list[object] = []
    line = Line(listening.set)
    running = duties(line, lambda *failure: told.append(failure))
    running.start()
    assert listening.wait(20)
    running.stop()
    assert line.interrupted.is_set()
    assert told == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_listener_that_dies_is_told() -> None:
    told: list[str] = []
    dead = threading.Event()

    def failed(name: str, _error: BaseException) -> None:
        told.append(name)
        dead.set()

    def defect() -> None:
        raise RuntimeError("a defect")

    running = duties(Line(defect), failed)
    running.start()
    assert dead.wait(20)
    running.stop()
    assert told == ["listener"]


def test_a_clock_that_was_set_is_noted_before_anything_is_decided() -> None:
    calls: list[str] = []
    decided = threading.Event()

    class Deciding(Quiet):
        def step(self, _now: object) -> float:
            calls.append("step")
            decided.set()
            return 60.0

    running = duties(Line(lambda: None), lambda *_failure: None)
    running.scheduler = cast(Scheduler, Deciding())
    running.catch_up = lambda: calls.append("catch up")
    running.start()
    assert decided.wait(20)
    running.stop()
    assert calls[:2] == ["catch up", "step"]


def test_a_store_that_is_lost_ends_them_and_one_that_fails_does_not() -> None:
    """What fails is logged by the store, once for all who meet it."""
    told: list[tuple[str, BaseException]] = []
    ended = threading.Event()
    lost, looks = StoreLost("gone"), iter([StoreError("full"), StoreError("full"), StoreLost("x")])

    def failed(name: str, error: BaseException) -> None:
        told.append((name, error))
        ended.set()

    def look() -> bool:
        error = next(looks)
        raise lost if isinstance(error, StoreLost) else error

    running = duties(Line(lambda: None), failed)
    running.clock = Hurried()
    running.look_at_store = look
    with capture_logs() as log:
        running.start()
        assert ended.wait(20)
        running.stop()
    assert told == [("store", lost)]
    assert log == []


def test_whoever_looks_for_changes_is_woken_when_others_have_made_some() -> None:
    """Else what another process commits would be seen after the look at the store, and a nap."""
    changed = threading.Event()
    names = ("scheduler", "resources", "alarms", "encryption")
    steps = {name: threading.Semaphore(0) for name in names}

    class Napping(Quiet):
        def step(self, _now: object) -> float:
            steps["scheduler"].release()
            return 3600.0

        def reconcile(self, _now: object) -> bool:
            steps["resources"].release()
            return False

        def run_once(self, _now: object) -> bool:
            steps["alarms"].release()
            return False

    def seal_anew(_now: object) -> float:
        steps["encryption"].release()
        return 3600.0

    napping = Napping()
    running = duties(Line(lambda: None), lambda *_failure: None)
    running.scheduler = cast(Scheduler, napping)
    running.resources, running.alarms = cast(ResourceManager, napping), cast(AlarmLoop, napping)
    running.seal_anew, running.look_s = seal_anew, 3600.0
    running.look_at_store = lambda: changed.wait(20)
    running.start()
    assert all(step.acquire(timeout=20) for step in steps.values()), "each looks at the start"
    changed.set()
    assert all(step.acquire(timeout=20) for step in steps.values())
    running.stop()


def test_cleaning_up_has_its_own_pace() -> None:
    naps = iter([0.05, 3600.0])
    cleaned: list[object] = []
    running = duties(Line(lambda: None), lambda *_failure: None)
    running.clock = hurried = Hurried()

    def clean_up(now: object) -> float:
        cleaned.append(now)
        return next(naps)

    running.clean_up = clean_up
    running.start()
    assert hurried.long.wait(20)
    running.stop()
    assert len(cleaned) == 2


def test_runners_are_saved_by_a_duty_of_their_own() -> None:
    saved = threading.Event()
    running = duties(Line(lambda: None), lambda *_failure: None)

    def save(_now: object) -> float:
        saved.set()
        return 3600.0

    running.save_runners = save
    running.start()
    assert saved.wait(20)
    running.stop()


class Hurried(SystemClock):
    """Short naps are over at once; a long one is noted, and waited for."""

    def __init__(self) -> None:
        self.long = threading.Event()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if timeout_s > 60:
            self.long.set()
            return super().wait(event, timeout_s)
        return super().wait(event, 0.001)

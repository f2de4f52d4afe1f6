"""The agent's phases and exit codes, by the messages that it gets."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MethodType

import pytest
from structlog.testing import capture_logs

from taskrunner.agent.agent import SIGNALS, Agent
from taskrunner.agent.agent_settings import AgentSettings
from taskrunner.agent.journal.journal import Journal
from taskrunner.agent.lifecycle import ExitCode, LoopEnded, Phase, SignalArrived
from taskrunner.config.kinds import Space
from taskrunner.config.settings import SETTINGS, Settings
from taskrunner.errors import NotAuthorized
from taskrunner.host.systemd import Notifier
from taskrunner.wire.user_agent import RunnerFacts
from tests.unit.agent.fakes import FakeApi, FakeClock, FakeSpawner, make_task


class IdleChildren(FakeSpawner):
    """A fork server that lives until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def read_events(self) -> None:
        self.closed.wait()

    def close(self) -> None:
        self.closed.set()


class RecordingNotifier(Notifier):
    def __init__(self, *, watchdog_s: float | None = None) -> None:
        super().__init__("/nowhere", watchdog_s)
        self.sent: list[dict[str, str]] = []

    def send(self, **states: str) -> None:
        self.sent.append(states)


class IdleApi(FakeApi):
    """Every poll is held until the test ends."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def poll_for_task(self, **_: object) -> None:
        self.released.wait()


class StillClock(FakeClock):
    """Waits as long as threads really must, while no time passes."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(timeout_s)


def _fake(agent: Agent) -> FakeApi:
    """The service that it was made with."""
    watched = agent._parts.operations.calls._call
    assert isinstance(watched, MethodType)
    assert isinstance(watched.__self__, FakeApi)
    return watched.__self__


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    config = Settings(worker_group=("wg",), work_dir=tmp_path, tasks=2)
    settings = AgentSettings(config=config, taskrunner_id="id", hostname="h")
    api = IdleApi()
    agent = Agent(
        settings,
        api=api,
        children=IdleChildren(),
        journal=Journal(tmp_path / "journal"),
        clock=StillClock(),
        notifier=RecordingNotifier(watchdog_s=3),
    )
    yield agent
    # A process that ends takes its threads along; here each has to be let go, or it would go
    # on polling through all tests to come.
    agent._services.stopping.set()
    agent._closing.set()
    agent._heartbeat.wake()
    agent._poller.release()
    api.released.set()
    for number, handler in before.items():
        signal.signal(number, handler)


def _run(agent: Agent, first: Callable[[], None]) -> int:
    """Run the agent; `first` is what happens before its first message is read."""
    start = agent._start

    def started() -> None:
        start()
        first()

    agent._start = started  # type: ignore[method-assign]
    return agent.run()


def test_each_call_says_who_the_agent_is_and_that_it_is_paused(agent: Agent) -> None:
    said = _fake(agent).introduction.facts
    assert said() == RunnerFacts(runner_id="id", slots=2, busy=0, groups=("wg",), paused="")
    agent._operations.pause("upgrade")
    assert said().paused == "operator: upgrade"
    assert agent._heartbeat._woken.is_set(), "it is told at once"


def test_a_signal_drains_an_idle_agent_which_ends_with_0(agent: Agent) -> None:
    assert _run(agent, lambda: signal.raise_signal(signal.SIGTERM)) == 0
    assert agent.phase is Phase.DRAINING
    notifier = agent._notifier
    assert isinstance(notifier, RecordingNotifier)
    assert notifier.sent.count({"READY": "1"}) == 1
    assert {"WATCHDOG": "1"} in notifier.sent
    assert notifier.sent.index({"STOPPING": "1"}) > notifier.sent.index({"READY": "1"})
    assert notifier.sent[-1] == {"STATUS": "ended with exit code 0"}


@pytest.mark.parametrize("name", ["outbox", "shipper", "heartbeat", "slot-1", "progress-slot-2"])
def test_a_loop_that_dies_at_any_time_ends_the_agent(agent: Agent, name: str) -> None:
    died = LoopEnded(name, KeyError("a defect"))
    assert _run(agent, lambda: agent._mailbox.put(died)) == ExitCode.LOOP_DIED


def test_a_loop_that_merely_returns_ends_the_agent_too(agent: Agent) -> None:
    ended = LoopEnded("heartbeat", None)
    assert _run(agent, lambda: agent._mailbox.put(ended)) == ExitCode.LOOP_DIED


def test_a_dead_fork_server_has_its_own_code(agent: Agent) -> None:
    ended = LoopEnded("fork-server", None)
    assert _run(agent, lambda: agent._mailbox.put(ended)) == ExitCode.FORK_SERVER_DIED


def test_without_permission_it_ends_with_77(agent: Agent) -> None:
    error = NotAuthorized("no", code="AccessDeniedException")
    assert _run(agent, lambda: agent._refused(error)) == ExitCode.NOT_AUTHORIZED
    notifier = agent._notifier
    assert isinstance(notifier, RecordingNotifier)
    assert {"READY": "1"} not in notifier.sent, "its start was to fail"
    assert notifier.sent[-1] == {"STATUS": "ended with exit code 77: not authorized: no"}


def test_a_second_stop_cancels_and_a_frozen_poll_starves_the_watchdog(agent: Agent) -> None:
    phases = []
    for _ in range(2):
        agent._on_signal(SignalArrived(signal.SIGTERM))
        phases.append(agent.phase)
    assert phases == [Phase.DRAINING, Phase.CANCELING]
    assert agent._services.canceling.is_set()
    notifier = agent._notifier
    assert isinstance(notifier, RecordingNotifier)
    notifier.sent.clear()
    agent._poller._turns.begin("wg", -1000.0)
    agent._tick()
    assert {"WATCHDOG": "1"} not in notifier.sent


def test_after_a_second_stop_nothing_is_tried_twice_and_there_is_an_end(agent: Agent) -> None:
    def stop_twice() -> None:
        agent._taking.add(1)  # a slot that waits for a service that hangs
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    ends: list[float] = []
    tick = agent._tick

    def ticked() -> None:
        tick()
        if agent.phase is Phase.CANCELING:
            ends.append(agent._services.host_deadline.left_s)
            agent._clock.elapsed += agent._settings.last_words_s  # type: ignore[attr-defined]

    agent._tick = ticked  # type: ignore[method-assign]
    assert _run(agent, stop_twice) == 0
    assert ends[0] > 0
    assert agent._taking == {1}
    assert _fake(agent).hurried


def test_a_drain_that_takes_too_long_becomes_a_cancel(agent: Agent) -> None:
    agent._on_signal(SignalArrived(signal.SIGTERM))
    clock = agent._clock
    assert isinstance(clock, FakeClock)
    clock.elapsed += 299
    agent._tick()
    assert not agent._services.canceling.is_set()
    clock.elapsed += 2
    agent._tick()
    assert agent._services.canceling.is_set()


def test_a_reload_reaches_whoever_goes_by_a_setting(agent: Agent) -> None:
    old = agent._settings.config
    new = replace(
        old,
        drain_timeout=7.0,
        progress_interval=3.0,
        min_free_disk=Space(size=1),
        log_interval=9.0,
        keep_logs_days=1.0,
        keep_logs_size=Space(size=2),
        keep_logs_count=3,
        group_weights={"wg": 5},
    )
    agent._reload = lambda: new
    agent._reload_settings()
    care = agent._care
    kept = care.janitor.retention
    found = {
        "drain_timeout": agent._settings.config.drain_timeout,
        "progress_interval": agent._services.rules.progress_interval_s,
        "min_free_disk": agent._operations.disk.floor,
        "log_interval": care.parts.interval_s,
        "keep_logs_days": kept.days,
        "keep_logs_size": kept.size,
        "keep_logs_count": kept.count,
        "group_weights": {g.name: g.weight for g in agent._poller._turns._groups.values()},
    }
    # The agent's own log is the Reloader's to change.
    live = {setting.name for setting in SETTINGS if setting.live} - {"log_level", "log_format"}
    assert found == {name: getattr(new, name) for name in live}
    agent._reload = lambda: None
    agent._reload_settings()
    assert agent._settings.config == new


def test_it_ends_at_once_with_the_process_that_started_it(agent: Agent) -> None:
    agent._settings = replace(agent._settings, parent=os.getppid())
    agent._tick()
    phases = [agent.phase]
    agent._settings = replace(agent._settings, parent=os.getpid())
    assert _run(agent, lambda: None) == ExitCode.OK
    assert [*phases, agent.phase] == [Phase.RUNNING, Phase.CANCELING]
    assert agent._services.canceling.is_set()


def test_what_cannot_be_journaled_is_left_to_others(agent: Agent, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "journal")
    agent._services.stopping.set()
    with capture_logs() as logs:
        agent._run_task(make_task())
    assert [event["event"] for event in logs] == ["task left to others: journal"]
    assert _fake(agent).named("progress") == []

"""What an announced end of the host makes of the agent, of its attempts and of their logs."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskrunner.agent.agent import SIGNALS, Agent
from taskrunner.agent.agent_settings import AgentSettings
from taskrunner.agent.forks.children import Child
from taskrunner.agent.handouts.attempt import AttemptRules
from taskrunner.agent.ipc import frames
from taskrunner.agent.journal.journal import Journal
from taskrunner.agent.lifecycle import ExitCode, HostEnding, Message, Phase, TakeNoMore, Threads
from taskrunner.agent.logs.shipping import LogShipper
from taskrunner.config.settings import Settings
from taskrunner.errors import ErrorId, TaskError
from taskrunner.host.systemd import Notifier
from tests.unit.agent.fakes import FakeApi, FakeClock, FakeSpawner


class IdleChildren(FakeSpawner):
    def read_events(self) -> None:
        threading.Event().wait()

    def close(self) -> None:
        """Nothing runs."""


class StillClock(FakeClock):
    """Threads wait for real, and briefly; time passes by hand."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.wait(min(timeout_s, 0.01))


class Bench:
    """An agent whose main loop is stepped by the test."""

    def __init__(self, folder: Path, *, drain_timeout_s: float = 300) -> None:
        self.clock, self.api = StillClock(), FakeApi()
        settings = AgentSettings(
            config=Settings(
                worker_group=("wg",),
                work_dir=folder,
                tasks=1,
                drain_timeout=drain_timeout_s,
                notice_margin=30,
            ),
            taskrunner_id="id",
            hostname="h",
            rules=AttemptRules(kill_grace_s=10),
        )
        self.agent = Agent(
            settings,
            api=self.api,
            children=IdleChildren(),
            journal=Journal(folder / "journal"),
            clock=self.clock,
            notifier=Notifier(None),
        )

    def step(self, message: Message | None = None) -> Phase:
        """Receive a message, if there is one, and tick."""
        if message is not None:
            self.agent._handlers[type(message)](message)
        self.agent._tick()
        return self.agent.phase

    def pass_s(self, seconds: float) -> Phase:
        self.clock.elapsed += seconds
        return self.step()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_work_goes_on_until_there_is_just_time_to_end_and_tell_it(bench: Bench) -> None:
    assert bench.step(HostEnding(120, "spot")) is Phase.DRAINING
    assert bench.agent._services.stopping.is_set()
    assert bench.pass_s(79) is Phase.DRAINING
    assert not bench.agent._services.canceling.is_set()
    assert bench.pass_s(1) is Phase.CANCELING
    assert bench.agent._services.canceling.is_set()


def test_a_notice_too_late_ends_the_work_at_once(bench: Bench) -> None:
    assert bench.step(HostEnding(25, "spot")) is Phase.CANCELING


def test_a_drain_that_is_shorter_stays_as_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path, drain_timeout_s=20)
    bench.step(HostEnding(120, "spot"))
    assert bench.pass_s(20) is Phase.CANCELING


def test_a_second_notice_can_only_shorten_the_time(bench: Bench) -> None:
    bench.step(HostEnding(120, "auto-scaling"))
    bench.step(HostEnding(60, "spot"))
    bench.step(HostEnding(120, "auto-scaling"))
    assert bench.pass_s(19) is Phase.DRAINING
    assert bench.pass_s(1) is Phase.CANCELING


def test_in_the_last_seconds_nothing_waits_for_logs(bench: Bench) -> None:
    bench.step(HostEnding(120, "spot"))
    bench.pass_s(109)
    assert not bench.agent._services.shipper._hurried
    bench.pass_s(2)
    assert bench.agent._services.shipper._hurried


def test_after_a_second_stop_no_verdict_waits_for_a_stalled_upload(bench: Bench) -> None:
    hurried = []
    for seconds in (49, 2):
        # A third stop puts nothing off.
        bench.agent._cancel()
        assert bench.pass_s(seconds) is Phase.CANCELING
        hurried.append(bench.agent._services.shipper._hurried)
    assert hurried == [False, True]
    assert bench.agent._settings.last_words_s + 10 <= bench.agent._settings.longest_stop_s


def test_a_rebalance_recommendation_lets_the_agent_live_without_new_work(bench: Bench) -> None:
    assert bench.step(TakeNoMore("rebalance")) is Phase.RUNNING
    gate = bench.agent._operations.gate
    assert [closure.why for closure in gate.closures.values()] == ["rebalance"]
    assert bench.step(HostEnding(120, "spot")) is Phase.DRAINING


@pytest.fixture
def keep_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("keep_signals")
def test_the_watch_is_started_with_the_agent_and_heard(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    closed = threading.Event()

    def notices(tell: Callable[[Message], None], closing: threading.Event) -> None:
        tell(HostEnding(5, "spot"))
        closing.wait()
        closed.set()

    bench.agent._notices = notices
    assert bench.agent.run() == ExitCode.OK
    assert closed.wait(10)
    assert bench.agent.phase is Phase.CANCELING or bench.agent._services.stopping.is_set()


class SlowShipper:
    """A shipper process that takes uploads and answers when it is told to."""

    def __init__(self) -> None:
        self.spawner = _Spawner()
        threads = Threads(queue.SimpleQueue())
        self.shipper = LogShipper(self.spawner, threads, FakeClock())

    def received(self) -> frames.Frame:
        assert self.spawner.spawned_one.wait(10)
        frame = frames.receive(self.spawner.sock)
        assert frame is not None
        return frame

    def answer(self, frame: frames.Frame) -> None:
        frames.send(self.spawner.sock, {"id": frame.head["id"]})


class _Spawner(FakeSpawner):
    sock: socket.socket

    def __init__(self) -> None:
        super().__init__()
        self.spawned_one = threading.Event()

    def spawn(
        self,
        role: str,
        payload: bytes,
        *,
        on_started: Callable[[int], None] | None = None,
        on_exit: Callable[[], None],
        descriptor: int | None = None,
    ) -> Child:
        assert descriptor is not None
        self.sock = socket.socket(fileno=os.dup(descriptor))
        self.spawned_one.set()
        return super().spawn(role, payload, on_exit=on_exit)


def test_who_waits_for_an_upload_is_let_go_while_the_upload_goes_on(tmp_path: Path) -> None:
    slow = SlowShipper()
    failures: list[TaskError] = []

    def ship() -> None:
        try:
            slow.shipper.ship([(tmp_path / "StdOutput", "s3://b/StdOutput.gz")])
        except TaskError as error:
            failures.append(error)

    thread = threading.Thread(target=ship, daemon=True)
    thread.start()
    frame = slow.received()
    assert slow.shipper.busy()
    slow.shipper.hurry()
    thread.join(10)
    assert [error.error_id for error in failures] == [ErrorId.LOGS_NOT_SHIPPED]
    assert "s3://b/StdOutput.gz: it was still to be uploaded" in str(failures[0])
    # An idle shipper would be ended here.
    slow.shipper.tick()
    assert slow.shipper.busy()
    slow.answer(frame)
    _until(lambda: not slow.shipper.busy())
    slow.shipper.tick()
    assert frames.receive(slow.spawner.sock) is None
    slow.spawner.sock.close()


def test_an_upload_that_is_asked_for_in_a_hurry_is_begun_but_not_waited_for(
    tmp_path: Path,
) -> None:
    slow = SlowShipper()
    slow.shipper.hurry()
    with pytest.raises(TaskError, match="had to go"):
        slow.shipper.ship([(tmp_path / "StdOutput", "s3://b/StdOutput.gz")])
    frame = slow.received()
    assert frame.head["uri"] == "s3://b/StdOutput.gz"
    assert slow.shipper.busy()
    slow.answer(frame)
    _until(lambda: not slow.shipper.busy())
    slow.shipper.tick()
    slow.spawner.sock.close()


def _until(holds: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(1000):
        if holds():
            return
        tick.wait(0.01)
    raise AssertionError("waited in vain")

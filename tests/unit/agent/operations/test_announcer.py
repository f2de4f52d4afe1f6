"""What systemd is told of the agent."""

from __future__ import annotations

from structlog.testing import capture_logs

from taskrunner.agent.operations.announcer import Announcer
from taskrunner.agent.operations.status import Health
from taskrunner.errors import NotAuthorized
from taskrunner.host.systemd import Notifier
from tests.unit.agent.fakes import FakeClock


class Recorder(Notifier):
    def __init__(self) -> None:
        super().__init__(None)
        self.sent: list[dict[str, str]] = []

    def send(self, **states: str) -> None:
        self.sent.append(states)


def _announcer() -> tuple[Announcer, Recorder, FakeClock]:
    recorder, clock = Recorder(), FakeClock()
    return Announcer(recorder, clock, ("a", "b")), recorder, clock


def test_a_service_that_does_not_answer_holds_a_start_up_for_seconds_only() -> None:
    announcer, recorder, clock = _announcer()
    announcer.tick("running", 0, Health(True))
    assert {"READY": "1"} not in recorder.sent
    clock.elapsed += 10
    announcer.tick("running", 0, Health(True))
    announcer.ready()
    assert recorder.sent.count({"READY": "1"}) == 1


def test_the_status_says_why_no_work_is_taken_and_is_told_once() -> None:
    announcer, recorder, _ = _announcer()
    for health in (Health(True), Health(True), Health(False, "no answer")):
        announcer.tick("running", 2, health)
    announcer.tick("draining", 1, Health(False, "the agent is draining"))
    assert [states["STATUS"] for states in recorder.sent] == [
        "running for a, b: 2 tasks running",
        "running for a, b: 2 tasks running; no work is taken: no answer",
        "draining for a, b: 1 task running",
    ]


def test_the_last_word_is_the_cause() -> None:
    announcer, recorder, _ = _announcer()
    announcer.ended(77, NotAuthorized("who are you", code="X"))
    assert recorder.sent == [{"STATUS": "ended with exit code 77: not authorized: who are you"}]


def test_a_wait_for_work_is_told_once_and_only_when_it_lasts() -> None:
    announcer, _, clock = _announcer()
    with capture_logs() as logs:
        for running in (0, 1, 0, 1, 0):  # short tasks, one after the other
            announcer.tick("running", running, Health(True))
            clock.elapsed += 9
        assert logs == []
        for _ in range(3):
            clock.elapsed += 9
            announcer.tick("running", 0, Health(True))
        assert [(line["event"], line["worker_groups"]) for line in logs] == [
            ("waiting for tasks", ["a", "b"])
        ]


def test_an_agent_that_takes_no_work_waits_for_none() -> None:
    announcer, _, clock = _announcer()
    announcer.tick("running", 1, Health(True))
    clock.elapsed += 60
    with capture_logs() as logs:
        announcer.tick("running", 0, Health(False, "paused"))
        announcer.tick("draining", 0, Health(True))
        assert logs == []
        announcer.tick("running", 0, Health(True))
    assert [line["event"] for line in logs] == ["waiting for tasks"]

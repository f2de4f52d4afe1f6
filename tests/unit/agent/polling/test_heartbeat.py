from __future__ import annotations

import threading

from taskrunner.agent.polling.heartbeat import Heartbeat
from taskrunner.errors import ServiceUnreachable
from tests.unit.agent.fakes import FakeApi, FakeClock


def test_it_beats_for_each_group_at_the_interval_and_passes_on_terminate() -> None:
    api, clock, closing, asked = FakeApi(), FakeClock(), threading.Event(), threading.Event()
    heartbeat = Heartbeat(
        api,
        ["a", "b"],
        taskrunner_id="id",
        hostname="host",
        interval_s=900,
        on_terminate=asked.set,
        clock=clock,
    )
    api.beats = [False, ServiceUnreachable("down"), False, True]

    def meanwhile() -> None:
        if asked.is_set():
            closing.set()
        assert asked.is_set() == (clock.elapsed > 900)

    clock.meanwhile = meanwhile
    heartbeat.loop(closing)
    assert api.named("beat") == ["a", "b", "a", "b"]
    assert clock.waits == [900, 900]


def test_news_are_told_at_once_and_an_end_is_seen_at_once() -> None:
    api, clock, closing = FakeApi(), FakeClock(), threading.Event()
    heartbeat = Heartbeat(
        api,
        ["a"],
        taskrunner_id="id",
        hostname="host",
        interval_s=900,
        on_terminate=lambda: None,
        clock=clock,
    )

    def meanwhile() -> None:
        closing.set()
        heartbeat.wake()

    clock.meanwhile = meanwhile
    heartbeat.loop(closing, heartbeat.wake)
    assert api.named("beat") == ["a", "a"], "at its start, and for the news"
    assert clock.waits == [900]

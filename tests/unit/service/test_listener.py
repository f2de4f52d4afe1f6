from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from taskrunner.errors import StoreError
from taskrunner.service.listener import LONGEST_HOLD_S, LONGEST_PAUSE_S, Listener
from taskrunner.service.wakeups import Notice, WorkReady, topic_of
from tests.unit.agent.fakes import FakeClock


class Line:
    """A scripted line: texts to hear, or the line's end; when there is no more, it stops."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def wait(self, timeout_s: float | None) -> list[str]:
        self.desk.patience.append(timeout_s)
        if not self.desk.script:
            self.desk.listener.stop()
            return []
        said = self.desk.script.pop(0)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, timedelta):
            self.desk.clock.elapsed += said.total_seconds()
            return []
        return said

    def interrupt(self) -> None:
        self.desk.interrupted += 1


class Desk:
    """A listener with two polls that wait, for `a` and `b`."""

    def __init__(self, *script: list[str] | timedelta | Exception, opens: int = 99) -> None:
        self.script = list(script)
        self.clock = FakeClock()
        self.ready = WorkReady()
        self.woken: list[str] = []
        self.patience: list[float | None] = []
        self.interrupted = 0
        self.opens = opens
        for group in ("a", "b"):
            self.ready.subscribe(group, lambda group=group: self.woken.append(group))  # type: ignore[misc]
        self.listener = Listener(self.open, self.ready, self.clock)

    @contextmanager
    def open(self) -> Iterator[Line]:
        self.opens -= 1
        if self.opens < 0:
            if self.opens < -12:
                self.listener.stop()
            raise StoreError("no way to the database")
        yield Line(self)

    def run(self) -> list[str]:
        self.listener.loop()
        return self.woken


def said(group: str, *, by: str = "another", after_s: float = 0) -> str:
    at = FakeClock().now().timestamp() + after_s
    return str(Notice(origin=by, at=at, topic=topic_of(group)))


def test_what_another_process_says_wakes_who_waits_for_it() -> None:
    desk = Desk([], [said("b"), said("nobody's")])
    assert desk.run() == ["a", "b", "b"]  # all at the beginning, then the one
    assert desk.patience[0] is None


def test_it_does_not_listen_to_itself() -> None:
    desk = Desk()
    desk.script = [[said("a", by=desk.ready.origin)]]
    assert desk.run() == ["a", "b"]


def test_what_is_no_notice_is_passed_over() -> None:
    desk = Desk(["", "x", "x y z", "x 1", f"x {'9' * 400} a"])
    assert set(desk.run()) == {"a", "b"}


def test_a_cut_line_is_made_again_and_everybody_looks() -> None:
    desk = Desk(StoreError("terminated"), [said("a")])
    assert desk.run() == ["a", "b", "a", "b", "a"]
    assert len(desk.clock.waits) == 1


def test_a_line_that_cannot_be_made_is_tried_again_ever_more_rarely() -> None:
    desk = Desk(opens=0)
    assert desk.run() == []
    waits = desk.clock.waits
    assert waits == sorted(waits)
    assert (len(waits), waits[-1]) == (12, LONGEST_PAUSE_S)


def test_work_is_looked_for_when_it_is_due_by_this_hosts_clock() -> None:
    """A teller whose clock is ahead: what is looked for at once would not be found."""
    desk = Desk([said("a", after_s=2)], timedelta(seconds=1), timedelta(seconds=1))
    assert desk.run() == ["a", "b", "a"]
    assert desk.patience[1:3] == [2.0, 1.0]


def test_a_clock_that_is_far_ahead_does_not_hold_work_back_for_long() -> None:
    desk = Desk([said("a", after_s=3600)], timedelta(seconds=LONGEST_HOLD_S))
    assert desk.run() == ["a", "b", "a"]


def test_a_stop_interrupts_the_line_and_is_no_failure() -> None:
    desk = Desk()
    desk.listener.stop()
    assert desk.run() == []
    desk = Desk([])
    desk.run()
    assert desk.interrupted == 1


def test_notices_are_read_as_they_are_written_whatever_the_groups_name() -> None:
    for group in ("wg", "with spaces  and\nmore", "\N{SNOWMAN}" * 5000, "", "x" * 1000):
        notice = Notice(origin="o", at=12.5, topic=topic_of(group))
        assert Notice.parse(str(notice)) == notice
        assert len(str(notice).encode()) < 8000


def test_a_long_name_wakes_by_its_digest() -> None:
    ready, woken = WorkReady(), list[str]()
    name = "\N{SNOWMAN}" * 5000
    undo = ready.subscribe(name, lambda: woken.append("long"))
    ready.announce([name])
    ready.wake([topic_of(name)])
    ready.announce([name + "x"])
    undo()
    ready.wake_all()
    assert woken == ["long", "long"]

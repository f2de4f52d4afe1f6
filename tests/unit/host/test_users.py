from __future__ import annotations

import os
import pwd
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest

from taskrunner.agent.attempt_process.cancellation import Cancellation
from taskrunner.errors import Canceled
from taskrunner.host.users import NOT_NOW, NotNow, User, said_as

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


@pytest.fixture
def cancellation() -> Iterator[Cancellation]:
    before = signal.getsignal(signal.SIGTERM)
    found = Cancellation()
    found.install()
    yield found
    signal.signal(signal.SIGTERM, before)


def _arrive() -> None:
    """What Python does in the main thread when any thread was given the signal."""
    handler = signal.getsignal(signal.SIGTERM)
    assert callable(handler)
    handler(signal.SIGTERM, None)


def _rights() -> tuple[object, ...]:
    return os.getresuid(), os.getresgid(), sorted(os.getgroups())


def test_what_is_kept_is_called_once_at_the_outermost_end() -> None:
    not_now, called = NotNow(), list[str]()
    not_now.call(lambda: called.append("at once"))
    not_now.begin()
    not_now.begin()
    not_now.call(lambda: called.append("kept"))
    not_now.end()
    assert called == ["at once"]
    not_now.end()
    not_now.begin()
    not_now.end()
    assert called == ["at once", "kept"]


def test_a_cancellation_waits_for_the_end_of_a_change_and_is_raised_there(
    cancellation: Cancellation,
) -> None:
    with cancellation:
        NOT_NOW.begin()
        _arrive()
        with pytest.raises(Canceled):
            NOT_NOW.end()
        _arrive()  # a second one interrupts no clean-up


def test_a_cancellation_that_waited_until_nothing_ran_any_more_is_not_raised(
    cancellation: Cancellation,
) -> None:
    with cancellation:
        NOT_NOW.begin()
        _arrive()
    NOT_NOW.end()
    with pytest.raises(Canceled):
        cancellation.check()


class Interruption:
    """Cancels at one of the lines that are run while rights change; counts them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, _arg: object) -> Any:
        if not frame.f_code.co_filename.endswith(("host/users.py", "contextlib.py")):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                _arrive()
        return self


@as_root
def test_wherever_a_cancellation_arrives_rights_are_what_they_were_afterwards(
    cancellation: Cancellation,
) -> None:
    own, user = _rights(), User.named("nobody")
    tracing = sys.gettrace()
    at, lines = 0, 1  # the first time nothing arrives, and lines are counted
    while at <= lines:
        interruption = Interruption(at)
        cancellation.asked = False
        with suppress(Canceled), cancellation:
            block = user.assumed()
            sys.settrace(interruption)
            try:
                with block, nullcontext():
                    pass
            finally:
                sys.settrace(tracing)
        assert _rights() == own, f"cut at line {at}"
        at, lines = at + 1, max(lines, interruption.lines)
    assert lines > 30


@as_root
def test_a_block_has_the_users_rights_and_a_cancellation_comes_after_it(
    cancellation: Cancellation,
) -> None:
    own, user = _rights(), User.named("nobody")
    inside: list[tuple[int, int]] = []

    def canceled() -> None:
        with cancellation, user.assumed():
            _arrive()
            inside.append((os.geteuid(), os.getegid()))

    with pytest.raises(Canceled):
        canceled()
    assert inside == [(user.uid, user.gid)]
    assert _rights() == own


def test_the_user_of_this_process_is_the_effective_one() -> None:
    own = User.of_this_process()
    assert (own.uid, own.name) == (os.geteuid(), pwd.getpwuid(os.geteuid()).pw_name)


@as_root
def test_a_user_that_no_list_has_goes_by_its_number() -> None:
    own = User.of_this_process()
    known = {entry.pw_uid for entry in pwd.getpwall()}
    stranger = next(uid for uid in range(54321, 60000) if uid not in known)
    found = said_as(replace(own, uid=stranger), lambda: repr(User.of_this_process()))
    assert f"name='{stranger}', uid={stranger}" in found
    assert "shell='/bin/sh'" in found

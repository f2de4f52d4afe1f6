"""How the agent's process ends: its exit codes, its mailbox, and its supervised threads."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the agent's exit code says; the numbers are those of sysexits.h."""

    OK = 0  # drained: everything that ran was finished or handed back
    FAILED = 1  # the work folder, or the installation, cannot be used at this moment
    USAGE = 2  # a flag, a variable or the settings file is wrong
    LOOP_DIED = 70  # one of the agent's own loops ended: a defect, restart it
    FORK_SERVER_DIED = 71  # the process that starts attempts is gone: restart it
    STORE_LOST = 74  # of the service: its database is not what it was, for a person to look at
    NOT_AUTHORIZED = 77  # the service refuses these credentials: restarting cannot help


class Phase(StrEnum):
    """Whether the agent runs, drains, or ends what runs."""

    RUNNING = "running"
    DRAINING = "draining"
    CANCELING = "canceling"


@dataclass(frozen=True, slots=True)
class SignalArrived:
    """The process was signalled."""

    number: int


@dataclass(frozen=True, slots=True)
class LoopEnded:
    """A background loop returned (`error` is None) or raised."""

    name: str
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Something inside the agent asks it to drain and end with this code."""

    code: ExitCode
    reason: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """Whatever runs must end now, and the agent with it."""

    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A slot is free again."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The service was called for the first time, and answered or did not."""


@dataclass(frozen=True, slots=True)
class HostEnding:
    """The machine goes away in so many seconds: be done before."""

    left_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class TakeNoMore:
    """No new work; what runs may take its time."""

    reason: str


Message = (
    SignalArrived
    | LoopEnded
    | StopAsked
    | CancelAsked
    | AttemptEnded
    | Heard
    | HostEnding
    | TakeNoMore
)
#: Everything that may end the agent arrives here; putting is safe inside a signal handler.
Mailbox = queue.SimpleQueue[Message]


_BUSY_NAP_S, _IDLE_NAP_S = 1.0, 5.0


def longest_nap_s(*, busy: bool, watchdog_s: float | None) -> float:
    """How long the main loop may wait for a message.

    With work, or on the way out, things fall due. Else only the disk is looked at now and then, and
    a watchdog fed: in good time before it would bite.
    """
    if busy:
        return _BUSY_NAP_S
    return min(_IDLE_NAP_S, watchdog_s / 3) if watchdog_s else _IDLE_NAP_S


def listen(mailbox: Mailbox, numbers: Mapping[signal.Signals, str]) -> None:
    """Turn signals into messages; the handler does nothing else. Main thread only."""

    def arrived(number: int, _frame: object) -> None:
        mailbox.put(SignalArrived(number))

    for number in numbers:
        signal.signal(number, arrived)


class Threads:
    """Starts every background thread; the mailbox is told when one ends."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self.names: list[str] = []

    def start(self, name: str, loop: Callable[[], None]) -> None:
        """Run a loop that must not end before the process does."""
        self.names.append(name)
        self._spawn(name, loop, may_return=False)

    def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Run a piece of work that may end, but not by raising."""
        return self._spawn(name, work, may_return=True)

    def _spawn(self, name: str, work: Callable[[], None], *, may_return: bool) -> threading.Thread:
        def body() -> None:
            try:
                work()
            except BaseException as error:
                self._mailbox.put(LoopEnded(name, error))
            else:
                if not may_return:
                    self._mailbox.put(LoopEnded(name, None))

        thread = threading.Thread(target=body, name=name, daemon=True)
        thread.start()
        return thread

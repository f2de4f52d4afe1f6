"""A7: nothing of a task outlives it or its agent, however it went about its processes.

Each task leaves its session, its parents and its terminal behind in five ways, and one of its
children forks for as long as it lives. The task ends in one of four ways; then all must be gone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from taskrunner.clock import SystemClock
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)

pytestmark = pytest.mark.xdist_group("alone")

AT_ONCE = 8
#: Every process of a task has the task's mark on its command line, to be found by.
STORM = r"""
trap '' TERM HUP
mark={mark}
up() {{ echo >>up; }}
setsid sh -c 'trap "" TERM; echo >>up; while :; do sleep 1000; done' "$mark" &
( ( sh -c 'trap "" TERM HUP; echo >>up; while :; do sleep 1000; done' "$mark" & ) & )
nohup sh -c 'trap "" TERM; echo >>up; while :; do sleep 1000; done' "$mark" >/dev/null 2>&1 &
setsid sh -c '( ( setsid sh -c "trap : TERM; echo >>up; while :; do sleep 99; done" "$0" & ) & )' \
  "$mark" </dev/null >/dev/null 2>&1
setsid sh -c 'echo >>up; while :; do setsid sleep 0.3 & sleep 0.1; done' "$mark" &
while [ "$(wc -l 2>/dev/null <up)" != 5 ]; do sleep 0.05; done
touch {ready}
"""


class Storm:
    """A number of tasks that run at the same time."""

    def __init__(self, service: FakeService, folder: Path, name: str, *, lasts: bool) -> None:
        self.service, self.folder = service, folder
        self.marks = [f"storm-{os.getpid()}-{name}-{number}" for number in range(AT_ONCE)]
        self._lasts = lasts

    def rage(self, **fields: str) -> None:
        """Start every task and wait until all of its processes are there."""
        for mark in self.marks:
            command = STORM.format(mark=mark, ready=self.folder / mark)
            command += "while :; do sleep 1; done" if self._lasts else ""
            self.service.tasks.put(task_json(mark, command, fields=fields))
        wait_for("the storm", lambda: all((self.folder / mark).exists() for mark in self.marks))

    def alive(self) -> list[int]:
        """Its processes, by their mark."""
        marks = {mark.encode() for mark in self.marks}
        processes = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [int(entry.name) for entry in processes if marks & _arguments(entry)]


def _arguments(process: Path) -> set[bytes]:
    try:
        return set((process / "cmdline").read_bytes().split(b"\0"))
    except OSError:  # it has gone
        return set()


def _finished(service: FakeService, storm: Storm, _agent: AgentProcess) -> None:
    for mark in storm.marks:
        service.verdict(mark)


def _canceled(service: FakeService, storm: Storm, _agent: AgentProcess) -> None:
    service.canceled |= set(storm.marks)


def _killed(_service: FakeService, _storm: Storm, agent: AgentProcess) -> None:
    agent.signal(signal.SIGKILL)
    agent.wait()


def _killed_with_its_fork_server(service: FakeService, storm: Storm, agent: AgentProcess) -> None:
    """Nobody is left to end anything but the next agent, before it asks for work."""
    server = psutil.Process(agent.process.pid).children()[0]
    server.suspend()
    _killed(service, storm, agent)
    server.kill()


#: How a task's end comes about.
ENDS: dict[str, Callable[[FakeService, Storm, AgentProcess], None]] = {
    "finish": _finished,
    "cancel": _canceled,
    "timeout": _finished,
    "agent killed": _killed,
}


def _ended(
    service: FakeService,
    folder: Path,
    end: str,
    name: str,
    *,
    program: tuple[str, ...],
    patience_s: float = 10.0,
) -> tuple[list[int], float]:
    """What is left of a storm after its end, and how long it took to go."""
    clock = SystemClock()
    options = ("--tasks", str(AT_ONCE), "--kill-grace", "0.5")
    with running_agent(service, folder, *options, program=program) as agent:
        storm = Storm(service, folder, name, lasts=end != "finish")
        storm.rage(**({"attemptTimeout": "6 seconds"} if end == "timeout" else {}))
        before = len(storm.alive())
        assert before >= (5 * AT_ONCE if end != "finish" else 0), "the storm itself"
        ENDS[end](service, storm, agent)
        began = clock.monotonic()
        left = _settled(storm, patience_s)
        took = clock.monotonic() - began
    _sweep(folder)
    return left, took


def _sweep(folder: Path) -> None:
    """End what is left with or without a mark: all of it has its home below the folder."""
    home = f"{folder}/".encode()

    def ended() -> bool:
        found = [p for p in Path("/proc").iterdir() if p.name.isdigit() and home in _environ(p)]
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)
        return not found

    wait_for("the end of all that is left", ended)


def _environ(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it has gone
        return b""


def _settled(storm: Storm, patience_s: float) -> list[int]:
    """What is still there when nothing more goes away."""
    try:
        wait_for("the end of the storm", lambda: not storm.alive(), patience_s=patience_s)
    except AssertionError:
        return storm.alive()
    return []


@pytest.mark.parametrize("end", ENDS)
def test_nothing_outlives_its_task(
    service: FakeService, tmp_path: Path, chaos: Chaos, end: str
) -> None:
    rounds, worst = chaos.trials(1, 25), 0.0
    for number in range(rounds):
        folder = tmp_path / str(number)
        left, took = _ended(service, folder, end, f"{end[:2]}{number}", program=("taskrunner",))
        assert left == [], f"{len(left)} processes outlived round {number}"
        worst = max(worst, took)
    chaos.found(
        "A7", f"{rounds * AT_ONCE} fork storms, end: {end}; 0 left, the last gone in {worst:.2f} s"
    )


def test_the_next_agent_ends_what_an_agent_left_that_died_with_its_fork_server(
    service: FakeService, tmp_path: Path, chaos: Chaos
) -> None:
    rounds = chaos.trials(1, 25)
    for number in range(rounds):
        folder = tmp_path / str(number)
        options = ("--tasks", str(AT_ONCE))
        with running_agent(service, folder, *options) as agent:
            storm = Storm(service, folder, f"next{number}", lasts=True)
            storm.rage()
            _killed_with_its_fork_server(service, storm, agent)
        assert len(storm.alive()) >= AT_ONCE, "nothing was left to be ended"
        polls = len(service.calls("PollForTask"))
        with running_agent(service, folder, *options):
            _await_poll(service, polls)
            assert storm.alive() == [], "work was asked for while the old one ran"
    chaos.found("A7", f"{rounds * AT_ONCE} fork storms of agents that died whole; 0 left at a poll")


def _await_poll(service: FakeService, after: int) -> None:
    service.wait("a poll", lambda: len(service.calls("PollForTask")) > after)


@pytest.mark.parametrize("end", ["finish", "cancel", "agent killed"])
def test_nothing_outlives_its_task_where_there_are_no_control_groups(
    service: FakeService, tmp_path: Path, chaos: Chaos, end: str
) -> None:
    rounds = chaos.trials(1, 5)
    program = ("tests.chaos.mutants", "no-control-groups")
    for number in range(rounds):
        folder = tmp_path / str(number)
        left, _ = _ended(service, folder, end, f"bare{end[:2]}{number}", program=program)
        assert left == [], f"{len(left)} processes outlived round {number}"
    chaos.found("A7", f"{rounds * AT_ONCE} fork storms without control groups, end: {end}; 0 left")


@pytest.mark.parametrize("end", ["finish", "agent killed"])
def test_the_defence_is_what_ends_them(service: FakeService, tmp_path: Path, end: str) -> None:
    program = ("tests.chaos.mutants", "trees-left-alone")
    # Nothing ends them, so that a short look is enough.
    folder, name = tmp_path / "x", f"off{end[:2]}"
    left, _ = _ended(service, folder, end, name, program=program, patience_s=3.0)
    assert left, "nothing is left although nothing ends it: the test shows nothing"

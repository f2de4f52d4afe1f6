"""A9: however a server hangs, the agent asks for work again within its deadline and its wait.

Every other reply to each of the runner's calls is swallowed, dripped or cut off after so many
bytes; then connections die without a word. Deadlines are shorter here, and nothing else is.
"""

from __future__ import annotations

import itertools
import queue
import secrets
import socket
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from taskrunner.clock import SystemClock
from tests.chaos.hasty import LONGEST_S
from tests.chaos.line import Line, line_to
from tests.chaos.proxy import Call, Fault, FaultProxy, Kind, Rule, fault_proxy
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)

pytestmark = pytest.mark.xdist_group("alone")

CALLS = ("PollForTask", "ReportTaskProgress", "SetTaskStatus", "ReportTaskRunnerHeartbeat")
#: A reply to any of these calls has about so many bytes; every place where it can be cut is tried.
REPLY = 200
AGENTS = 6
DRIP = Fault(kind=Kind.SLOW, seconds=0.1, size=1)
#: What a busy machine may add. Without the defence a poll takes a thousand seconds.
SLACK_S = 15.0


class BriskService(FakeService):
    """Says soon that there is no work, and always has some."""

    def __init__(self) -> None:
        # No other test's: an agent that recovers ends what bears the mark of its hand-outs.
        self._ids = (f"{uuid.uuid4().hex}-{number}" for number in itertools.count())
        super().__init__()

    def _poll(self, connection: socket.socket) -> dict[str, Any]:
        try:
            return {"taskObject": self.tasks.get(timeout=0.1)}
        except queue.Empty:
            return {"taskObject": task_json(next(self._ids), "true")}


class EveryOther(Rule):
    """Every second call of an operation meets the next fault, as long as there are any."""

    def __init__(self, operation: str, faults: Sequence[Fault]) -> None:
        super().__init__(fault=DRIP, operations=frozenset({operation}))
        self.left = list(faults)
        self.turn = 0

    def strikes(self, operation: str, chance: Random) -> bool:
        if operation not in self.operations or not self.left:
            return False
        self.turn += 1
        if self.turn % 2:
            return False
        self.fault = self.left.pop()
        return True


class Watchdog(threading.Thread):
    """What systemd hears of the agent."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        # An abstract name: a path in a test's folder is soon longer than the 108 bytes it may be.
        self.address = f"@taskrunner-{secrets.token_hex(8)}"
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("\0" + self.address[1:])
        self._clock = SystemClock()
        self.fed: list[float] = []

    def run(self) -> None:
        while b"ENOUGH" not in (data := self._sock.recv(4096)):
            if b"WATCHDOG=1" in data:
                self.fed.append(self._clock.monotonic())
        self._sock.close()

    def end(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"ENOUGH", "\0" + self.address[1:])
        self.join()

    @property
    def environ(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "10000000"}


@dataclass
class Ordeal:
    """One agent and what it goes through."""

    folder: Path
    faults: dict[str, list[Fault]]
    half_open: int
    calls: list[Call] = field(default_factory=list)
    fired: int = 0
    fed: list[float] = field(default_factory=list)
    died_silently: int = 0

    def run(self) -> Ordeal:
        self.folder.mkdir(parents=True)
        rules = [EveryOther(name, faults) for name, faults in self.faults.items()]
        with self._agent("-") as (agent, proxy, line):
            proxy.rules(*rules)
            while left := _left(rules):
                self._strikes(rules, left)
            for _ in range(self.half_open):
                self._half_open(line)
            self._await_poll("a last poll")
            assert agent.process.poll() is None
            self.fired = sum(proxy.fired.values())
        return self

    @contextmanager
    def _agent(self, without: str) -> Iterator[tuple[AgentProcess, FaultProxy, Line]]:
        service, watchdog = BriskService(), Watchdog()
        service.tasks.put(task_json(next(service._ids), "exec sleep 10000"))
        watchdog.start()
        options = ["--tasks", "2", "--kill-grace", "1"]
        try:
            with (
                fault_proxy(service.url, on_call=self.calls.append) as proxy,
                line_to(proxy.url) as line,
                running_agent(
                    service, self.folder, *options, "--endpoint", line.url,
                    program=("tests.chaos.hasty", without), environ=watchdog.environ,
                ) as agent,
            ):  # fmt: skip
                yield agent, proxy, line
        finally:
            watchdog.end()
            self.fed = watchdog.fed
            service.close()

    def _strikes(self, rules: Sequence[EveryOther], left: int) -> None:
        wait_for("one more fault", lambda: _left(rules) < left)

    def _half_open(self, line: Line) -> None:
        """Every connection that stands dies without a word; calls that were put into it hang."""
        _lose_a_call(line)
        self.died_silently += 1
        self._await_poll("a poll after that")

    def _await_poll(self, what: str) -> None:
        since, now = len(self.calls), SystemClock().monotonic()

        def asked(call: Call) -> bool:
            # Not one that was answered into a dead connection.
            return _good_poll(call) and call.began > now

        wait_for(what, lambda: any(asked(call) for call in self.calls[since:]))

    def gaps(self) -> list[float]:
        """The times between two polls."""
        begun = sorted(call.began for call in self.calls if call.operation == "PollForTask")
        return [after - before for before, after in itertools.pairwise(begun)]

    def unanswered(self) -> list[str]:
        """Calls that met a fault, and after which none of the kind got through any more."""
        last = {call.operation: call.ended for call in self.calls if call.delivered}
        return [
            f"{call.operation} {call.fault}"
            for call in self.calls
            if call.fault is not None and last.get(call.operation, 0.0) < call.began
        ]


def _lose_a_call(line: Line) -> None:
    """Have all connections die without a word, and a call put into one of them."""
    before = line.lost
    line.cut()
    line.heal()

    def lost() -> bool:
        # A call that waits for a swallowed reply closes its connection, and nothing is put into
        # that any more; were it the only one that stood, then those made since are to die.
        if not line.dead():
            line.cut()
            line.heal()
        return line.lost > before

    wait_for("a call into a dead connection", lost)


def _left(rules: Sequence[EveryOther]) -> int:
    return sum(len(rule.left) for rule in rules)


def _good_poll(call: Call) -> bool:
    return call.operation == "PollForTask" and call.delivered and call.fault is None


def _faults(chaos: Chaos, trials: int) -> list[Fault]:
    """As many of each kind, and the cut at each place in turn, in a random order."""
    cuts = [Fault(kind=Kind.TRUNCATE, size=size % REPLY) for size in range(trials)]
    if trials < REPLY:
        cuts = [Fault(kind=Kind.TRUNCATE, size=chaos.random.randrange(REPLY)) for _ in cuts]
    faults = [*cuts, *trials * [Fault(kind=Kind.BLACKHOLE), DRIP]]
    chaos.random.shuffle(faults)
    return faults


def test_no_way_to_hang_keeps_the_agent_from_asking_for_work(chaos: Chaos, tmp_path: Path) -> None:
    trials, agents = chaos.trials(4, 204), chaos.trials(2, AGENTS)
    faults = {name: _faults(chaos, trials) for name in CALLS}
    ordeals = [
        Ordeal(
            tmp_path / f"agent-{number}",
            {name: given[number::agents] for name, given in faults.items()},
            half_open=trials // agents,
        )
        for number in range(agents)
    ]
    with ThreadPoolExecutor(agents) as pool:
        ended = list(pool.map(Ordeal.run, ordeals))
    fired = sum(ordeal.fired for ordeal in ended)
    died = sum(ordeal.died_silently for ordeal in ended)
    gaps = sorted(gap for ordeal in ended for gap in ordeal.gaps())
    fed = [b - a for ordeal in ended for a, b in itertools.pairwise(ordeal.fed)]
    chaos.found(
        "A9",
        f"{fired} replies to {len(CALLS)} calls swallowed, dripped or cut off ({trials} of each "
        f"kind and call), {died} times all connections dead: next poll after {gaps[-1]:.1f} s at "
        f"the most ({LONGEST_S:.1f} s are its deadline and wait here); the watchdog was fed "
        f"{len(fed)} times, {max(fed):.1f} s apart at the most",
    )
    assert fired == trials * 3 * len(CALLS)
    assert died == trials // agents * agents
    assert [bad for ordeal in ended for bad in ordeal.unanswered()] == []
    assert gaps[-1] < LONGEST_S + SLACK_S


def test_it_is_the_deadline_over_the_whole_reply_that_does_it(tmp_path: Path) -> None:
    ordeal = Ordeal(tmp_path / "agent", {}, half_open=0)
    ordeal.folder.mkdir()
    with ordeal._agent("body-without-deadline") as (agent, proxy, _line):
        ordeal._await_poll("a first poll")
        proxy.rules(Rule(fault=DRIP, operations=frozenset({"PollForTask"}), times=1))
        wait_for("the fault", lambda: proxy.fired)
        since = len(ordeal.calls)
        SystemClock().wait(threading.Event(), 4 * LONGEST_S)
        assert not any(call.operation == "PollForTask" for call in ordeal.calls[since:])
        # The watchdog sees it, where there is one.
        assert agent.process.poll() is None


def test_a_connection_that_is_closed_unused_is_no_call_into_a_dead_one() -> None:
    """As when the last call before the cut had met a black hole: it says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        with line_to(f"http://127.0.0.1:{service.getsockname()[1]}") as line:
            address = ("127.0.0.1", int(line.url.rpartition(":")[2]))
            silent = socket.create_connection(address)
            wait_for("the connection", lambda: line.standing() == 1)
            dies = threading.Thread(target=_lose_a_call, args=(line,))
            dies.start()
            wait_for("its death", line.dead)
            silent.close()
            wait_for("its end", lambda: not line.dead())
            with socket.create_connection(address) as next_one:
                wait_for("the death of the next", line.dead)
                next_one.sendall(b"a call")
                dies.join()
        assert line.lost == len(b"a call")

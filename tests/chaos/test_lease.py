"""A6: on a host that works, nothing of a task lives beyond its lease, however long the cut.

Agents are cut off from their services for three leases: by a pulled cable between two network
namespaces, or, without root, by a line that swallows everything. The tasks tell by themselves how
long they lived, to the files that they write; the services tell when they answered last.
"""

from __future__ import annotations

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from taskrunner.clock import SystemClock
from tests.chaos.line import line_to
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import AgentProcess, FakeService, task_json, wait_for
from tests.integration.netns import Cable, cable, in_namespace

pytestmark = pytest.mark.xdist_group("alone")

#: Two processes, one of them detached, that say ten times a second that they live; TERM moves none.
BEATS = """
trap '' TERM
beat() {{ exec 9<> <(:); while :; do echo $EPOCHREALTIME >> {beats}; read -rt 0.1 -u 9; done; }}
export -f beat
setsid bash -c beat &
beat
"""
#: More of a delay than this in the harness, and a late breath tells nothing of the agent.
_LATE_PART = 0.05


class TimedService(FakeService):
    """Remembers when it answered a report last."""

    def __init__(self, host: str) -> None:
        self.answered_at = 0.0
        super().__init__(host)

    def _answer(self, operation: str, *rest: Any) -> tuple[int, dict[str, Any]]:
        if operation == "ReportTaskProgress":
            self.answered_at = SystemClock().now().timestamp()
        return super()._answer(operation, *rest)


class Site:
    """An agent and its service, with something between them that can be cut."""

    def __init__(self, service: TimedService, agent: AgentProcess, folder: Path) -> None:
        self.service, self.agent, self.beats = service, agent, folder / "beats"
        # No other test's: an agent that recovers ends what bears the mark of its hand-outs.
        self.task_id = uuid.uuid4().hex

    def begin(self, lease_s: float) -> None:
        fields = {"reportProgressTimeout": f"{lease_s:.0f} seconds"}
        self.service.tasks.put(
            task_json(self.task_id, BEATS.format(beats=self.beats), fields=fields)
        )

    @property
    def last_breath(self) -> float:
        """When a process of the task was last alive."""
        lines = self.beats.read_text().split()
        # The last line may be half written.
        return max(float(line) for line in lines if len(line) >= len(lines[0]))


@dataclass(frozen=True, slots=True)
class Cut:
    """One agent that was cut off."""

    name: str
    #: How much of its lease had passed when the last of its task was gone.
    part: float
    #: Whether the harness itself was held up, so that this one is void if it looks bad.
    late: bool


class Pulse(threading.Thread):
    """Finds out how late a thread of the harness can be."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.worst_s = 0.0
        self.over = threading.Event()

    def run(self) -> None:
        clock = SystemClock()
        before = clock.monotonic()
        while not clock.wait(self.over, 0.05):
            now = clock.monotonic()
            self.worst_s = max(self.worst_s, now - before - 0.05)
            before = now


Over = Callable[[Callable[[], TimedService]], TimedService]


@contextmanager
def _site(name: str, folder: Path, service: TimedService, url: str) -> Iterator[Site]:
    program = ("tests.chaos.mutants", name) if name == UNWATCHED else ("taskrunner",)
    folder.mkdir(parents=True)
    options = ["--endpoint", url, "--allow-http", "--tasks", "1"]
    agent = AgentProcess(service, folder, *options, program=program)
    try:
        yield Site(service, agent, folder)
    finally:
        # It would try for a while to tell what nobody hears.
        agent.process.kill()
        agent.wait()
        service.close()


UNWATCHED = "lease-unwatched"


def _round(
    folder: Path, names: list[str], lease_s: float, phase_s: float, wire: tuple[Cable, Over] | None
) -> list[Cut]:
    """Cut everybody off at once for three leases."""
    with ExitStack() as stack:
        sites, cuts = {}, []
        for name in names:
            if wire is not None and name.startswith("cable"):
                service = wire[1](lambda: TimedService(Cable.there))
                url = service.url
            else:
                service = TimedService("127.0.0.1")
                line = stack.enter_context(line_to(service.url))
                cuts.append(line)
                url = line.url
            sites[name] = stack.enter_context(_site(name, folder / name, service, url))
        for site in sites.values():
            site.begin(lease_s)
        for site in sites.values():
            wait_for("the tasks' lives", site.beats.exists)
        clock, never, pulse = SystemClock(), threading.Event(), Pulse()
        clock.wait(never, phase_s)
        pulse.start()
        cut_at = clock.now().timestamp()
        for line in cuts:
            line.cut()
        if wire is not None:
            wire[0].pull()
        clock.wait(never, 3 * lease_s)
        pulse.over.set()
        late = pulse.worst_s > _LATE_PART * lease_s
        found = [
            Cut(name, (site.last_breath - site.service.answered_at) / lease_s, late)
            for name, site in sites.items()
        ]
        if wire is not None:
            wire[0].plug()
        answered = max(site.service.answered_at for site in sites.values())
        assert answered < cut_at + lease_s, "a cut did not fire"
        return found


def _rounds(chaos: Chaos, folder: Path, *, wired: bool) -> list[Cut]:
    lease_s = 10.0 if chaos.full else 3.0
    names = [f"line-{number}" for number in range(chaos.trials(2, 2 if wired else 10))]
    names += [f"cable-{number}" for number in range(chaos.trials(2, 10) if wired else 0)]
    found = []
    with ExitStack() as stack:
        wire = stack.enter_context(cable()) if wired else None
        for number in range(chaos.trials(1, 10)):
            phase_s = chaos.random.uniform(0, lease_s / 2)
            place = folder / f"round-{number}"
            found += _round(place, [*names, UNWATCHED], lease_s, phase_s, wire)
    return found


def test_nothing_of_a_task_outlives_its_lease(chaos: Chaos, tmp_path: Path) -> None:
    wired = os.geteuid() == 0 and all(map(shutil.which, ("ip", "nsenter")))
    if wired:
        cuts = in_namespace(lambda: _rounds(chaos, tmp_path, wired=True))
    else:
        cuts = _rounds(chaos, tmp_path, wired=False)
    watched = [cut for cut in cuts if cut.name != UNWATCHED]
    void = [cut for cut in watched if cut.part >= 1 and cut.late]
    sound = [cut for cut in watched if cut not in void]
    parts = sorted(cut.part for cut in sound)
    cables = sum(cut.name.startswith("cable") for cut in sound)
    chaos.found(
        "A6",
        f"{len(sound)} cuts of three leases ({cables} by cable), the last of a task was gone at "
        f"{parts[len(parts) // 2]:.0%} of its lease, at {parts[-1]:.0%} at the latest; "
        f"{len(void)} void, as the harness was held up; "
        f"without the watch at {min(cut.part for cut in cuts if cut.name == UNWATCHED):.0%}",
    )
    if not sound:
        pytest.skip(f"this machine is too busy: all of {len(void)} trials are void")
    assert [cut for cut in sound if cut.part >= 1] == []
    # Gone much sooner, something else has ended them, and nothing is shown.
    assert parts[0] > 0.5
    # With the defence off, every task is found alive beyond its lease.
    assert all(cut.part > 1 for cut in cuts if cut.name == UNWATCHED)

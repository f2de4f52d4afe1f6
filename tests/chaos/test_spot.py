"""A11: spot instances that go while they work hand their tasks back before, and take no more.

`taskrunner serve`, agents, and the metadata service at its own address, all in a network namespace;
without root the agents are told another address. Time is scaled by ten: a notice comes 12 s before
the host is killed (8 in the short form), not 120 s.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from taskrunner.clock import SystemClock
from tests.acceptance.served_process import served
from tests.chaos.line import Line, line_to
from tests.chaos.pipelines import KEYS, Pipelines, pipelines_at
from tests.chaos.scale import Chaos
from tests.fake_imds import FakeImds, fake_imds, soon
from tests.integration.agent_harness import wait_for
from tests.integration.netns import METADATA, in_namespace
from tests.integration.small_agent import SmallAgent, small_agent

pytestmark = pytest.mark.xdist_group("alone")

AT_ONCE = 10
#: A host of each batch does not look for notices: what is tested must then fail.
DEAF = "deaf"


class Host:
    """One instance: its agent, its line to the service, its task, and what becomes of that."""

    def __init__(self, name: str, agent: SmallAgent, line: Line, pipeline: str) -> None:
        self.name, self.agent, self.line, self.pipeline = name, agent, line, pipeline
        self.interrupted = False
        self.in_time = False
        self.drained = False
        self.finished = False

    @property
    def late_polls(self) -> int:
        """How often it asked for work after it had begun to drain."""
        drains = [
            datetime.fromisoformat(event["ts"])
            for event in map(json.loads, filter(_is_event, self.agent.log.splitlines()))
            if event["event"] == "draining"
        ]
        polls = [said.at for said in self.line.said if said.operation == "PollForTask"]
        assert polls
        return sum(poll > drains[0] for poll in polls) if drains else 0


def _is_event(line: str) -> bool:
    return line.startswith("{")


@dataclass
class Region:
    """A batch of hosts that all get the same notice."""

    pipelines: Pipelines
    url: str
    imds: FakeImds
    environ: Mapping[str, str]
    folder: Path
    notice_s: float

    def live(self, count: int) -> list[Host]:
        """Start hosts, let them work, announce their end, kill them; the work goes on elsewhere."""
        names = [DEAF, *(f"wg-{number}" for number in range(count))]
        with ExitStack() as stack:
            hosts = [stack.enter_context(self._host(name)) for name in names]
            begun = [self.folder / f"begun-{name}" for name in names]
            wait_for("every task to run", lambda: all(path.exists() for path in begun))
            deadline = soon(self.notice_s)
            self.imds.announce("terminate", deadline)
            stack.enter_context(self._survivor(names))
            wait_for("the verdicts", lambda: self._told(hosts, deadline) or _past(deadline))
            wait_for("the end of the hosts", lambda: _past(deadline))
            for host in hosts:
                host.drained = host.agent.process.poll() == 0
                if not host.drained:
                    host.agent.kill()
            wait_for("every task elsewhere", lambda: self._finished(hosts[1:]))
        return hosts

    @contextmanager
    def _host(self, name: str) -> Iterator[Host]:
        program = ("tests.chaos.mutants", "notice-ignored") if name == DEAF else ("taskrunner",)
        begun = self.folder / f"begun-{name}"
        command = f"if [ -e {begun} ]; then exit 0; fi; touch {begun}; exec sleep 300"
        with line_to(self.url) as line:
            # The metadata service is where it always is; that it is one, no firmware says here.
            options = ["--worker-group", name, "--endpoint", line.url, "--ec2", "on"]
            options += ["--tasks", "2", "--notice-margin", "3", "--kill-grace", "1"]
            options += ["--s3-root", str(self.folder / "s3")]
            environ = {**KEYS, **self.environ}
            with small_agent(self.folder / name, *options, program=program, **environ) as agent:
                # Had the interruption been charged, there would be no second attempt.
                pipeline = self.pipelines.activate(
                    f"{self.folder.name}-{name}", command, worker_group=name
                )
                yield Host(name, agent, line, pipeline)

    @contextmanager
    def _survivor(self, names: list[str]) -> Iterator[SmallAgent]:
        options = ["--endpoint", self.url, "--ec2", "off", "--tasks", str(len(names))]
        for name in names:
            options += ["--worker-group", name]
        options += ["--s3-root", str(self.folder / "s3")]
        with small_agent(self.folder / "survivor", *options, **KEYS) as agent:
            yield agent

    def _told(self, hosts: list[Host], deadline: datetime) -> bool:
        """Note whose first attempt is told as interrupted; whether all are."""
        for host in hosts:
            if not host.interrupted:
                first = self.pipelines.attempts(host.pipeline).get(1, {})
                host.interrupted = first.get("errorId") == "TaskRunner.Interrupted"
                host.in_time = host.interrupted and not _past(deadline)
        return all(host.interrupted for host in hosts)

    def _finished(self, hosts: list[Host]) -> bool:
        for host in hosts:
            if not host.finished:
                host.finished = self.pipelines.status(host.pipeline, 2) == "FINISHED"
        return all(host.finished for host in hosts)


def _past(moment: datetime) -> bool:
    return SystemClock().now() >= moment


def _batches(
    folder: Path, counts: list[int], address: tuple[str, int], notice_s: float
) -> Iterator[Host]:
    for number, count in enumerate(counts):
        place = folder / f"batch-{number}"
        place.mkdir()
        with (
            fake_imds(*address) as imds,
            served(place, "--no-auth", "--ack-timeout", "20") as service,
            pipelines_at(service.url) as pipelines,
        ):
            told = {} if address[1] == 80 else {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds.url}
            yield from Region(pipelines, service.url, imds, told, place, notice_s).live(count)


def _anywhere() -> tuple[Callable[[Callable[[], list[Host]]], list[Host]], tuple[str, int]]:
    """A namespace, with the real address, where there can be one."""
    if os.geteuid() == 0 and shutil.which("ip"):
        return in_namespace, (METADATA[0], 80)
    return (lambda work: work()), ("127.0.0.1", 0)


def test_tasks_are_handed_back_before_spot_hosts_go_and_finish_elsewhere(
    chaos: Chaos, tmp_path: Path
) -> None:
    counts = chaos.trials(1, 10) * [chaos.trials(4, AT_ONCE)]
    place, address = _anywhere()
    notice_s = 12.0 if chaos.full else 8.0
    found = place(lambda: list(_batches(tmp_path, counts, address, notice_s)))
    hosts = [host for host in found if host.name != DEAF]
    deaf = [host for host in found if host.name == DEAF]
    in_time, finished = sum(h.in_time for h in hosts), sum(h.finished for h in hosts)
    late_polls = sum(host.late_polls for host in hosts)
    chaos.found(
        "A11",
        f"{len(hosts)} spot hosts at {address[0]}: {in_time} handed back in time, "
        f"{sum(h.drained for h in hosts)} drained before the kill, {finished} finished elsewhere, "
        f"{late_polls} polls after the notice; "
        f"deaf ones: {sum(h.in_time for h in deaf)} of {len(deaf)} in time",
    )
    assert in_time >= 0.95 * len(hosts)
    assert finished == len(hosts)
    assert late_polls == 0
    # Without a look at the metadata it does not work.
    assert not any(host.in_time or host.drained for host in deaf)

"""P4: no-op shell tasks through one agent of 8 slots, logs shipped, everything journaled.

The service, the S3 stand-in and the agent share this machine: the CPU time of each is told, since
it is what a task costs wherever the cores come from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from bench import harness
from bench.harness import MEGABYTE, Agent, Figure, Service

TASKS = 2000
A_PIPELINE = 50
SLOTS = 8
#: A machine that has much else to do is no reason to give up early.
PATIENCE_S = 360.0
GOAL = 60.0
#: Memory is flat when it does not grow by more than this from the first quarter to the end.
FLAT = 1.03


@dataclass(slots=True)
class Round:
    """What one run of all tasks took."""

    seconds: float
    tasks: int
    #: CPU seconds, by who used them.
    cpu: dict[str, float]
    memory: list[tuple[int, float]]

    @property
    def rate(self) -> float:
        return self.tasks / self.seconds


def measure(tasks: int = TASKS) -> Iterator[Figure]:
    done = run(tasks)
    each = {who: 1000 * spent / done.tasks for who, spent in done.cpu.items()}
    yield Figure(
        id="P4",
        what=f"no-op shell tasks, {SLOTS} slots, logs shipped ({done.tasks} tasks)",
        measured=f"{done.rate:.0f} tasks/s",
        goal=f">= {GOAL:.0f} tasks/s",
        met=done.rate >= GOAL,
    )
    yield Figure(
        id="P4",
        what="CPU time a task",
        measured=", ".join(f"{who} {ms:.1f} ms" for who, ms in each.items())
        + f"; in all {sum(each.values()):.1f} ms",
    )
    early, late = settled(done.memory), done.memory[-1][1]
    yield Figure(
        id="P4",
        what="memory of agent and fork server, after a quarter of the tasks and at their end",
        measured=f"{early:.1f} MB, {late:.1f} MB",
        goal=f"growth <= {FLAT - 1:.0%}",
        met=late <= early * FLAT,
    )


def run(tasks: int) -> Round:
    with harness.folder() as home, harness.sink(home) as sink, harness.service(home) as service:
        pipelines = [
            service.pipeline(f"p4-{number}", "bench", ["true"] * min(A_PIPELINE, tasks - number))
            for number in range(0, tasks, A_PIPELINE)
        ]
        for pipeline in pipelines:
            service.activate(pipeline)
        options = ("--tasks", str(SLOTS), "--s3-endpoint", sink.url)
        logs = ("--log-uri", "s3://logs/bench/", "--log-level", "warning")
        before = {"service": harness.cpu_s(service.process), "sink": harness.cpu_s(sink.process)}
        begin = time.monotonic()
        with harness.agent(home, service.url, *options, *logs) as agent:
            memory = _watch(service, agent, tasks)
            seconds = time.monotonic() - begin
            cpu = {
                "agent": harness.cpu_s(agent.process),
                "fork server, attempts and commands": _spent(agent.fork_server),
                "service": harness.cpu_s(service.process) - before["service"],
                "sink": harness.cpu_s(sink.process) - before["sink"],
            }
        return Round(seconds, tasks, cpu, memory)


def _spent(fork_server: psutil.Process) -> float:
    return sum(map(harness.cpu_s, harness.tree(fork_server)))


def _watch(service: Service, agent: Agent, tasks: int) -> list[tuple[int, float]]:
    """Wait for the end; returns how many tasks were done when so many MB were held."""
    seen: list[tuple[int, float]] = []

    def all_done() -> bool:
        time.sleep(0.2)
        held = agent.process.memory_info().rss + agent.fork_server.memory_info().rss
        seen.append((service.finished(), held / MEGABYTE))
        return seen[-1][0] >= tasks

    harness.until("all tasks are done", all_done, PATIENCE_S)
    return seen


def settled(memory: list[tuple[int, float]]) -> float:
    """What was held when a quarter of the tasks was done."""
    return next(held for done, held in memory if done >= memory[-1][0] / 4)

"""P2: what an agent costs that has nothing to do: memory, CPU time, wake-ups."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import harness
from bench.harness import MEGABYTE, Figure

SECONDS = 60.0
#: What only the start does is over by then.
SETTLE_S = 8.0
MEMORY_MB, CPU_PERCENT, WAKE_UPS = 55.0, 0.1, 60


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has used since it began; of all its threads."""

    cpu_s: float
    switches: int

    def since(self, before: Use) -> Use:
        return Use(self.cpu_s - before.cpu_s, self.switches - before.switches)


def measure(seconds: float = SECONDS, settle_s: float = SETTLE_S) -> Iterator[Figure]:
    with (
        harness.folder() as home,
        harness.service(home) as service,
        harness.agent(home, service.url) as agent,
    ):
        time.sleep(settle_s)
        both = (agent.process, agent.fork_server)
        before = [use_of(process) for process in both]
        time.sleep(seconds)
        used = [use_of(p).since(b) for p, b in zip(both, before, strict=True)]
        memory = [process.memory_full_info() for process in both]
    held = [info.rss / MEGABYTE for info in memory]
    shared = sum(info.pss for info in memory) / MEGABYTE
    yield Figure(
        id="P2",
        what="idle: memory (RSS) of the agent",
        measured=f"{held[0]:.1f} MB; with its fork server {sum(held):.1f} MB, or {shared:.1f} MB"
        " with what they share counted once (PSS)",
        goal=f"<= {MEMORY_MB:.0f} MB",
        met=held[0] <= MEMORY_MB,
    )
    percent = 100 * sum(u.cpu_s for u in used) / seconds
    yield Figure(
        id="P2",
        what=f"idle: CPU time over {seconds:.0f} s, agent and fork server",
        measured=f"{percent:.3f} % of a core",
        goal=f"<= {CPU_PERCENT} %",
        met=percent <= CPU_PERCENT,
    )
    switches = [u.switches * 60 / seconds for u in used]
    yield Figure(
        id="P2",
        what="idle: context switches in a minute",
        measured=f"agent {switches[0]:.0f}, fork server {switches[1]:.0f}",
        goal=f"no busy loop (<= {WAKE_UPS})",
        met=sum(switches) <= WAKE_UPS,
    )


def use_of(process: psutil.Process) -> Use:
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    # The scheduler counts nanoseconds; the times in `stat` are ticks of 10 ms.
    run = sum(int((t / "schedstat").read_text().split()[0]) for t in threads)
    switches = sum(
        int(line.split()[1])
        for thread in Path(f"/proc/{process.pid}/task").iterdir()
        for line in (thread / "status").read_text().splitlines()
        if "ctxt_switches" in line
    )
    return Use(run / 1e9, switches)

"""P7: a thousand idle long polls on one process of the service.

The polls are of ten worker groups, unsigned, over connections that stay; each is made again when
its time is over, so that the CPU time has that too. Then pipelines of one task are activated one
by one. A wake-up is timed from when the task is ready by the store, which is when the transaction
that makes it so begins, to when the poll is answered: its commit is in it. What it takes from the
activation's call, with the planning, stands beside it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence

from bench import harness, stores
from bench.harness import MEGABYTE, Figure, Service
from bench.polling import UNACKNOWLEDGED, HandOuts, Line, first_hand_outs, with_pollers

POLLS, GROUPS, WAKE_UPS = 1_000, 10, 200
#: Longer than a poll is held, so that all of them end once and are made again.
IDLE_S = 90.0


def measure(
    polls: int = POLLS,
    wake_ups: int = WAKE_UPS,
    idle_s: float = IDLE_S,
    kinds: Sequence[str] = stores.STORES,
) -> Iterator[Figure]:
    for store in kinds:
        with stores.service(store, *UNACKNOWLEDGED) as service:
            rss, cpu = asyncio.run(idle(service, polls, idle_s))
            woken = asyncio.run(first_hand_outs(service, polls, GROUPS, wake_ups))
        what = f"{polls:,} idle long polls, {store}"
        yield Figure(
            id="P7",
            what=f"{what}: memory of the service",
            measured=f"{rss / MEGABYTE:.0f} MB",
            goal="<= 150 MB",
            met=rss <= 150 * MEGABYTE,
        )
        yield Figure(
            id="P7",
            what=f"{what}: CPU",
            measured=f"{100 * cpu:.1f} % of a core",
            goal="<= 5 %",
            met=cpu <= 0.05,
        )
        yield Figure(
            id="P7",
            what=f"{what}: from a task that is ready to a poll's answer, p99",
            measured=_told(woken.from_ready),
            goal="<= 50 ms",
            met=harness.percentile(woken.from_ready, 99) <= 0.05,
        )
        yield Figure(
            id="P7",
            what=f"{what}: from an activation's call to a poll's answer, p99",
            measured=_told(woken.from_call),
        )


def _told(took: Sequence[float]) -> str:
    p99, median = harness.percentile(took, 99), statistics.median(took)
    return f"{1000 * p99:.1f} ms (median {1000 * median:.1f} ms)"


async def idle(service: Service, polls: int, idle_s: float) -> tuple[float, float]:
    """Memory in bytes, and CPU time a second, while nothing happens but that polls are renewed."""

    async def rest(_line: Line, _got: HandOuts) -> tuple[float, float]:
        before, begin = harness.cpu_s(service.process), time.monotonic()
        await asyncio.sleep(idle_s)
        spent = harness.cpu_s(service.process) - before
        return service.process.memory_info().rss, spent / (time.monotonic() - begin)

    return await with_pollers(service, polls, GROUPS, rest)

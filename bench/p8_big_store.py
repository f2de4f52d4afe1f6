"""P8, P11, P12: the service on a store with a million instances, beside one with a thousand.

The instances are of one pipeline and wait for a time that does not come; they are written into the
store before the service starts. What is timed goes over HTTP, unsigned: a poll that brings a task,
a page of QueryObjects from the beginning, the middle and the end of the pipeline, with and without
a selector, and each page when all are listed (linear: as long as on the small store); how long the
list of pipelines, a pipeline's description and why it waits take; and the CPU time of the service
while nobody asks anything. Each of them on both kinds of store. The number of instances is
TASKRUNNER_BENCH_INSTANCES, if that is set.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.request import urlopen

from bench import big_store, harness, stores
from bench.big_store import PIPELINE, spec
from bench.harness import Figure, Service

SMALL, LARGE = 1_000, int(os.environ.get("TASKRUNNER_BENCH_INSTANCES", "1000000"))
POLLS, PAGES, IDLE_S = 200, 30, 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a store of one size costs: seconds."""

    poll_p99: float
    polls: float
    looks: dict[str, float]
    #: CPU time a second of the service while nobody asks anything, and with the server's.
    idle_cpu: float
    idle_cpu_of_all: float


def measure(
    large: int = LARGE, idle_s: float = IDLE_S, kinds: Sequence[str] = stores.STORES
) -> Iterator[Figure]:
    for store in kinds:
        yield from on(store, large, idle_s)


def on(store: str, large: int, idle_s: float) -> Iterator[Figure]:
    """The figures of one kind of store."""
    none, small, big = (costs(store, size, idle_s) for size in (0, SMALL, large))
    ratio = big.poll_p99 / small.poll_p99
    yield Figure(
        id="P8",
        what=f"{store}: poll p99 with {large:,} instances waiting, against {SMALL:,}",
        measured=f"{1000 * big.poll_p99:.1f} ms, {ratio:.2f}x (median "
        f"{1000 * big.polls:.1f} ms, {big.polls / small.polls:.2f}x)",
        goal="<= 2x",
        met=ratio <= 2,
    )
    for name, spent in big.looks.items():
        ratio = spent / small.looks[name]
        yield Figure(
            id="P11",
            what=f"{store}: {name}, of {large:,} instances",
            measured=f"{1000 * spent:.1f} ms, {ratio:.2f}x",
            goal="<= 2x",
            met=ratio <= 2,
        )
    ratio = big.idle_cpu / max(none.idle_cpu, 0.0005)
    yield Figure(
        id="P12",
        what=f"{store}: CPU of the idle service with {large:,} instances, against none",
        measured=f"{100 * big.idle_cpu:.2f} % of a core, {ratio:.2f}x (with what the database's "
        f"own processes take {100 * big.idle_cpu_of_all:.2f} %)",
        goal="<= 2x and <= 1 %",
        met=ratio <= 2 and big.idle_cpu <= 0.01,
    )


def costs(store: str, size: int, idle_s: float) -> Costs:
    """A service of its own on a store of so many instances."""
    with harness.folder() as home, stores.database(store) as url:
        big_store.fill(home, url, size)
        with harness.service(home, postgresql=url) as service:
            idle_cpu, idle_cpu_of_all = idle(service, idle_s)
            looks = {**pages(service, size), **overviews(service, size)}
            if size:
                looks["QueryObjects, all pages of a full listing, each"] = listing(service, size)
            took = polls(service)
    return Costs(
        idle_cpu=idle_cpu,
        idle_cpu_of_all=idle_cpu_of_all,
        looks=looks,
        poll_p99=harness.percentile(took, 99),
        polls=statistics.median(took),
    )


def idle(service: Service, idle_s: float) -> tuple[float, float]:
    """CPU time a second while nobody asks anything: the service's, and with the database's."""
    time.sleep(2)  # what a start has to do
    all_before = stores.all_cpu_s(service)
    before, begin = harness.cpu_s(service.process), time.monotonic()
    time.sleep(idle_s)
    spent, passed = harness.cpu_s(service.process) - before, time.monotonic() - begin
    return spent / passed, (stores.all_cpu_s(service) - all_before) / passed


def pages(service: Service, size: int) -> dict[str, float]:
    """How long a page takes, the median, by where it is and what is asked."""
    if not size:
        return {}
    waiting = {"type": "EQ", "values": ["WAITING_ON_DEPENDENCIES"]}
    selectors = [{"fieldName": "@status", "operator": waiting}]
    kinds: dict[str, dict[str, Any]] = {
        "QueryObjects, a page of 100 from the beginning": {},
        "QueryObjects, from the middle": {"marker": marker(size // 2)},
        "QueryObjects, from the last quarter": {"marker": marker(3 * size // 4)},
        "QueryObjects by status, from the middle": {
            "marker": marker(size // 2),
            "query": {"selectors": selectors},
        },
    }

    def page(more: dict[str, Any]) -> None:
        found = service.call("QueryObjects", pipelineId=PIPELINE, sphere="INSTANCE", **more)
        if len(found["ids"]) != 100:
            raise ValueError(f"found {len(found['ids'])} ids")

    return {
        name: statistics.median(timed(partial(page, more)) for _ in range(PAGES))
        for name, more in kinds.items()
    }


def listing(service: Service, size: int) -> float:
    """How long a page takes, the mean, when all instances are listed."""
    found, calls, more = 0, 0, dict[str, Any]()

    def page() -> bool:
        nonlocal found, calls
        reply = service.call("QueryObjects", pipelineId=PIPELINE, sphere="INSTANCE", **more)
        found, calls = found + len(reply["ids"]), calls + 1
        more["marker"] = reply.get("marker")
        return bool(reply["hasMoreResults"])

    begin = time.perf_counter()
    while page():
        pass
    took = time.perf_counter() - begin
    if found != size:
        raise ValueError(f"found {found} ids of {size}")
    return took / calls


def overviews(service: Service, size: int) -> dict[str, float]:
    """How long it takes to tell of the whole pipeline, the median."""
    if not size:
        return {}

    def get(path: str) -> None:
        with urlopen(f"{service.url}{path}") as reply:
            reply.read()

    asked: dict[str, Callable[[], object]] = {
        "DescribePipelines": partial(service.call, "DescribePipelines", pipelineIds=[PIPELINE]),
        "the list of pipelines": partial(get, "/v1/pipelines"),
        "why": partial(get, f"/v1/pipelines/{PIPELINE}/why"),
    }
    return {
        name: statistics.median(timed(ask) for _ in range(PAGES)) for name, ask in asked.items()
    }


def marker(number: int) -> str:
    """That of a page which ended with this instance."""
    made = spec(number)
    return f"{made.start.isoformat()} {made.instance_id}"


def polls(service: Service) -> list[float]:
    """How long each poll takes that brings a task."""
    pipeline = service.pipeline("polled", "bench", ["true"] * POLLS)
    service.activate(pipeline)
    time.sleep(3)  # until all are ready

    def poll() -> None:
        if "taskObject" not in service.call("PollForTask", workerGroup="bench"):
            raise ValueError("no task was ready")

    return [timed(poll) for _ in range(POLLS)]


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin

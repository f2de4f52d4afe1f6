"""P8, P11, P12: the service on a store with a million instances, beside one with a thousand.

The instances are of one pipeline and wait for a time that does not come; they are written into the
file before the service starts. What is timed goes over HTTP, unsigned: a poll that brings a task,
a page of QueryObjects from the beginning, the middle and the end of the pipeline, with and without
a selector; and the CPU time of the service while nobody asks anything.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench import harness
from bench.harness import Figure, Service
from taskrunner.model.codec import DEFINITION
from taskrunner.model.instances import Category, InstanceSpec, instance_id
from taskrunner.model.reader import read_definition
from taskrunner.model.states import PipelineState
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import PipelineRow

SMALL, LARGE = 1_000, 1_000_000
POLLS, PAGES, IDLE_S = 200, 30, 20.0
COMPONENTS = 20
AT_ONCE = 5_000
PIPELINE = "df-BIG"
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a store of one size costs: seconds."""

    poll_p99: float
    pages: dict[str, float]
    idle_cpu: float


def measure(large: int = LARGE, idle_s: float = IDLE_S) -> Iterator[Figure]:
    none, small, big = (costs(size, idle_s) for size in (0, SMALL, large))
    ratio = big.poll_p99 / small.poll_p99
    yield Figure(
        id="P8",
        what=f"poll p99 with {large:,} instances waiting, against {SMALL:,}",
        measured=f"{1000 * big.poll_p99:.1f} ms, {ratio:.2f}x",
        goal="<= 2x",
        met=ratio <= 2,
    )
    for name, spent in big.pages.items():
        ratio = spent / small.pages[name]
        yield Figure(
            id="P11",
            what=f"QueryObjects, a page of 100 of {large:,} instances, {name}",
            measured=f"{1000 * spent:.1f} ms, {ratio:.2f}x",
            goal="<= 2x",
            met=ratio <= 2,
        )
    ratio = big.idle_cpu / max(none.idle_cpu, 0.0005)
    yield Figure(
        id="P12",
        what=f"CPU of the idle service with {large:,} instances, against none",
        measured=f"{100 * big.idle_cpu:.2f} % of a core, {ratio:.2f}x",
        goal="<= 2x and <= 1 %",
        met=ratio <= 2 and big.idle_cpu <= 0.01,
    )


def costs(size: int, idle_s: float) -> Costs:
    """A service of its own on a store of so many instances."""
    with harness.folder() as home:
        fill(home / "service.db", size)
        with harness.service(home) as service:
            return Costs(
                idle_cpu=idle(service, idle_s),
                pages=pages(service, size),
                poll_p99=polls(service),
            )


def fill(path: Path, size: int) -> None:
    """A store with one pipeline whose instances all wait."""
    store = Store(f"sqlite:///{path}")
    now = datetime.now(UTC)
    row = PipelineRow(
        pipeline_id=PIPELINE,
        account=ANONYMOUS.account,
        user_id=ANONYMOUS.user,
        name="big",
        unique_id="big",
        description=None,
        tags=(),
        state=PipelineState.SCHEDULED,
        created_at=now,
    )
    with store.write() as conn:
        pipeline_store.insert_pipeline(conn, row)
        body = DEFINITION.encode(read_definition(definition()))
        pipeline_store.save_definition(conn, PIPELINE, 1, body, now)
        pipeline_store.update_pipeline(conn, PIPELINE, active_version=1, first_activated_at=now)
    for begin in range(0, size, AT_ONCE):
        with store.write() as conn:
            specs = [spec(number) for number in range(begin, min(size, begin + AT_ONCE))]
            instance_store.insert_instances(conn, PIPELINE, 1, specs, now)
    store.close()


def definition() -> str:
    objects = ['{"id": "Default", "scheduleType": "ondemand", "workerGroup": "nobody"}']
    objects += [
        f'{{"id": "A{n}", "type": "ShellCommandActivity", "command": "true"}}'
        for n in range(COMPONENTS)
    ]
    return f'{{"objects": [{", ".join(objects)}]}}'


def spec(number: int) -> InstanceSpec:
    component, start = f"A{number % COMPONENTS}", FAR + timedelta(minutes=number // COMPONENTS)
    return InstanceSpec(
        instance_id=instance_id(component, start),
        component_id=component,
        name=component,
        type="ShellCommandActivity",
        category=Category.ACTIVITY,
        start=start,
        end=start + timedelta(minutes=1),
        not_before=start,
        worker_group="nobody",
    )


def idle(service: Service, idle_s: float) -> float:
    """CPU time a second while nobody asks anything."""
    time.sleep(2)  # what a start has to do
    before, begin = harness.cpu_s(service.process), time.monotonic()
    time.sleep(idle_s)
    return (harness.cpu_s(service.process) - before) / (time.monotonic() - begin)


def pages(service: Service, size: int) -> dict[str, float]:
    """How long a page takes, the median, by where it is and what is asked."""
    if not size:
        return {}
    waiting = {"type": "EQ", "values": ["WAITING_ON_DEPENDENCIES"]}
    selectors = [{"fieldName": "@status", "operator": waiting}]
    kinds: dict[str, dict[str, Any]] = {
        "from the beginning": {},
        "from the middle": {"marker": marker(size // 2)},
        "from the last quarter": {"marker": marker(3 * size // 4)},
        "by status, from the middle": {
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


def marker(number: int) -> str:
    """That of a page which ended with this instance."""
    made = spec(number)
    return f"{made.start.isoformat()} {made.instance_id}"


def polls(service: Service) -> float:
    """The 99th percentile of polls that each bring a task."""
    pipeline = service.pipeline("polled", "bench", ["true"] * POLLS)
    service.activate(pipeline)
    time.sleep(3)  # until all are ready

    def poll() -> None:
        if "taskObject" not in service.call("PollForTask", workerGroup="bench"):
            raise ValueError("no task was ready")

    return harness.percentile([timed(poll) for _ in range(POLLS)], 99)


def timed(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin

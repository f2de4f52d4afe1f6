"""P9: a thousand pipelines of 20 activities that fall due at once.

Their one period begins at the same moment. Timed is from that moment until every instance is
planned, stored and ready to be handed out; CPU time is the service's own, and for PostgreSQL that
of the processes which work for it too. What one pipeline's activation takes until a poll that is
held is answered, goes over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import harness, stores
from bench.harness import Figure, Service
from bench.polling import UNACKNOWLEDGED, first_hand_outs

SIZES, ACTIVITIES, SAMPLES = (10, 100, 1_000), 20, 50
DEFAULT = {"scheduleType": "cron", "schedule": {"ref": "S"}, "workerGroup": "nobody"}
PERIOD = {"period": "1 day", "occurrences": "1"}
ACTIVITY = {"type": "ShellCommandActivity", "command": "true"}
RATE, LINEAR, FIRST_S = 2_000, 1.25, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What planning one size took."""

    instances: int
    wall_s: float
    cpu_s: float

    @property
    def each(self) -> float:
        return self.cpu_s / self.instances


def measure(
    sizes: Sequence[int] = SIZES,
    samples: int = SAMPLES,
    kinds: Sequence[str] = stores.STORES,
) -> Iterator[Figure]:
    for store in kinds:
        found = [plan(store, size) for size in sizes]
        largest, smallest = found[-1], found[0]
        rate, by_cpu = largest.instances / largest.wall_s, largest.instances / largest.cpu_s
        yield Figure(
            id="P9",
            what=f"{sizes[-1]:,} pipelines of {ACTIVITIES} activities due at once, {store}",
            measured=f"{rate:,.0f} instances/s; {by_cpu:,.0f} a second of CPU time",
            goal=f">= {RATE:,}/s",
            met=rate >= RATE,
        )
        ratio = largest.each / smallest.each
        each = ", ".join(f"{1000 * one.each:.2f}" for one in found)
        yield Figure(
            id="P9",
            what=f"CPU time an instance, {sizes[0]} to {sizes[-1]:,} pipelines, {store}",
            measured=f"{each} ms, {ratio:.2f}x",
            goal="linear",
            met=ratio <= LINEAR,
        )
        with stores.service(store, *UNACKNOWLEDGED) as service:
            took = asyncio.run(first_hand_outs(service, 1, 1, samples)).from_call
        median, p99 = statistics.median(took), harness.percentile(took, 99)
        yield Figure(
            id="P9",
            what=f"one pipeline's activation to its first hand-out, median, {store}",
            measured=f"{1000 * median:.1f} ms (p99 {1000 * p99:.1f} ms)",
            goal="<= 50 ms",
            met=median <= FIRST_S,
        )


def plan(store: str, pipelines: int) -> Planned:
    """Let so many pipelines fall due on an empty store."""
    with stores.service(store) as service:
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        # The first of a service warms it up; the second tells what each takes.
        spare = [create(service, -1, tomorrow)]
        began = time.monotonic()
        spare.append(create(service, 0, tomorrow))
        each_s = time.monotonic() - began
        # Far enough ahead that all of them are active before.
        due = datetime.now(UTC) + timedelta(seconds=max(3, round(2 * each_s * pipelines + 3)))
        due = due.replace(microsecond=0)
        for number in range(1, pipelines + 1):
            create(service, number, due)
        left = (due - datetime.now(UTC)).total_seconds()
        if left < 0:
            raise TimeoutError(f"{pipelines} pipelines were not active in time")
        for pipeline in spare:
            service.call("DeletePipeline", pipelineId=pipeline)
        time.sleep(max(0, left - 0.5))
        total = pipelines * ACTIVITIES
        cpu = stores.all_cpu_s(service)
        harness.until("all is ready", lambda: service.ready() >= total, 600)
        wall_s = (datetime.now(UTC) - due).total_seconds()
        return Planned(instances=total, wall_s=wall_s, cpu_s=stores.all_cpu_s(service) - cpu)


def create(service: Service, number: int, due: datetime) -> str:
    """An active pipeline with one period, which begins at `due`."""
    name = f"p{number}"
    pipeline: str = service.call("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
    begin = due.strftime("%Y-%m-%dT%H:%M:%S")
    objects: list[dict[str, Any]] = [
        {"id": "Default", **DEFAULT},
        {"id": "S", "type": "Schedule", **PERIOD, "startDateTime": begin},
        *({"id": f"A{n}", **ACTIVITY} for n in range(ACTIVITIES)),
    ]
    wire = [{"id": o["id"], "name": o["id"], "fields": [*_fields(o)]} for o in objects]
    reply = service.call("PutPipelineDefinition", pipelineId=pipeline, pipelineObjects=wire)
    if reply["errored"]:
        raise ValueError(json.dumps(reply))
    service.activate(pipeline)
    return pipeline


def _fields(given: dict[str, Any]) -> Iterator[dict[str, str]]:
    for key, value in given.items():
        if isinstance(value, dict):
            yield {"key": key, "refValue": value["ref"]}
        elif key != "id":
            yield {"key": key, "stringValue": value}

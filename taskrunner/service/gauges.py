"""What is looked at when somebody asks for the metrics: cheap, however large the store is."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import psutil

from taskrunner import __version__
from taskrunner.clock import Clock
from taskrunner.metrics import Sample, render
from taskrunner.service.meters import FAMILIES, Meters, shown_group
from taskrunner.service.store import due as due_store
from taskrunner.service.store import queue_depths
from taskrunner.service.store.database import Store

#: Whoever asks more often is told the same again, so that nobody loads the store by asking.
KEPT_S = 1.0
#: Groups that are told of by name, those with most work; the rest is one.
MOST_GROUPS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """What the edge knows at the moment."""

    polls_open: Callable[[], int]
    connections: Callable[[], int]
    connections_limit: int


class Gauges:
    """The metrics of one service process, as text."""

    def __init__(self, store: Store, meters: Meters, edge: Edge, clock: Clock) -> None:
        self._store, self._meters, self._edge, self._clock = store, meters, edge, clock
        self._begun = clock.monotonic()
        self._lock = threading.Lock()
        self._text, self._kept_until = "", self._begun

    def text(self) -> str:
        """Prometheus's text form. Raises StoreError."""
        with self._lock:
            now = self._clock.monotonic()
            if not self._text or now >= self._kept_until:
                self._text = render(self._samples(), FAMILIES)
                self._kept_until = now + KEPT_S
            return self._text

    def _samples(self) -> Iterator[Sample]:
        yield Sample("taskrunner_service_build_info", 1, (("version", __version__),))
        yield Sample("taskrunner_service_up_seconds", self._clock.monotonic() - self._begun)
        yield Sample("taskrunner_polls_open", self._edge.polls_open())
        yield Sample("taskrunner_connections", self._edge.connections())
        yield Sample("taskrunner_connections_limit", self._edge.connections_limit)
        yield from self._of_store(self._clock.now())
        yield from self._meters.samples()
        yield from _of_process()

    def _of_store(self, now: datetime) -> Iterator[Sample]:
        with self._store.read() as conn:
            depths = queue_depths.depths(conn, now)
            due = due_store.next_due(conn)
            pending = queue_depths.alarms_pending(conn)
            dead = queue_depths.alarms_dead(conn)
        lag = 0.0 if due is None else max(0.0, (now - due).total_seconds())
        yield Sample("taskrunner_scheduler_lag_seconds", lag)
        yield Sample("taskrunner_alarms_pending", pending)
        yield Sample("taskrunner_alarms_dead", dead)
        yield from _queues(depths, now)


def _queues(depths: list[queue_depths.Depth], now: datetime) -> Iterator[Sample]:
    waiting: dict[str, int] = defaultdict(int)
    oldest: dict[str, float] = defaultdict(float)
    for place, depth in enumerate(sorted(depths, key=lambda depth: -depth.tasks)):
        group = shown_group(depth.worker_group) if place < MOST_GROUPS else "other"
        waiting[group] += depth.tasks
        age = max(0.0, (now - depth.oldest_at).total_seconds())
        oldest[group] = max(oldest[group], age)
    for group, tasks in waiting.items():
        labels = (("worker_group", group),)
        yield Sample("taskrunner_queue_depth", tasks, labels)
        yield Sample("taskrunner_queue_oldest_seconds", oldest[group], labels)


def _of_process() -> Iterator[Sample]:
    own = psutil.Process()
    with own.oneshot():
        cpu, (most, _) = own.cpu_times(), own.rlimit(psutil.RLIMIT_NOFILE)
        yield Sample("process_resident_memory_bytes", own.memory_info().rss)
        yield Sample("process_cpu_seconds_total", cpu.user + cpu.system)
        yield Sample("process_open_fds", own.num_fds())
        yield Sample("process_max_fds", most)
        yield Sample("process_start_time_seconds", own.create_time())

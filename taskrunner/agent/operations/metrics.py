"""Counts of what the agent did, and Prometheus's text form of them.

By hand: the client library would cost an idle agent memory for what is 40 lines here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """What one metric means."""

    kind: str
    help: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric; labels in the order in which they are shown."""

    name: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


#: Every metric that the agent has; names are a stable interface.
FAMILIES: Mapping[str, Family] = {
    "taskrunner_build_info": Family("gauge", "Version of the agent; always 1."),
    "taskrunner_up_seconds": Family("gauge", "How long the agent runs."),
    "taskrunner_phase": Family("gauge", "1 for the phase the agent is in."),
    "taskrunner_paused": Family("gauge", "1 for each reason why no work is taken."),
    "taskrunner_slots": Family("gauge", "How many tasks may run at once."),
    "taskrunner_tasks_running": Family("gauge", "Tasks that have a slot now."),
    "taskrunner_tasks_finishing": Family(
        "gauge", "Of these, tasks whose work has ended and whose logs and verdict go out."
    ),
    "taskrunner_tasks_started_total": Family("counter", "Tasks begun, by object type."),
    "taskrunner_tasks_ended_total": Family(
        "counter", "Tasks ended, by object type, result and errorId."
    ),
    "taskrunner_task_seconds_total": Family("counter", "Time that ended tasks took, by type."),
    "taskrunner_polls_total": Family("counter", "Polls answered, by worker group and outcome."),
    "taskrunner_poll_seconds_total": Family("counter", "Time that polls took, by worker group."),
    "taskrunner_poll_age_seconds": Family(
        "gauge", "Time since a poll was last answered (or the start), by worker group."
    ),
    "taskrunner_api_calls_total": Family("counter", "Calls of the API, by operation and outcome."),
    "taskrunner_leases_lost_total": Family("counter", "Tasks ended since nobody took reports."),
    "taskrunner_verdicts_unsent": Family("gauge", "Verdicts that the service has yet to take."),
    "taskrunner_logs_queued": Family("gauge", "Log files that are still to be uploaded."),
    "taskrunner_logs_kept": Family("gauge", "Attempts whose logs are kept on this host."),
    "taskrunner_logs_kept_bytes": Family("gauge", "Space that those logs take."),
    "taskrunner_disk_free_bytes": Family("gauge", "Free space of the work folder's disk."),
    "taskrunner_disk_floor_bytes": Family("gauge", "Free space below which no work is taken."),
    "taskrunner_disk_total_bytes": Family("gauge", "Size of the work folder's disk."),
    "process_resident_memory_bytes": Family("gauge", "Memory of the agent's main process."),
    "process_cpu_seconds_total": Family("counter", "CPU time of the agent's main process."),
    "process_open_fds": Family("gauge", "Open descriptors of the agent's main process."),
    "process_max_fds": Family("gauge", "How many descriptors it may have open."),
    "process_start_time_seconds": Family("gauge", "When it started, in seconds since 1970."),
}


#: Types and errorIds come from definitions and plugins: whoever writes them must not fill memory.
_MOST_SERIES = 2000
_OTHER = "other"


class Counters:
    """Sums by name and labels; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count; `name` is one of FAMILIES."""
        key = (name, tuple(labels.items()))
        with self._lock:
            if len(self._values) >= _MOST_SERIES and key not in self._values:
                key = (name, tuple((label, _OTHER) for label in labels))
            self._values[key] = self._values.get(key, 0.0) + amount

    def samples(self) -> list[Sample]:
        """Every sum as it is now."""
        with self._lock:
            return [Sample(name, value, labels) for (name, labels), value in self._values.items()]


def render(samples: Iterable[Sample]) -> str:
    """The samples in Prometheus's text format, version 0.0.4."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    lines = []
    for name, family in FAMILIES.items():
        if found := by_name.pop(name, None):
            lines += [f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}"]
            lines += map(_line, found)
    assert not by_name, f"metrics without a family: {sorted(by_name)}"  # noqa: S101
    return "\n".join(lines) + "\n"


def _line(sample: Sample) -> str:
    labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels)
    return (
        f"{sample.name}{{{labels}}} {sample.value!r}"
        if labels
        else (f"{sample.name} {sample.value!r}")
    )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

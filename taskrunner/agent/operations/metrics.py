"""What the agent counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from taskrunner import metrics
from taskrunner.metrics import Family, Sample

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


def render(samples: Iterable[Sample]) -> str:
    """The samples in Prometheus's text format."""
    return metrics.render(samples, FAMILIES)

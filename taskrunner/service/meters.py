"""What the service counts as it works; `gauges` has what is looked at when somebody asks.

Names and labels are a stable interface (docs/operate.md).
"""

from __future__ import annotations

from collections.abc import Mapping

from taskrunner.metrics import Counters, Family, Histogram, Sample

#: Of transactions: a millisecond is usual, a second is a fault.
_STORE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

FAMILIES: Mapping[str, Family] = {
    "taskrunner_service_build_info": Family("gauge", "Version of the service; always 1."),
    "taskrunner_service_up_seconds": Family("gauge", "How long the service runs."),
    "taskrunner_queue_depth": Family("gauge", "Tasks that wait for a runner, by worker group."),
    "taskrunner_queue_oldest_seconds": Family(
        "gauge", "How long the oldest of them has waited, by worker group."
    ),
    "taskrunner_polls_open": Family("gauge", "Polls that wait for work, of this process."),
    "taskrunner_connections": Family("gauge", "Connections that are held, of this process."),
    "taskrunner_connections_limit": Family("gauge", "How many there may be."),
    "taskrunner_scheduler_lag_seconds": Family(
        "gauge", "How long what is due has waited to be decided about; 0 when nothing has."
    ),
    "taskrunner_alarms_pending": Family("gauge", "Alarms that are still to be sent."),
    "taskrunner_alarms_dead": Family("gauge", "Alarms that were given up: nobody got them."),
    "taskrunner_handouts_total": Family("counter", "Tasks handed out, by worker group."),
    "taskrunner_handouts_given_back_total": Family(
        "counter", "Of these, those whose poll had gone: they are handed out anew."
    ),
    "taskrunner_handouts_unacknowledged_total": Family(
        "counter", "Of these, those that no runner has acknowledged in time."
    ),
    "taskrunner_leases_lost_total": Family(
        "counter", "Attempts that failed since their runner fell silent."
    ),
    "taskrunner_verdicts_total": Family("counter", "Verdicts that were taken, by status."),
    "taskrunner_alarms_total": Family(
        "counter", "What became of alarms: SENT, LOGGED, RETRIED, FAILED."
    ),
    "taskrunner_api_requests_total": Family("counter", "Calls answered, by operation and code."),
    "taskrunner_api_request_seconds": Family(
        "histogram", "Time to answer a call, by operation; polls are not in it.", _CALL_S
    ),
    "taskrunner_store_transaction_seconds": Family(
        "histogram", "Time of a transaction, waiting for its turn included.", _STORE_S
    ),
    "process_resident_memory_bytes": Family("gauge", "Memory of the service's process."),
    "process_cpu_seconds_total": Family("counter", "CPU time of the service's process."),
    "process_open_fds": Family("gauge", "Open descriptors of the service's process."),
    "process_max_fds": Family("gauge", "How many descriptors it may have open."),
    "process_start_time_seconds": Family("gauge", "When it started, in seconds since 1970."),
}


class Meters:
    """The counts of one service process; safe for threads."""

    def __init__(self) -> None:
        self._counters = Counters()
        self._calls = self._histogram("taskrunner_api_request_seconds")
        self._store = self._histogram("taskrunner_store_transaction_seconds")

    def _histogram(self, name: str) -> Histogram:
        return Histogram(name, FAMILIES[name])

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count; `name` is one of FAMILIES."""
        self._counters.add(name, amount, **labels)

    def add_all(self, counted: Mapping[str, int]) -> None:
        """Count several, once what they are about is committed."""
        for name, amount in counted.items():
            self.add(name, amount)

    def handed_out(self, worker_group: str) -> None:
        """A task has gone to a runner."""
        self.add("taskrunner_handouts_total", worker_group=shown_group(worker_group))

    def answered(self, operation: str, code: str, seconds: float | None) -> None:
        """A call was answered; None: how long it took says nothing."""
        self.add("taskrunner_api_requests_total", operation=operation, code=code)
        if seconds is not None:
            self._calls.observe(seconds, operation=operation)

    def transacted(self, kind: str, seconds: float) -> None:
        """A transaction of the store has ended."""
        self._store.observe(seconds, kind=kind)

    def samples(self) -> list[Sample]:
        """Everything as it is now."""
        return [*self._counters.samples(), *self._calls.samples(), *self._store.samples()]


def shown_group(worker_group: str) -> str:
    """A worker group as a label: those of single resources, which come and go, are one."""
    return "resource:*" if worker_group.startswith("resource:") else worker_group

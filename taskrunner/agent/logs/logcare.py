"""What the agent does about logs while it runs: parts, tidying up, its own log."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.agent.lifecycle import Threads
from taskrunner.agent.logs.agentlog import AgentLogs, HourlyLog, place
from taskrunner.agent.logs.janitor import Janitor, Retention
from taskrunner.agent.logs.logparts import LogParts
from taskrunner.agent.logs.shipping import LogShipper
from taskrunner.agent.operations.disk import DiskWatch
from taskrunner.agent.operations.running_tasks import RunningTasks
from taskrunner.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How logs are kept and pushed."""

    #: Seconds between two parts of a running task's log; 0: none.
    interval_s: float = 60.0
    retention: Retention = field(default_factory=Retention)
    #: Takes the agent's own log; None: it goes to stderr only.
    own: HourlyLog | None = None


class LogCare:
    """Made with the agent's parts; its loops end with the agent."""

    def __init__(
        self,
        settings: LogSettings,
        *,
        work_dir: Path,
        log_uri: str | None,
        hostname: str,
        shipper: LogShipper,
        running_tasks: RunningTasks,
        disk: DiskWatch,
        clock: Clock,
    ) -> None:
        journal = work_dir / "journal"
        self._shipper = shipper
        self.parts = LogParts(shipper, clock, settings.interval_s)
        self.janitor = Janitor(
            work_dir / "output",
            journal / "kept",
            clock,
            settings.retention,
            in_use=lambda: _in_use(running_tasks),
            disk_is_low=disk.is_low,
        )
        self.own: AgentLogs | None = None
        if settings.own is not None:
            self.own = AgentLogs(
                settings.own,
                work_dir / "output" / "logs",
                shipper=shipper,
                log_uri=place(log_uri, hostname, journal / "name") if log_uri else None,
                state=journal / "own-logs",
                keep_days=settings.retention.days,
                clock=clock,
            )

    def start(self, threads: Threads, closing: threading.Event) -> None:
        """Start the loops."""
        threads.start("shipper", lambda: self._shipper.end_when_idle(closing))
        threads.start("log-parts", lambda: self.parts.loop(closing))
        threads.start("janitor", lambda: self.janitor.loop(closing))
        if (own := self.own) is not None:
            threads.start("own-log", lambda: own.loop(closing))

    def change(self, interval_s: float, retention: Retention) -> None:
        """Take over settings that can change; tasks that run keep the interval they have."""
        self.parts.interval_s = interval_s
        self.janitor.retention = retention
        if self.own is not None:
            self.own.keep_days = retention.days

    def finish(self) -> None:
        """The agent ends: have its own log pushed."""
        if self.own is not None:
            self.own.push_all()


def _in_use(running_tasks: RunningTasks) -> Collection[Path]:
    return {running.entry.files.log_dir for running in running_tasks.running()}

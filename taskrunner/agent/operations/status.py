"""What the agent can tell of itself at a moment: for `taskrunner status`, probes and metrics."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from taskrunner import __version__
from taskrunner.agent.ipc.progress import progress_of
from taskrunner.agent.operations.calls import PollState
from taskrunner.agent.operations.disk import DiskWatch
from taskrunner.agent.operations.running_tasks import RunningTask, RunningTasks
from taskrunner.agent.polling.gate import Gate
from taskrunner.clock import Clock
from taskrunner.metrics import Counters, Sample

#: The main loop turns every few seconds; one that has not for so long never will.
_LONGEST_TURN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What does not change while the agent runs."""

    endpoint: str
    worker_groups: tuple[str, ...]
    slots: int
    taskrunner_id: str
    work_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The changing state that the agent's parts report."""

    phase: str
    polls_stuck: bool
    verdicts_unsent: int
    logs_queued: int
    #: What this host keeps of logs though nobody waits for them: attempts, bytes.
    logs_kept: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of a probe: healthy or not, with the reasons."""

    ok: bool
    why: str = "ok"


class Reporting:
    """Puts what the parts know together. Called from several threads; changes nothing."""

    def __init__(
        self,
        agent_facts: AgentFacts,
        *,
        gate: Gate,
        running_tasks: RunningTasks,
        polls: Mapping[str, PollState],
        asking: Mapping[str, float],
        counters: Counters,
        disk: DiskWatch,
        clock: Clock,
    ) -> None:
        self.agent_facts = agent_facts
        self._gate = gate
        self._running_tasks = running_tasks
        self._polls = polls
        self._asking = asking
        self._counters = counters
        self._disk = disk
        self._clock = clock
        self._started_at = clock.now()
        self._started = clock.monotonic()
        self._turned = self._started

    def turned(self) -> None:
        """Note that the main loop has run once more."""
        self._turned = self._clock.monotonic()

    def status(self, facts: Facts) -> dict[str, Any]:
        """Everything, as JSON has it."""
        agent_facts, running = self.agent_facts, self._running_tasks.running()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "phase": facts.phase,
            "started": _iso(self._started_at),
            "uptime_s": self._since(self._started),
            "endpoint": agent_facts.endpoint,
            "taskrunner_id": agent_facts.taskrunner_id,
            "work_dir": agent_facts.work_dir,
            "slots": {"total": agent_facts.slots, "busy": len(running)},
            "paused": [
                {"by": who, "why": closure.why, "since": _iso(closure.since)}
                for who, closure in self._gate.closures.items()
            ],
            "tasks": [self._task(running) for running in running],
            "polls": {group: self._poll(group) for group in agent_facts.worker_groups},
            "verdicts_unsent": facts.verdicts_unsent,
            "logs_queued": facts.logs_queued,
            "logs_kept": dict(zip(("attempts", "bytes"), facts.logs_kept, strict=True)),
            "disk": self._disk_status(),
            "live": self.live(facts).why,
            "ready": self.ready(facts).why,
        }

    def live(self, facts: Facts) -> Health:
        """Whether the main loop and the polls move within their deadlines."""
        if facts.polls_stuck:
            return Health(False, "a poll has outlived its deadline")
        idle = self._since(self._turned)
        if idle > _LONGEST_TURN_S:
            return Health(False, f"the main loop has not come round for {idle:.0f} s")
        return Health(True)

    def ready(self, facts: Facts) -> Health:
        """Whether work would be taken: not on the way out, not paused, the service answers."""
        if facts.phase != "running":
            return Health(False, f"the agent is {facts.phase}")
        for who, closure in self._gate.closures.items():
            return Health(False, f"paused by {who}: {closure.why}")
        polls = list(self._polls.values())
        if polls and not any(poll.answered for poll in polls):
            return Health(False, f"no worker group's poll is answered: {polls[0].error}")
        return Health(True)

    def samples(self, facts: Facts) -> Sequence[Sample]:
        """Every metric as it is now."""
        agent_facts, disk = self.agent_facts, self._disk_status()
        version = (("version", __version__), ("python", sys.version.partition(" ")[0]))
        running = self._running_tasks.running()
        values: dict[str, float] = {
            "taskrunner_up_seconds": self._since(self._started),
            "taskrunner_slots": agent_facts.slots,
            "taskrunner_tasks_running": len(running),
            "taskrunner_tasks_finishing": sum(p.entry.verdict is not None for p in running),
            "taskrunner_verdicts_unsent": facts.verdicts_unsent,
            "taskrunner_logs_queued": facts.logs_queued,
            **(
                {
                    f"taskrunner_disk_{k}": disk[k]
                    for k in ("free_bytes", "floor_bytes", "total_bytes")
                }
            ),
            "taskrunner_logs_kept": facts.logs_kept[0],
            "taskrunner_logs_kept_bytes": facts.logs_kept[1],
            **_process(),
        }
        ages = [
            Sample("taskrunner_poll_age_seconds", self._poll_age(group), (("worker_group", group),))
            for group in agent_facts.worker_groups
        ]
        reasons = [Sample("taskrunner_paused", 1, (("by", who),)) for who in self._gate.closures]
        return [
            Sample("taskrunner_build_info", 1, version),
            Sample("taskrunner_phase", 1, (("phase", facts.phase),)),
            *(Sample(name, value) for name, value in values.items()),
            *ages,
            *reasons,
            *self._counters.samples(),
        ]

    def _task(self, running: RunningTask) -> dict[str, Any]:
        return {
            "pipeline_id": running.task.pipeline_id,
            "attempt_id": running.task.attempt_id,
            "type": running.type,
            "since": _iso(running.since),
            "elapsed_s": self._since(running.started),
            "state": "logs and verdict" if running.entry.verdict else "running",
            "progress": progress_of(running.entry.files),
        }

    def _poll_age(self, group: str) -> float:
        """Since the last answer; without one, since the start."""
        poll = self._polls.get(group)
        answered = poll.answered_last if poll else None
        return self._since(self._started if answered is None else answered)

    def _poll(self, group: str) -> dict[str, Any]:
        poll, asked = self._polls.get(group), self._asking.get(group)
        asking = {} if asked is None else {"asking_s": self._since(asked)}
        if poll is None:
            return {"outcome": "none yet", **asking}
        return {
            **asking,
            "outcome": poll.outcome,
            "at": _iso(poll.ended_at),
            "age_s": self._since(poll.ended),
            "error": poll.error,
        }

    def _disk_status(self) -> dict[str, Any]:
        space = self._disk.look()
        if space is None:
            return {"free_bytes": 0, "total_bytes": 0, "floor_bytes": 0, "inodes_free": None}
        return {
            "free_bytes": space.free,
            "total_bytes": space.total,
            "floor_bytes": self._disk.floor.of(space.total),
            "inodes_free": space.inodes_free,
        }

    def _since(self, moment: float) -> float:
        return round(self._clock.monotonic() - moment, 1)


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _process() -> dict[str, float]:
    import psutil  # not before somebody asks

    own = psutil.Process()
    with own.oneshot():
        cpu, (most_fds, _) = own.cpu_times(), own.rlimit(psutil.RLIMIT_NOFILE)
        return {
            "process_resident_memory_bytes": own.memory_info().rss,
            "process_cpu_seconds_total": cpu.user + cpu.system,
            "process_open_fds": own.num_fds(),
            "process_max_fds": most_fds,
            "process_start_time_seconds": own.create_time(),
        }

"""What the agent is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskrunner.agent.handouts.attempt import AttemptRules
from taskrunner.agent.logs.logcare import LogSettings
from taskrunner.agent.operations.operations import OperationsSettings
from taskrunner.agent.operations.status import AgentFacts
from taskrunner.config.settings import Settings
from taskrunner.host.cgroups import Groups
from taskrunner.tracing import Tracing

#: What systemd allows for the logs of the last tasks and for the flush.
_LAST_UPLOADS_S = 50.0
#: How long the last verdicts may take to go out; what remains is in the journal.
FLUSH_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What the agent is told; everything else is passed in as an object."""

    #: The operator's settings, as they are in force: a reload changes some of them.
    config: Settings
    taskrunner_id: str
    hostname: str
    #: The process with which the agent ends; None: it ends when it is told to.
    parent: int | None = None
    #: Where attempts have control groups of their own; None: nowhere here.
    groups: Groups | None = None
    logs: LogSettings = field(default_factory=LogSettings)
    #: The user of each worker group's commands; of others they run as the agent's own.
    users: Mapping[str, str] = field(default_factory=dict)
    rules: AttemptRules = field(default_factory=AttemptRules)
    operations: OperationsSettings = field(default_factory=OperationsSettings)
    #: Who is told of attempts, as spans.
    tracing: Tracing = field(default_factory=Tracing)

    @property
    def longest_stop_s(self) -> float:
        """How long a stop may take: drain, end of what runs, last logs and verdicts."""
        return self.config.drain_timeout + 2 * self.rules.kill_grace_s + _LAST_UPLOADS_S

    @property
    def last_words_s(self) -> float:
        """Seconds that verdicts wait for their logs after the drain or a second stop."""
        return 2 * self.rules.kill_grace_s + _LAST_UPLOADS_S - FLUSH_S

    @property
    def agent_facts(self) -> AgentFacts:
        """What operators are told of it."""
        return AgentFacts(
            endpoint=self.operations.endpoint,
            worker_groups=self.config.worker_group,
            slots=self.config.tasks,
            taskrunner_id=self.taskrunner_id,
            work_dir=str(self.config.work_dir),
        )

    @property
    def output(self) -> Path:
        """AWS Task Runner's folder of logs and scratch files."""
        return self.config.work_dir / "output"

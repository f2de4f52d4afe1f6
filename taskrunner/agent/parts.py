"""Makes the agent's parts and connects them; how they work together is decided in `agent`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from taskrunner.agent.agent_settings import AgentSettings
from taskrunner.agent.forks.children import Children
from taskrunner.agent.handouts.attempt import AttemptServices
from taskrunner.agent.handouts.host_deadline import HostDeadline
from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.lifecycle import Threads
from taskrunner.agent.logs.logcare import LogCare
from taskrunner.agent.logs.shipping import LogShipper
from taskrunner.agent.operations.operations import Handles, Operations
from taskrunner.agent.operations.status import Facts
from taskrunner.agent.polling.gate import Gate
from taskrunner.agent.polling.heartbeat import Heartbeat
from taskrunner.agent.polling.poller import Poller
from taskrunner.agent.polling.turns import Turns
from taskrunner.clock import Clock
from taskrunner.errors import NotAuthorized
from taskrunner.model.task import Task
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.user_agent import RunnerFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """How the parts reach the agent; each is safe to call from any thread."""

    #: Runs a task that was handed out; returns when the slot is free again.
    run: Callable[[Task], None]
    refused: Callable[[NotAuthorized], None]
    #: The service wants the agent to end.
    terminate: Callable[[], None]
    handles: Handles


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an agent is made of besides its own loop."""

    operations: Operations
    services: AttemptServices
    poller: Poller
    heartbeat: Heartbeat
    care: LogCare

    def facts(self, phase: str) -> Facts:
        """A snapshot of the parts' state, for status, probes and metrics."""
        return Facts(
            phase=phase,
            polls_stuck=self.poller.stuck(),
            verdicts_unsent=self.services.outbox.pending(),
            logs_queued=self.services.shipper.waiting(),
            logs_kept=self.care.janitor.kept,
        )


def make_parts(
    settings: AgentSettings,
    hooks: Hooks,
    *,
    api: RunnerApi,
    children: Children,
    threads: Threads,
    clock: Clock,
) -> Parts:
    """Make all parts without starting them. All their calls to the service are counted."""
    operations = Operations(
        settings.operations,
        settings.agent_facts,
        api=api,
        on_not_authorized=hooks.refused,
        handles=hooks.handles,
        clock=clock,
    )
    watched = operations.api
    shipper = LogShipper(children, threads, clock)
    care = _care(settings, shipper, operations, clock)
    services = AttemptServices(
        api=watched,
        spawner=children,
        shipper=shipper,
        outbox=Outbox(watched, clock, lease_s=settings.rules.lease_s),
        threads=threads,
        clock=clock,
        rules=settings.rules,
        stopping=threading.Event(),
        canceling=threading.Event(),
        host_deadline=HostDeadline(clock),
        groups=settings.groups,
        parts=care.parts,
        janitor=care.janitor,
        tracing=settings.tracing,
    )
    poller = _poller(settings, watched, hooks, services, operations.gate)
    heartbeat = _heartbeat(settings, watched, hooks, clock)
    operations.gate.changed = heartbeat.wake  # a pause is told, for no poll tells it
    api.introduction.facts = partial(_runner_facts, settings, poller, operations.gate)
    return Parts(
        operations=operations, services=services, poller=poller, heartbeat=heartbeat, care=care
    )


def _poller(
    settings: AgentSettings, api: RunnerApi, hooks: Hooks, services: AttemptServices, gate: Gate
) -> Poller:
    config = settings.config
    return Poller(
        api,
        Turns(config.worker_group, config.group_weights, slots=config.tasks),
        hostname=settings.hostname,
        run=hooks.run,
        stopping=services.stopping,
        clock=services.clock,
        gate=gate,
    )


def _runner_facts(settings: AgentSettings, poller: Poller, gate: Gate) -> RunnerFacts:
    """What each call says of the agent."""
    return RunnerFacts(
        runner_id=settings.taskrunner_id,
        slots=settings.config.tasks,
        busy=poller.busy,
        groups=settings.config.worker_group,
        paused="; ".join(f"{who}: {closure.why}" for who, closure in gate.closures.items()),
    )


def _care(
    settings: AgentSettings, shipper: LogShipper, operations: Operations, clock: Clock
) -> LogCare:
    return LogCare(
        settings.logs,
        work_dir=settings.config.work_dir,
        log_uri=settings.config.log_uri,
        hostname=settings.hostname,
        shipper=shipper,
        running_tasks=operations.running_tasks,
        disk=operations.disk,
        clock=clock,
    )


def _heartbeat(settings: AgentSettings, api: RunnerApi, hooks: Hooks, clock: Clock) -> Heartbeat:
    return Heartbeat(
        api,
        settings.config.worker_group,
        taskrunner_id=settings.taskrunner_id,
        hostname=settings.hostname,
        interval_s=settings.config.heartbeat_interval,
        on_terminate=hooks.terminate,
        clock=clock,
    )

"""The operators' side of the agent: pausing, the control socket, the probes, free disk space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskrunner.agent.lifecycle import Threads
from taskrunner.agent.operations.calls import WatchedCalls
from taskrunner.agent.operations.control import ControlServer
from taskrunner.agent.operations.disk import DiskWatch
from taskrunner.agent.operations.metrics import render
from taskrunner.agent.operations.running_tasks import RunningTasks
from taskrunner.agent.operations.status import AgentFacts, Facts, Reporting
from taskrunner.agent.polling.gate import OPERATOR, Gate
from taskrunner.clock import Clock
from taskrunner.config.kinds import Address, Space
from taskrunner.errors import NotAuthorized
from taskrunner.logs import get_logger
from taskrunner.metrics import Counters
from taskrunner.wire.runner import RunnerApi

log = get_logger()


_NO_FLOOR = Space(size=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsSettings:
    """How the agent is watched."""

    endpoint: str = ""
    min_free_disk: Space = _NO_FLOOR
    health_listen: Address | None = None
    #: systemd's folder for sockets; None: the work folder.
    runtime_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handles:
    """What an operator may have the agent do; each is safe to call from any thread."""

    facts: Callable[[], Facts]
    drain: Callable[[str], None]
    cancel: Callable[[str], None]


class Operations:
    """Made with the agent, started with its loops."""

    def __init__(
        self,
        settings: OperationsSettings,
        agent_facts: AgentFacts,
        *,
        api: RunnerApi,
        on_not_authorized: Callable[[NotAuthorized], None],
        handles: Handles,
        clock: Clock,
    ) -> None:
        work_dir = Path(agent_facts.work_dir)
        counters = Counters()
        self._settings = settings
        self._handles = handles
        self._clock = clock
        self.gate = Gate(clock)
        self.running_tasks = RunningTasks(clock, counters)
        self.calls = WatchedCalls(
            api.call,
            clock=clock,
            counters=counters,
            on_not_authorized=on_not_authorized,
            on_first_answer=self._answered,
        )
        #: The service's calls, watched; the agent's parts call through it.
        self.api = api.over(self.calls.call)
        self.disk = DiskWatch(work_dir, settings.min_free_disk, self.gate, clock)
        self.reporting = Reporting(
            agent_facts,
            gate=self.gate,
            running_tasks=self.running_tasks,
            polls=self.calls.polls,
            asking=self.calls.asking,
            counters=counters,
            disk=self.disk,
            clock=clock,
        )
        self._control: ControlServer | None = None
        self._commands: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
            "status": lambda _request: self.reporting.status(handles.facts()),
            "pause": self._pause_asked,
            "resume": self._resume_asked,
            "drain": self._drain_asked,
        }

    def _answered(self) -> None:
        """For who has started it in a terminal: so far so good, and where."""
        facts = self.reporting.agent_facts
        log.info(
            "the service answers: polling for tasks",
            service=facts.endpoint,
            worker_groups=list(facts.worker_groups),
        )

    def start(self, threads: Threads) -> None:
        """Open the socket and, if asked for, the port. Raises ConfigError for a port in use."""
        self.disk.tick()
        try:
            self._control = ControlServer(
                Path(self.reporting.agent_facts.work_dir),
                self._commands,
                clock=self._clock,
                runtime_dir=self._settings.runtime_dir,
            )
        except OSError as error:
            # Work can be done without: nobody can ask how it goes, that is all.
            log.warning("no control socket: status and pause will not work", error=str(error))
        else:
            threads.start("control", self._control.loop)
        if self._settings.health_listen is not None:
            self._serve_health(self._settings.health_listen, threads)

    def tick(self) -> None:
        """Once a second, from the agent's main loop."""
        self.reporting.turned()
        self.disk.tick()

    def close(self) -> None:
        """The agent has ended: nobody is to ask it any more."""
        if self._control is not None:
            self._control.close()

    def pause(self, why: str) -> bool:
        """Take no more work; what runs goes on. Returns whether that is news."""
        new = self.gate.shut(OPERATOR, why)
        log.info("paused: no more tasks are taken", why=why)
        return new

    def resume(self, why: str) -> bool:
        """Take work again; returns whether an operator had paused."""
        resumed = self.gate.open(OPERATOR)
        if resumed:
            log.info("resumed", why=why, still_shut_by=list(self.gate.closures))
        return resumed

    def _pause_asked(self, request: Mapping[str, Any]) -> object:
        note = request.get("note")
        why = note if isinstance(note, str) and note else "taskrunner pause"
        return {"paused": self.pause(why), "running": len(self.running_tasks.running())}

    def _resume_asked(self, _request: Mapping[str, Any]) -> object:
        resumed = self.resume("taskrunner resume")
        left = [{"by": who, "why": c.why} for who, c in self.gate.closures.items()]
        return {"resumed": resumed, "paused": left}

    def _drain_asked(self, request: Mapping[str, Any]) -> object:
        running = len(self.running_tasks.running())
        act = self._handles.cancel if request.get("now") is True else self._handles.drain
        act("taskrunner drain")
        return {"running": running}

    def _serve_health(self, address: Address, threads: Threads) -> None:
        # Here, since most agents do without it: it is half a megabyte.
        from taskrunner.agent.operations.health import HealthServer, Probes

        facts, reporting = self._handles.facts, self.reporting
        server = HealthServer(
            address,
            Probes(
                live=lambda: reporting.live(facts()),
                ready=lambda: reporting.ready(facts()),
                metrics=lambda: render(reporting.samples(facts())),
            ),
        )
        threads.start("health", server.loop)
        log.info("health is served", address=str(server.address))


def runtime_dir(environ: Mapping[str, str]) -> Path | None:
    """The first folder of RuntimeDirectory= in the unit, if there is one."""
    given = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(given) if given else None

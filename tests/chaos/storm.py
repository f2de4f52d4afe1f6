"""A service, its agents and what befalls them: all of them real processes, under one hand."""

from __future__ import annotations

import random
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from taskrunner.clock import SystemClock
from tests.chaos.audit import Ledger
from tests.chaos.checker import Evidence, Handout, Violation, check
from tests.chaos.history import History
from tests.chaos.hosts import PATIENCE_S, Host, pause_for, program
from tests.chaos.proxy import Call, FaultProxy, fault_proxy
from tests.chaos.work import (
    GROUP,
    FolderOutputs,
    S3Outputs,
    Watcher,
    definition,
    effects,
    is_whole,
    output_key,
)
from tests.contract.stores import key_option

if TYPE_CHECKING:
    from mypy_boto3_datapipeline import DataPipelineClient

__all__ = ["Plan", "Service", "Storm", "agent_options", "storm"]

RUNNER_CALLS = frozenset(
    {"PollForTask", "ReportTaskProgress", "SetTaskStatus", "ReportTaskRunnerHeartbeat"}
)
_COUNT_DONE = (
    "SELECT count(*) FROM instances WHERE component_id = 'Work' AND status IN "
    "('FINISHED', 'FAILED', 'TIMEDOUT', 'CANCELED', 'CASCADE_FAILED', 'SKIPPED')"
)
_CLOCK = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The measures of a storm; seconds."""

    hosts: int = 6
    slots: int = 2
    ack_s: float = 2.0
    lease_s: float = 3.0
    progress_s: float = 0.5
    #: Names of `tests.chaos.mutants`.
    agent_mutant: str | None = None
    service_mutant: str | None = None
    #: None: SQLite in a file.
    database_url: str | None = None
    #: None: a folder that stands for S3.
    s3_endpoint: str | None = None


class Service:
    """`taskrunner serve`, killed and started again over the same store."""

    def __init__(self, folder: Path, plan: Plan, history: History) -> None:
        self.database_url = plan.database_url or f"sqlite:///{folder / 'service.db'}"
        self.url = ""
        self._folder = folder
        self._argv = [*program(plan.service_mutant), "serve", "--no-auth"]
        self._argv += ["--database-url", self.database_url, "--listen", "127.0.0.1:0"]
        self._argv += key_option(folder)
        self._argv += ["--ack-timeout", str(plan.ack_s), "--lease-timeout", str(plan.lease_s)]
        self._history = history
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it says where it listens."""
        log_path = self._folder / "serve.log"
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        found = re.search(r"http://[\d.:]+", self._process.stdout.readline())
        assert found, log_path.read_text()
        self.url = found[0]
        self._history.add("service started", url=self.url)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def has_ended(self) -> bool:
        """Whether it has ended by itself, or was killed."""
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """Kill -9."""
        assert self._process is not None
        self._history.add("service killed")
        self._process.kill()
        self._gone()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE_S / 2)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._gone()

    def _gone(self) -> None:
        if self._process is not None:
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()


class Storm:
    """The parts under one hand."""

    def __init__(
        self, folder: Path, plan: Plan, chance: random.Random, history: History, service: Service
    ) -> None:
        self.folder = folder
        self.plan = plan
        self.chance = chance
        self.history = history
        self.service = service
        self.proxy: FaultProxy
        self.ledger: Ledger
        self.client: DataPipelineClient
        self.watcher: Watcher
        self.hosts: list[Host] = []
        self.pipelines: dict[str, str] = {}
        self.expected = 0
        self.calls: list[Call] = []
        self.killed: dict[str, float] = {}
        self.paused: set[str] = set()
        self._calls_lock = threading.Lock()

    # -- work -----------------------------------------------------------------------------

    def add_tasks(self, count: int, seconds: str = "0.1") -> str:
        """Activate a pipeline of so many tasks; returns its id."""
        tag = f"p{len(self.pipelines)}"
        made = self.client.create_pipeline(name=tag, uniqueId=tag)["pipelineId"]
        objects = definition(count, seconds, self.effects_file, tag)
        put = self.client.put_pipeline_definition(pipelineId=made, pipelineObjects=objects)
        assert not put["errored"], put
        self.client.activate_pipeline(pipelineId=made)
        self.pipelines[made] = tag
        self.expected += count
        self.history.add("tasks", pipeline=made, count=count)
        return made

    @property
    def effects_file(self) -> Path:
        return self.folder / "effects"

    def done(self) -> int:
        """How many tasks have come to an end."""
        return self.ledger.count(_COUNT_DONE)

    def at_work(self) -> bool:
        """Whether there is something to hit: a task runs, or none is left."""
        return any(host.alive and host.busy for host in self.hosts) or self.done() >= self.expected

    def wait_until(self, what: str, holds: Callable[[], object], within_s: float) -> bool:
        """Keep hosts running until something holds; false when it did not in time."""
        until = _CLOCK.monotonic() + within_s
        while not holds():
            if _CLOCK.monotonic() > until:
                self.history.add("waited in vain", what=what)
                return False
            self.revive()
            pause_for(0.1)
        return True

    def finish(self, within_s: float = 600.0) -> bool:
        """Wait until every task has ended; false when some have not in time."""
        return self.wait_until("all tasks", lambda: self.done() >= self.expected, within_s)

    # -- faults ---------------------------------------------------------------------------

    def start_hosts(self) -> None:
        """Start every agent."""
        for host in self.hosts:
            host.start()

    def end_hosts(self) -> None:
        """No agent is left, nor anything that it ran."""
        for host in self.hosts:
            host.end()

    def revive(self) -> None:
        """Start agents that ended by themselves, as systemd does."""
        for host in self.hosts:
            if not host.alive:
                self.history.add("ended by itself", host=host.life)
                host.start()

    def kill_one(self) -> None:
        """Kill -9 some agent: alone, with its host, its fork server; start it again."""
        host = self.chance.choice([host for host in self.hosts if not host.paused])
        if not host.alive:
            host.start()
        life = host.life
        share = self.chance.random()
        if share < 0.5:
            host.kill_agent()
        elif share < 0.9:
            host.kill_host()
        else:
            host.kill_fork_server()
        self.killed[life] = self.history.now()
        host.start(fresh=0.5 <= share < 0.7)

    def kill_service(self) -> None:
        """Kill -9 the service, and start it again."""
        self.service.kill()
        self.service.start()
        self.proxy.upstream = self.service.url

    def pause(self, host: Host, *, agent_only: bool = False) -> None:
        """Stop a host until `resume`."""
        self.paused.add(host.life)
        host.pause(agent_only=agent_only)

    # -- judgement ------------------------------------------------------------------------

    def take(self, call: Call) -> None:
        """Note a call of a runner; in the proxy's thread."""
        if call.operation not in RUNNER_CALLS:
            return
        with self._calls_lock:
            self.calls.append(call)
        self.history.add(
            f"call {call.operation}",
            task=call.request.get("taskId"),
            verdict=call.request.get("taskStatus"),
            status=call.status,
            reply=call.reply if "taskObject" not in call.reply else _short(call.reply),
            fault=call.fault,
            delivered=call.delivered,
        )

    def refusals(self) -> int:
        """Reports of superseded hand-outs that were refused: told to stop, or not accepted."""
        return sum(
            (c.operation == "ReportTaskProgress" and c.reply.get("canceled") is True)
            or c.error == "TaskNotFoundException"
            for c in list(self.calls)
        )

    def violations(self, *, single: bool = False) -> list[Violation]:
        """What the checker finds once agents and watcher are gone."""
        self.end_hosts()
        self.watcher.look()
        self.watcher.stop()
        found = check(self.evidence(single=single))
        for violation in found:
            self.history.add("violation", text=str(violation))
        return found

    def evidence(self, *, single: bool = False) -> Evidence:
        """What is known now."""
        handouts = [
            Handout(
                task_id=row["task_id"],
                attempt=(row["pipeline_id"], row["attempt_id"]),
                host=row["hostname"] or "",
                state=row["state"],
            )
            for row in self.ledger.rows("SELECT * FROM handouts")
        ]
        statuses = dict(self._statuses())
        return Evidence(
            expected=self.expected,
            statuses=statuses,
            changes=self.ledger.changes(),
            handouts=handouts,
            effects=effects(self.effects_file),
            bad_outputs=dict(self._bad_outputs(statuses)),
            torn=self.watcher.torn,
            killed=self.killed,
            paused=frozenset(self.paused),
            single=single,
        )

    def _statuses(self) -> Iterator[tuple[tuple[str, str], str]]:
        for pipeline in self.pipelines:
            pages = self.client.get_paginator("query_objects").paginate(
                pipelineId=pipeline, sphere="INSTANCE"
            )
            ids = [id_ for page in pages for id_ in page["ids"] if id_.startswith("@Work_")]
            for start in range(0, len(ids), 25):
                described = self.client.describe_objects(
                    pipelineId=pipeline, objectIds=ids[start : start + 25]
                )
                for item in described["pipelineObjects"]:
                    values = {f["key"]: f.get("stringValue") for f in item["fields"]}
                    yield (pipeline, item["id"]), values["@status"] or ""

    def _bad_outputs(
        self, statuses: dict[tuple[str, str], str]
    ) -> Iterator[tuple[tuple[str, str], str]]:
        outputs = self.watcher.outputs
        names = set(outputs.names())
        for key, status in statuses.items():
            name = output_key(self.pipelines[key[0]], key[1])
            content = outputs.read(name) if name in names else None
            if status == "FINISHED" and (content is None or not is_whole(content)):
                yield key, "no output" if content is None else f"{len(content)} bytes"


def _short(reply: dict[str, object]) -> dict[str, object]:
    task = reply["taskObject"]
    return {k: task[k] for k in ("taskId", "attemptId")} if isinstance(task, dict) else {}


@contextmanager
def storm(folder: Path, chance: random.Random, plan: Plan | None = None) -> Iterator[Storm]:
    """All parts, gone with the block however it ends; the agents are not started yet."""
    plan = plan or Plan()
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        history = stack.enter_context(closing(History(folder / "history.jsonl")))
        service = Service(folder, plan, history)
        stack.callback(service.stop)
        service.start()
        found = Storm(folder, plan, random.Random(chance.random()), history, service)
        found.ledger = stack.enter_context(closing(Ledger(service.database_url)))
        found.ledger.install()
        found.proxy = stack.enter_context(
            fault_proxy(service.url, seed=chance.randrange(1 << 30), on_call=found.take)
        )
        found.client = stack.enter_context(closing(_client(found.proxy.url)))
        found.watcher = _watcher(found)
        found.watcher.start()
        stack.callback(found.watcher.stop)
        for number in range(plan.hosts):
            host = Host(f"h{number}", folder, agent_options(found), history, plan.agent_mutant)
            found.hosts.append(host)
        stack.callback(found.end_hosts)
        yield found


def _watcher(found: Storm) -> Watcher:
    endpoint = found.plan.s3_endpoint
    outputs = S3Outputs(endpoint) if endpoint else FolderOutputs(found.folder / "s3")
    return Watcher(outputs, random.Random(found.chance.random()))


def agent_options(found: Storm, endpoint: str | None = None) -> list[str]:
    """The options of an agent of the storm, which may have another way to the service."""
    plan = found.plan
    given = {
        "--worker-group": GROUP,
        "--endpoint": endpoint or found.proxy.url,
        "--region": "us-east-1",
        "--tasks": str(plan.slots),
        "--progress-interval": str(plan.progress_s),
        "--lease-timeout": str(plan.lease_s),
        "--kill-grace": "1",
        "--min-free-disk": "0",
        "--ec2": "off",
        "--log-format": "json",
    }
    if plan.s3_endpoint:
        given["--s3-endpoint"] = plan.s3_endpoint
    else:
        given["--s3-root"] = str(found.folder / "s3")
    return [part for item in given.items() for part in item] + ["--allow-root"]


def _client(url: str) -> DataPipelineClient:
    return boto3.client(
        "datapipeline",
        endpoint_url=url,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 10}, read_timeout=30),
    )

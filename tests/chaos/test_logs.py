"""C1: no line of a log is lost to kill -9. C2: no byte of it to a network that breaks uploads."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from taskrunner.clock import SystemClock
from tests.chaos.s3_proxy import S3Fault, S3Proxy, s3_proxy
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import (
    AgentProcess,
    FakeService,
    running_agent,
    task_json,
    wait_for,
)

MUTANTS = "tests.chaos.mutants"
PARTS_EVERY = ("--log-interval", "0.2")
AT_ONCE = 3
MEGABYTE = 1 << 20


@dataclass(slots=True)
class Task:
    """One hand-out that prints numbered lines until it is killed."""

    id: str
    #: What it prints last is here only after it is in its log.
    mark: Path
    #: Where its logs go.
    folder: Path

    @property
    def flushed(self) -> int:
        lines = self.mark.read_text().rpartition("\n")[0].split() if self.mark.exists() else []
        return int(lines[-1]) if lines else 0

    def wrong(self) -> str | None:
        """What the store lacks, or has too much of."""
        log = self.folder / "StdOutput.gz"
        if not log.exists():
            return f"{self.id}: no log, {self.flushed} lines were written"
        lines = gzip.decompress(log.read_bytes()).decode().split("\n")[:-1]
        if lines != [f"line {number}" for number in range(1, len(lines) + 1)]:
            return f"{self.id}: lines are missing or doubled"
        if len(lines) < self.flushed:
            return f"{self.id}: {len(lines)} lines, {self.flushed} were written"
        left = self.parts()
        return f"{self.id}: parts are left: {left}" if left else None

    def parts(self) -> list[str]:
        """Those that are in the store."""
        return sorted(path.name for path in self.folder.glob("*@*"))


@dataclass(slots=True)
class Storm:
    """Agents that are killed while tasks print."""

    service: FakeService
    folder: Path
    chance: random.Random
    program: tuple[str, ...] = ("taskrunner",)
    #: Kill no agent before a part of a log is in the store.
    after_a_part: bool = False
    kills: int = 0
    parts: int = 0
    lines: int = 0
    tasks: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self, kills: int) -> None:
        agent = self._start()
        try:
            while self.kills < kills:
                tasks = [self._hand_out() for _ in range(AT_ONCE)]
                for task in tasks:
                    wait_for(f"the first line of {task.id}", partial(getattr, task, "flushed"))
                if self.after_a_part:
                    wait_for("a part", partial(_any_part, tasks))
                self._pause(1.0)
                agent = self._kill(agent)
                while self.chance.random() < 0.3:
                    # In the middle of making good what the last kill did.
                    self._pause(0.6)
                    agent = self._kill(agent)
                self._check(tasks)
        finally:
            agent.stop()

    def _start(self) -> AgentProcess:
        options = (*PARTS_EVERY, "--tasks", str(AT_ONCE))
        return AgentProcess(self.service, self.folder, *options, program=self.program)

    def _pause(self, most_s: float) -> None:
        SystemClock().wait(threading.Event(), self.chance.uniform(0, most_s))

    def _kill(self, agent: AgentProcess) -> AgentProcess:
        agent.process.kill()
        agent.wait()
        self.kills += 1
        for journal in (agent.work_dir / "journal").glob("*.jsonl"):
            self.parts += journal.read_text(errors="replace").count('"step": "pushed"')
        return self._start()

    def _hand_out(self) -> Task:
        self.tasks += 1
        name = f"2026-02-13T02:{self.tasks // 60:02d}:{self.tasks % 60:02d}"
        mark = self.folder / f"mark-{self.tasks}"
        command = (
            f'i=0; while :; do i=$((i+1)); echo "line $i"; echo $i >> {mark}; '
            # So that a part, whose push takes its time, is not all there is.
            "[ $((i % 500)) = 0 ] && sleep 0.02; done"
        )
        task = task_json(f"t{self.tasks}", command, fields={"pipelineLogUri": "s3://b/logs"})
        text = json.dumps(task).replace("2026-02-13T02:00:00", name)
        self.service.tasks.put(json.loads(text))
        logs = self.folder / "s3" / "b" / "logs" / "df-test" / "Work"
        return Task(f"t{self.tasks}", mark, logs / f"@Work_{name}" / f"@Work_{name}_Attempt=1")

    def _check(self, tasks: list[Task]) -> None:
        for task in tasks:
            verdict = self.service.verdict(task.id)
            assert verdict["errorId"] == "TaskRunner.Interrupted", verdict
            self.lines += task.flushed
            if (wrong := task.wrong()) is not None:
                self.wrong.append(wrong)


def _any_part(tasks: list[Task]) -> bool:
    return any(task.parts() for task in tasks)


def test_no_line_is_lost_to_kill_9(chaos: Chaos, service: FakeService, tmp_path: Path) -> None:
    storm = Storm(service, tmp_path, chaos.random)
    storm.run(chaos.trials(10, 500))
    chaos.found(
        "C1",
        f"{storm.kills} kills, {storm.tasks} logs of {storm.lines} lines in all, "
        f"{storm.parts} parts seen, {len(storm.wrong)} logs wrong",
    )
    assert storm.parts > 0
    assert storm.wrong == []


@pytest.mark.parametrize("mutant", ["parts-forgotten", "logs-not-recovered"])
def test_it_would_show(chaos: Chaos, service: FakeService, tmp_path: Path, mutant: str) -> None:
    storm = Storm(service, tmp_path, chaos.random, (MUTANTS, mutant), after_a_part=True)
    storm.run(1)
    wanted = {"parts-forgotten": "parts are left", "logs-not-recovered": "no log"}[mutant]
    assert any(wanted in found for found in storm.wrong), storm.wrong


class Watch:
    """The most memory that any process under an agent held, commands left out."""

    def __init__(self, agent: AgentProcess) -> None:
        self._root = psutil.Process(agent.process.pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._loop)
        self.peak = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._done.wait(0.02):
            with suppress(psutil.Error):
                for process in [self._root, *self._root.children(recursive=True)]:
                    self.peak = max(self.peak, process.memory_info().rss)


@dataclass(slots=True)
class Shipped:
    """What became of one log behind a bad network."""

    verdict: dict[str, Any]
    sent: str
    got: str
    left: list[str]
    peak: int


def _ship(
    service: FakeService,
    folder: Path,
    proxy: S3Proxy,
    size: int,
    *program: str,
    interval: str = "0",
) -> Shipped:
    bucket = f"logs-{proxy.chance.randrange(1 << 40)}"
    s3 = boto3.client("s3", endpoint_url=proxy.upstream, region_name="us-east-1")
    s3.create_bucket(Bucket=bucket)
    data = proxy.chance.randbytes(size)
    folder.mkdir()
    (folder / "data").write_bytes(data)
    options = ["--s3-endpoint", proxy.url, "--region", "us-east-1"]
    options += ["--log-interval", interval]
    command = f"cat {folder}/data; sleep 2"
    fields = {"pipelineLogUri": f"s3://{bucket}"}
    with (
        running_agent(
            service, folder, *options, s3_root=False, program=program or ("taskrunner",)
        ) as agent,
        Watch(agent) as watch,
    ):
        name = folder.name
        service.tasks.put(task_json(name, command, fields=fields))
        verdict = service.verdict(name)
    proxy.share = 0.0
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    keys = {item["Key"].rpartition("/")[2]: item["Key"] for item in listed}
    got = b""
    if "StdOutput.gz" in keys:
        body = s3.get_object(Bucket=bucket, Key=keys["StdOutput.gz"])["Body"].read()
        got = _unzipped(body)
    s3.close()
    return Shipped(
        verdict,
        hashlib.sha256(data).hexdigest(),
        hashlib.sha256(got).hexdigest(),
        [key for key in keys if "@" in key],
        watch.peak,
    )


def _unzipped(body: bytes) -> bytes:
    try:
        return gzip.decompress(body)
    except (OSError, EOFError):
        return b"not even gzip"


@pytest.mark.external_service
def test_no_byte_is_lost_to_a_network_that_breaks_half_of_all_uploads(
    chaos: Chaos, service: FakeService, tmp_path: Path, s3_endpoint: str
) -> None:
    size = chaos.trials(25, 100) * MEGABYTE
    with s3_proxy(s3_endpoint, chaos.random) as proxy:
        proxy.share = 0.5
        shipped = _ship(service, tmp_path / "half", proxy, size, interval="1")
        fired = dict(proxy.fired)
    chaos.found(
        "C2",
        f"a log of {size >> 20} MB, {proxy.puts} PUTs, {fired}; sha256 equal: "
        f"{shipped.got == shipped.sent}, at most {shipped.peak >> 20} MB in a process",
    )
    assert shipped.verdict["taskStatus"] == "FINISHED", shipped.verdict
    assert "errorId" not in shipped.verdict
    assert shipped.got == shipped.sent
    assert shipped.left == []
    assert sum(fired.values()) > 0
    # Three parts are on their way at a time.
    assert shipped.peak < 80 * MEGABYTE


@pytest.mark.external_service
@pytest.mark.parametrize("program", [(), (MUTANTS, "store-not-held")])
def test_a_store_that_has_less_than_it_says_is_found_out(
    chaos: Chaos,
    service: FakeService,
    tmp_path: Path,
    s3_endpoint: str,
    program: tuple[str, ...],
) -> None:
    with s3_proxy(s3_endpoint, chaos.random) as proxy:
        proxy.share, proxy.faults, proxy.times = 1.0, (S3Fault.SHORTEN,), 2
        shipped = _ship(service, tmp_path / "short", proxy, 3 * MEGABYTE, *program)
        assert proxy.fired[S3Fault.SHORTEN] == 2
    assert shipped.verdict["taskStatus"] == "FINISHED"
    assert (shipped.got == shipped.sent) == (not program)


@pytest.mark.external_service
def test_without_second_tries_half_of_all_uploads_are_too_many(
    chaos: Chaos, service: FakeService, tmp_path: Path, s3_endpoint: str
) -> None:
    with s3_proxy(s3_endpoint, chaos.random) as proxy:
        proxy.share, proxy.faults = 0.9, (S3Fault.RESET, S3Fault.CUT)
        shipped = _ship(service, tmp_path / "once", proxy, 25 * MEGABYTE, MUTANTS, "no-second-try")
    assert shipped.verdict["errorId"] == "LogsNotShipped"

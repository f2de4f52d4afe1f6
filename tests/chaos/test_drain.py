"""A10: an agent that is told to stop keeps its lease, and what runs is finished once, by it."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from taskrunner.clock import SystemClock
from tests.acceptance.served_process import served
from tests.chaos.pipelines import KEYS, Pipelines, pipelines_at
from tests.chaos.scale import Chaos
from tests.integration.agent_harness import FakeService, running_agent, task_json, wait_for
from tests.integration.small_agent import small_agent

LEASE_S = 3.0
TASK_S = 3 * LEASE_S
AT_ONCE = 10


@dataclass(slots=True)
class Stop:
    """An agent that was told to stop while it had work, and what came of it."""

    attempts: dict[int, dict[str, str]]
    effects: list[str]
    exit_code: int

    @property
    def well(self) -> bool:
        """Whether the task was finished, once, at its first attempt, and the agent ended well."""
        statuses = {number: fields["@status"] for number, fields in self.attempts.items()}
        return (
            statuses == {1: "FINISHED"}
            and self.effects == ["began", "ended"]
            and self.exit_code == 0
        )


class Stops:
    """Agents, each with one task that takes three leases, stopped at some moment of it."""

    def __init__(self, url: str, pipelines: Pipelines, folder: Path) -> None:
        self.url, self.pipelines, self.folder = url, pipelines, folder

    def one(self, name: str, after_s: float, *program: str) -> Stop:
        """One agent's life; `after_s` into the task it gets SIGTERM."""
        effects = self.folder / f"{name}.effects"
        pipeline = self.pipelines.activate(
            name, f"echo began >> {effects}; sleep {TASK_S}; echo ended >> {effects}",
            worker_group=name,
        )  # fmt: skip
        options = ["--worker-group", name, "--endpoint", self.url, "--lease-timeout", str(LEASE_S)]
        options += ["--s3-root", str(self.folder / "s3"), "--tasks", "1", "--kill-grace", "1"]
        started = program or ("taskrunner",)
        with small_agent(self.folder / name, *options, program=started, **KEYS) as agent:
            wait_for(f"the start of {name}", effects.exists)
            SystemClock().wait(threading.Event(), after_s)
            agent.process.send_signal(signal.SIGTERM)
            code = agent.wait()
        return Stop(self.pipelines.attempts(pipeline), effects.read_text().split(), code)


@pytest.fixture
def stops(tmp_path: Path) -> Iterator[Stops]:
    with (
        served(tmp_path, "--no-auth", "--lease-timeout", str(LEASE_S)) as service,
        pipelines_at(service.url) as pipelines,
    ):
        yield Stops(service.url, pipelines, tmp_path)


def test_a_drain_keeps_the_lease_and_finishes_what_runs(chaos: Chaos, stops: Stops) -> None:
    trials, mutant = chaos.trials(4, 50), ("tests.chaos.mutants", "silent-drain")
    moments = [chaos.random.uniform(0, TASK_S / 3) for _ in range(trials)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # The defence being off must show: an agent that falls silent loses what it runs.
        silent = pool.submit(stops.one, "silent", 0.0, *mutant)
        running = [pool.submit(stops.one, f"wg-{n}", s) for n, s in enumerate(moments)]
        found = [each.result() for each in running]
    well = sum(stop.well for stop in found)
    chaos.found("A10", f"{trials} drains of three leases, {well} finished once at attempt 1")
    assert [stop for stop in found if not stop.well] == []
    assert not silent.result().well


def _began(service: FakeService, folder: Path, task_id: str, command: str) -> None:
    service.tasks.put(task_json(task_id, f"touch {folder}/{task_id}; {command}"))
    wait_for(f"the start of {task_id}", (folder / task_id).exists)


def _await_drain(agent: Any) -> None:
    wait_for("the drain", lambda: '"event": "draining"' in agent.log)


def test_a_second_sigterm_ends_a_stubborn_task_within_the_bound(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path, "--kill-grace", "1") as agent:
        _began(service, tmp_path, "t1", "trap '' TERM; while :; do sleep 1; done")
        agent.signal(signal.SIGTERM)
        _await_drain(agent)
        agent.signal(signal.SIGTERM)
        # The grace, and what the unit is told that the last logs and verdicts may take.
        assert agent.process.wait(1 + 50) == 0
    assert service.verdict("t1")["errorId"] == "TaskRunner.Interrupted"


def test_a_task_that_is_not_acknowledged_yet_is_left_to_others(
    service: FakeService, tmp_path: Path
) -> None:
    service.down.add("ReportTaskProgress")
    with running_agent(service, tmp_path) as agent:
        service.tasks.put(task_json("t1", f"touch {tmp_path}/t1"))
        wait_for("the try", lambda: "progress not reported" in agent.log)
        agent.signal(signal.SIGTERM)
        assert agent.wait() == 0
        assert "task not begun" in agent.log
    assert not (tmp_path / "t1").exists()
    assert service.calls("SetTaskStatus") == []
    assert list((tmp_path / "work" / "journal").glob("*.jsonl")) == []


class HeldService(FakeService):
    """Answers a task's first report when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()
        super().__init__()

    def _answer(self, operation: str, *rest: Any) -> tuple[int, dict[str, Any]]:
        if operation == "ReportTaskProgress" and not self.asked.is_set():
            self.asked.set()
            self.let.wait(60)
        return super()._answer(operation, *rest)


def test_a_task_that_is_acknowledged_as_the_stop_arrives_is_finished(tmp_path: Path) -> None:
    service = HeldService()
    try:
        with running_agent(service, tmp_path) as agent:
            service.tasks.put(task_json("t1", "true"))
            assert service.asked.wait(60)
            agent.signal(signal.SIGTERM)
            _await_drain(agent)
            service.let.set()
            assert agent.wait() == 0
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
    finally:
        service.close()


class HeldBucket:
    """Takes uploads when it is let."""

    def __init__(self) -> None:
        self.asked, self.let = threading.Event(), threading.Event()
        self.objects: dict[str, bytes] = {}
        bucket = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                bucket.asked.set()
                bucket.let.wait(60)
                size = int(self.headers.get("Content-Length", 0))
                bucket.objects[self.path] = self.rfile.read(size)
                self._answer(200, self.path, 0)

            def do_HEAD(self) -> None:
                found = bucket.objects.get(self.path)
                self._answer(404 if found is None else 200, self.path, len(found or b""))

            def _answer(self, status: int, path: str, size: int) -> None:
                digest = hashlib.md5(bucket.objects.get(path, b""), usedforsecurity=False)
                self.send_response(status)
                self.send_header("ETag", f'"{digest.hexdigest()}"')
                self.send_header("Last-Modified", self.date_time_string())
                self.send_header("Content-Length", str(size))
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.let.set()
        self._server.shutdown()
        self._server.server_close()


def test_a_stop_during_the_upload_of_logs_waits_for_them(
    service: FakeService, tmp_path: Path
) -> None:
    bucket = HeldBucket()
    options = ["--s3-endpoint", bucket.url, "--region", "us-east-1", "--log-uri", "s3://b/logs"]
    try:
        with running_agent(service, tmp_path, *options, s3_root=False) as agent:
            service.tasks.put(task_json("t1", "echo said"))
            assert bucket.asked.wait(60)
            agent.signal(signal.SIGTERM)
            _await_drain(agent)
            assert service.calls("SetTaskStatus") == []
            bucket.let.set()
            assert agent.wait() == 0
        verdict = service.verdict("t1")
    finally:
        bucket.close()
    assert (verdict["taskStatus"], verdict.get("errorId")) == ("FINISHED", None)
    assert any(path.endswith("/StdOutput.gz") for path in bucket.objects)


def test_a_bucket_that_hangs_does_not_hold_a_second_stop_up(
    chaos: Chaos, service: FakeService, tmp_path: Path
) -> None:
    if not chaos.full:
        pytest.skip("in the full form only: logs have half a minute to go out")
    bucket = HeldBucket()
    options = ["--s3-endpoint", bucket.url, "--region", "us-east-1", "--log-uri", "s3://b/logs"]
    options += ["--kill-grace", "1"]
    try:
        with running_agent(service, tmp_path, *options, s3_root=False) as agent:
            _began(service, tmp_path, "t1", "exec sleep 1000")
            for _ in range(2):
                agent.signal(signal.SIGTERM)
                _await_drain(agent)
            assert agent.process.wait(2 * 1 + 50 + 30) == 0
        verdict = service.verdict("t1")
    finally:
        bucket.close()
    assert verdict["errorId"] == "TaskRunner.Interrupted"
    assert "it was still to be uploaded when the agent had to go" in verdict["errorMessage"]


def test_a_stop_during_an_outage_keeps_the_verdict_for_the_next_start(
    chaos: Chaos, service: FakeService, tmp_path: Path
) -> None:
    if not chaos.full:
        pytest.skip("in the full form only: the last tries to tell take a while")
    calls = {"PollForTask", "ReportTaskProgress", "SetTaskStatus", "ReportTaskRunnerHeartbeat"}
    with running_agent(service, tmp_path) as agent:
        _began(service, tmp_path, "t1", f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done")
        service.down |= calls
        agent.signal(signal.SIGTERM)
        _await_drain(agent)
        (tmp_path / "go").touch()
        assert agent.wait() == 0
        assert "verdicts stay in the journal" in agent.log
    service.down.clear()
    with running_agent(service, tmp_path):
        assert service.verdict("t1")["taskStatus"] == "FINISHED"


def test_terminate_from_a_heartbeat_finishes_what_runs(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path, "--heartbeat-interval", "1") as agent:
        _began(service, tmp_path, "t1", f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done")
        service.terminate = True
        _await_drain(agent)
        (tmp_path / "go").touch()
        assert agent.wait() == 0
    assert service.verdict("t1")["taskStatus"] == "FINISHED"


def test_a_paused_agent_finishes_what_runs_and_asks_for_no_more(
    service: FakeService, tmp_path: Path
) -> None:
    with running_agent(service, tmp_path, "--tasks", "1") as agent:
        _began(service, tmp_path, "t1", f"while [ ! -e {tmp_path}/go ]; do sleep 0.1; done")
        agent.signal(signal.SIGUSR1)
        wait_for("the pause", lambda: '"paused: no more tasks are taken"' in agent.log)
        polls = len(service.calls("PollForTask"))
        service.tasks.put(task_json("t2", "true"))
        (tmp_path / "go").touch()
        assert service.verdict("t1")["taskStatus"] == "FINISHED"
        beats = len(service.calls("ReportTaskRunnerHeartbeat"))
        agent.signal(signal.SIGTERM)
        assert agent.wait() == 0
    assert beats >= 1
    assert len(service.calls("PollForTask")) == polls
    assert service.calls("ReportTaskProgress", "t2") == []


def test_settings_read_anew_under_load_disturb_nothing(
    chaos: Chaos, service: FakeService, tmp_path: Path
) -> None:
    reloads, tasks = chaos.trials(10, 100), chaos.trials(20, 300)
    config = tmp_path / "agent.toml"
    config.write_text("progress_interval = 1\n")
    with running_agent(service, tmp_path, "--config", str(config), "--tasks", "4") as agent:
        for number in range(tasks):
            service.tasks.put(task_json(f"t{number}", "true"))
        service.verdict("t0")
        for number in range(reloads):
            config.write_text(f"drain_timeout = {100 + number}\n")
            agent.signal(signal.SIGHUP)
            SystemClock().wait(threading.Event(), chaos.random.uniform(0, 0.1))
        verdicts = [service.verdict(f"t{number}") for number in range(tasks)]
        agent.signal(signal.SIGTERM)
        assert agent.wait() == 0
    assert {verdict["taskStatus"] for verdict in verdicts} == {"FINISHED"}
    assert len(service.calls("SetTaskStatus")) == tasks
    chaos.found("A10", f"{reloads} reloads over {tasks} tasks, all finished once")


def test_a_second_stop_is_not_held_up_by_a_service_that_hangs(
    chaos: Chaos, service: FakeService, tmp_path: Path
) -> None:
    if not chaos.full:
        pytest.skip("in the full form only: a call takes half a minute until it is given up")
    with running_agent(service, tmp_path) as agent:
        service.tasks.put(task_json("t1", "sleep 1000"))
        service.wait("a report", lambda: len(service.calls("ReportTaskProgress", "t1")) > 1)
        service.hung = True
        agent.signal(signal.SIGTERM)
        wait_for("the drain", lambda: '"draining"' in agent.log)
        agent.signal(signal.SIGTERM)
        # Each call is tried for 30 s, and a verdict four times.
        assert agent.wait() == 0

"""24 hours of an agent's life in minutes: nothing grows.

Intervals are a hundredth of the real ones, so that as many polls, reports, refreshes and outages
happen as in a day; the tasks are 20,000 in the full form.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import statistics
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

import psutil
import pytest

from taskrunner.agent.journal.journal import REMEMBERED
from taskrunner.agent.operations.control import ask
from taskrunner.clock import SystemClock
from tests.chaos.scale import Chaos
from tests.chaos.soak_service import KINDS, SoakService
from tests.integration.agent_harness import AgentProcess, running_agent

pytestmark = pytest.mark.xdist_group("alone")

#: The agent writes one an hour, and keeps them for days. Here the whole day is within one hour,
#: whose file does nothing but grow.
_OWN_LOG = "TaskRunner.log."
_SLOTS = 8
_CALLS = ("PollForTask", "ReportTaskProgress", "SetTaskStatus", "ReportTaskRunnerHeartbeat")
#: Good for 15 minutes and 3 seconds: the SDK renews what has less than 15 minutes left.
_CREDENTIALS = """#!/bin/sh
echo >> "$(dirname "$0")/renewals"
printf '{"Version": 1, "AccessKeyId": "AKIDSOAK", "SecretAccessKey": "soak", "SessionToken": "t", '
printf '"Expiration": "%s"}' "$(date -u -d '+903 seconds' +%Y-%m-%dT%H:%M:%SZ)"
"""
#: What must have happened in a whole day.
_HAPPENINGS = {
    *(f"{kind} tasks" for kind in KINDS),
    *(
        "restarts",
        "unavailable",
        "pauses",
        "reloads",
        "looks",
        "empty polls",
        "credential renewals",
    ),
}
_SETTINGS = """
tasks = {tasks}
drain_timeout = {drain}
heartbeat_interval = 1
kill_grace = 1
min_free_disk = "1 MB"
keep_logs_count = 200
health_listen = 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the agent takes of its host at a moment."""

    done: int
    rss_kb: int
    fork_server_rss_kb: int
    descriptors: int
    fork_server_descriptors: int
    threads: int
    disk_kb: int
    journal_files: int
    journal_kb: int

    @classmethod
    def of(cls, agent: AgentProcess, done: int) -> Sample:
        own = psutil.Process(agent.process.pid)
        server = own.children()[0]
        journal = agent.work_dir / "journal"
        files = list(journal.iterdir())
        return cls(
            done=done,
            rss_kb=own.memory_info().rss >> 10,
            fork_server_rss_kb=server.memory_info().rss >> 10,
            descriptors=own.num_fds(),
            fork_server_descriptors=server.num_fds(),
            threads=own.num_threads(),
            disk_kb=_size(agent.work_dir, but=_OWN_LOG) >> 10,
            journal_files=len(files),
            journal_kb=_size(journal) >> 10,
        )


def _size(folder: Path, *, but: str = "/") -> int:
    """Bytes that the files of a folder take; they come and go meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in (name for name in names if not name.startswith(but)):
            with suppress(OSError):
                total += Path(parent, name).lstat().st_blocks * 512
    return total


class Life:
    """What befalls an agent in a day, from a thread of its own, until the block ends."""

    def __init__(self, service: SoakService, agent: AgentProcess, chance: random.Random) -> None:
        self._service = service
        self._agent = agent
        self._chance = chance
        self._clock = SystemClock()
        self._over = threading.Event()
        self.error: BaseException | None = None

    @contextmanager
    def going_on(self, every_s: float) -> Iterator[None]:
        thread = threading.Thread(target=self._loop, args=(every_s,))
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if self.error is not None:
            raise self.error

    def _loop(self, every_s: float) -> None:
        events: list[Callable[[], None]] = [
            self._restart,
            self._unavailable,
            self._pause,
            self._reload,
            self._look,
        ]
        try:
            while not self._clock.wait(self._over, self._chance.uniform(0, 2 * every_s)):
                self._chance.choice(events)()
        except BaseException as error:
            self.error = error

    def _restart(self) -> None:
        self._service.hang_up_for(self._chance.uniform(0.05, 0.5), self._over)

    def _unavailable(self) -> None:
        calls = self._chance.sample(_CALLS, self._chance.randint(1, 4))
        self._service.down.update(calls)
        self._clock.wait(self._over, self._chance.uniform(0.05, 0.5))
        self._service.down.clear()

    def _pause(self) -> None:
        ask(self._agent.work_dir, "pause", note="soak")
        self._clock.wait(self._over, self._chance.uniform(0, 0.2))
        ask(self._agent.work_dir, "resume")
        self._service.seen["pauses"] += 1

    def _reload(self) -> None:
        _write_settings(self._agent.work_dir.parent, self._chance.randint(10, 20))
        self._agent.signal(signal.SIGHUP)
        self._service.seen["reloads"] += 1

    def _look(self) -> None:
        status = ask(self._agent.work_dir, "status")
        assert status["live"] == "ok", status
        with _opener().open(f"http://{_health_address(self._agent)}/metrics", timeout=30) as reply:
            assert b"taskrunner_tasks_running" in reply.read()
        self._service.seen["looks"] += 1


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _health_address(agent: AgentProcess) -> str:
    lines = map(json.loads, agent.log.splitlines())
    return next(str(line["address"]) for line in lines if line["event"] == "health is served")


def _write_settings(folder: Path, drain_s: int) -> Path:
    path = folder / "soak.toml"
    fresh = folder / "soak.toml.new"
    fresh.write_text(_SETTINGS.format(tasks=_SLOTS, drain=drain_s))
    fresh.replace(path)
    return path


def _credentials(folder: Path) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    program, config = folder / "credentials", folder / "aws-config"
    program.write_text(_CREDENTIALS)
    program.chmod(0o700)
    config.write_text(f"[default]\ncredential_process = {program}\n")
    return {"AWS_CONFIG_FILE": str(config)}


def _fill_journal(work_dir: Path) -> None:
    """Nearly as many finished hand-outs as an agent ever remembers: this one has lived for long."""
    folder = work_dir / "journal"
    folder.mkdir(parents=True, mode=0o700)
    lines = (f"{number:032x}\n" for number in range(2 * REMEMBERED - 1000))
    folder.joinpath("finished").write_text("".join(lines))


def test_a_day_of_life_leaves_the_agent_as_it_was(chaos: Chaos, tmp_path: Path) -> None:
    total = chaos.trials(300, 20_000)
    service = SoakService(total, chaos.random)
    folder = tmp_path / "agent"
    environ = _credentials(folder)
    settings = _write_settings(folder, 20)
    _fill_journal(folder / "work")
    options = ("--config", str(settings), "--log-uri", "s3://bucket/logs")
    try:
        program = ("tests.chaos.tidy",)
        with running_agent(service, folder, *options, program=program, environ=environ) as agent:
            samples = _live(chaos, service, agent, total)
            agent.signal(signal.SIGTERM)
            assert agent.wait() == 0
    finally:
        service.close()
    assert service.wrong == []
    assert not any(agent.work_dir.joinpath("journal").glob("*.jsonl")), "something is still owed"
    _judge(chaos, service, samples)
    renewals = len(folder.joinpath("renewals").read_text())
    seen = {**service.seen, "credential renewals": renewals}
    chaos.found("soak", ", ".join(f"{number} {name}" for name, number in sorted(seen.items())))
    if chaos.full:
        lacking = _HAPPENINGS - {name for name, number in seen.items() if number > 0}
        assert not lacking, f"never happened: {lacking}"


def _live(chaos: Chaos, service: SoakService, agent: AgentProcess, total: int) -> list[Sample]:
    samples = []
    life = Life(service, agent, random.Random(chaos.seed))
    service.wait_done(1, patience_s=300)  # it has begun
    with life.going_on(chaos.trials(1, 2)):
        for done in range(total // 40, total + 1, total // 40):
            service.wait_done(done, patience_s=300)
            samples.append(Sample.of(agent, service.done))
            print(samples[-1], flush=True)
            shutil.rmtree(agent.s3, ignore_errors=True)  # it stands for S3: no disk of this host
    return samples


def _judge(chaos: Chaos, service: SoakService, samples: list[Sample]) -> None:
    """The last fifth of the life against the second: the first is for warming up."""
    fifth = len(samples) // 5
    early, late = samples[fifth : 2 * fifth], samples[-fifth:]
    growth = {}
    for name in (field.name for field in fields(Sample) if field.name != "done"):
        before, after = (
            statistics.median(getattr(s, name) for s in part) for part in (early, late)
        )
        growth[name] = (before, after)
        chaos.found("soak", f"{name} {before:.0f} -> {after:.0f}")
    for name in ("rss_kb", "fork_server_rss_kb"):
        before, after = growth[name]
        assert after < 1.05 * before, f"{name} grew from {before} to {after}"
    # What is open at a moment depends on what runs at it: eight tasks, each with a few.
    for name in ("descriptors", "fork_server_descriptors", "threads", "journal_files"):
        before, after = growth[name]
        assert after <= before + _SLOTS / 2, f"{name} grew from {before} to {after}"
    if chaos.full:  # the logs of 200 tasks, and of those since the janitor came
        before, after = (max(sample.disk_kb for sample in part) for part in (early, late))
        chaos.found("soak", f"most disk {before} -> {after} kB")
        assert after < 1.2 * before, f"disk grew from {before} to {after}"
    # Finished hand-outs, the list of kept logs, and the megabyte in reserve: no more than that.
    assert max(sample.journal_kb for sample in samples) < 3 << 10

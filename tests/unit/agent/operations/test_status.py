"""What the agent tells of itself, from what its parts know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.journal.journal import Entry, Journal
from taskrunner.agent.operations.calls import PollState
from taskrunner.agent.operations.disk import DiskSpace, DiskWatch
from taskrunner.agent.operations.metrics import render
from taskrunner.agent.operations.running_tasks import RunningTasks
from taskrunner.agent.operations.status import AgentFacts, Facts, Reporting
from taskrunner.agent.polling.gate import OPERATOR, Gate
from taskrunner.config.kinds import Space
from taskrunner.metrics import Counters
from tests.unit.agent.fakes import FakeClock, make_task

WELL = Facts(phase="running", polls_stuck=False, verdicts_unsent=0, logs_queued=0)


class Parts:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.gate = Gate(self.clock)
        self.counters = Counters()
        self.running_tasks = RunningTasks(self.clock, self.counters)
        self.polls: dict[str, PollState] = {}
        self.asking: dict[str, float] = {}
        disk = DiskSpace(total=1000, free=500, inodes_free=None)
        self.reporting = Reporting(
            AgentFacts(
                endpoint="http://e",
                worker_groups=("a", "b"),
                slots=4,
                taskrunner_id="id",
                work_dir=str(folder),
            ),
            gate=self.gate,
            running_tasks=self.running_tasks,
            polls=self.polls,
            asking=self.asking,
            counters=self.counters,
            disk=DiskWatch(
                folder, Space(percent=10), self.gate, self.clock, probe=lambda _path: disk
            ),
            clock=self.clock,
        )
        self.journal = Journal(folder / "journal")

    def entry(self) -> Entry:
        task = make_task()
        files = AttemptFiles.of(task, output=self.folder / "output", default_log_uri=None)
        entry = self.journal.accept(task, files)
        assert entry is not None
        return entry

    def poll(self, group: str, outcome: str, error: str | None = None) -> None:
        before = self.polls.get(group)
        last = before.answered_last if before is not None else None
        self.polls[group] = PollState(
            answered_last=self.clock.monotonic() if error is None else last,
            outcome=outcome,
            ended=self.clock.monotonic(),
            ended_at=self.clock.now(),
            error=error,
        )


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(tmp_path)
    yield made
    made.journal.close()


def test_a_running_task_is_shown_with_its_progress_and_counted_when_it_ends(parts: Parts) -> None:
    entry = parts.entry()
    entry.files.scratch.mkdir(parents=True)
    entry.files.progress.write_text('{"rows": "7"}')
    with parts.running_tasks.post(make_task(), entry):
        parts.clock.elapsed += 12
        (task,) = parts.reporting.status(WELL)["tasks"]
        assert (task["elapsed_s"], task["state"]) == (12, "running")
        assert task["progress"] == {"rows": "7", "attemptStatus": "rows 7"}
        entry.exited(verdicts.LEASE_LOST)
        assert parts.reporting.status(WELL)["tasks"][0]["state"] == "logs and verdict"
    assert parts.reporting.status(WELL)["slots"] == {"total": 4, "busy": 0}
    text = render(parts.reporting.samples(WELL))
    ended = 'type="ShellCommandActivity",result="FAILED",error_id="TaskRunner.LeaseLost"'
    assert f"taskrunner_tasks_ended_total{{{ended}}} 1.0" in text
    assert "taskrunner_leases_lost_total 1.0" in text
    assert 'taskrunner_task_seconds_total{type="ShellCommandActivity"} 12.0' in text


def test_a_task_that_is_given_up_has_no_verdict_to_count(parts: Parts) -> None:
    with parts.running_tasks.post(make_task(), parts.entry()):
        pass
    assert 'result="GIVEN_UP",error_id=""} 1.0' in render(parts.reporting.samples(WELL))


def test_status_is_json_and_every_metric_has_its_family(parts: Parts) -> None:
    parts.gate.shut(OPERATOR, "disks")
    parts.poll("a", "task")
    parts.clock.elapsed += 5
    status = json.loads(json.dumps(parts.reporting.status(replace(WELL, verdicts_unsent=3))))
    assert status["paused"][0]["why"] == "disks"
    assert status["polls"]["a"]["age_s"] == 5
    assert status["polls"]["b"] == {"outcome": "none yet"}
    parts.asking["b"] = 2.0
    assert parts.reporting.status(WELL)["polls"]["b"] == {"outcome": "none yet", "asking_s": 3.0}
    assert status["disk"]["floor_bytes"] == 100
    assert status["verdicts_unsent"] == 3
    text = render(parts.reporting.samples(WELL))
    assert 'taskrunner_poll_age_seconds{worker_group="a"} 5' in text
    parts.clock.elapsed += 295
    parts.poll("a", "unreachable", "down")
    text = render(parts.reporting.samples(WELL))
    assert 'taskrunner_poll_age_seconds{worker_group="a"} 300' in text, "no answer came meanwhile"
    assert 'taskrunner_poll_age_seconds{worker_group="b"} 300' in text, "since the start"
    assert 'taskrunner_paused{by="operator"} 1' in text


def test_it_is_ready_while_any_group_is_answered_and_nobody_minds(parts: Parts) -> None:
    ready = parts.reporting.ready
    assert ready(WELL).ok, "no poll has failed"
    parts.poll("a", "unreachable", "down")
    assert ready(WELL).why == "no worker group's poll is answered: down"
    parts.poll("b", "empty")
    assert ready(WELL).ok
    parts.gate.shut(OPERATOR, "disks")
    assert ready(WELL).why == "paused by operator: disks"
    assert ready(replace(WELL, phase="draining")).why == "the agent is draining"


def test_it_lives_while_polls_and_main_loop_move(parts: Parts) -> None:
    live = parts.reporting.live
    assert live(WELL).ok
    assert live(replace(WELL, polls_stuck=True)).why == "a poll has outlived its deadline"
    parts.clock.elapsed += 31
    assert live(WELL).why == "the main loop has not come round for 31 s"
    parts.reporting.turned()
    assert live(WELL).ok

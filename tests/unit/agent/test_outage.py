"""A service that is away for a day, and what the agent makes of it, on a clock that is turned."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from taskrunner.agent.handouts.attempt import AttemptRules, AttemptServices
from taskrunner.agent.handouts.host_deadline import HostDeadline
from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.handouts.recovery import recover
from taskrunner.agent.handouts.reporter import Reporter
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.journal.journal import Journal
from taskrunner.agent.polling.poller import Poller
from taskrunner.agent.polling.turns import Turns
from taskrunner.errors import ServiceUnreachable
from taskrunner.model.task import Task
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import (
    FakeApi,
    FakeClock,
    FakeShipper,
    FakeSpawner,
    ThreadsInTurn,
    make_task,
)

DAY_S = 86_400.0


class AwayApi(FakeApi):
    """Answers nobody until the day is over, and keeps what it is then told."""

    def __init__(self, clock: FakeClock, back_at: float = DAY_S) -> None:
        super().__init__()
        self.clock, self.back_at = clock, back_at
        self.tries = 0
        self.told: list[str] = []
        #: Hand-outs about which it fails each time, for a reason of its own.
        self.stumbles_over: set[str] = set()

    def _arrive(self) -> None:
        self.tries += 1
        if self.clock.elapsed < self.back_at:
            raise ServiceUnreachable("no answer")

    def poll_for_task(self, *, worker_group: str, hostname: str) -> Task | None:
        self._arrive()
        return super().poll_for_task(worker_group=worker_group, hostname=hostname)

    def report_task_progress(self, task_id: str, fields: Mapping[str, str]) -> bool:
        self._arrive()
        return super().report_task_progress(task_id, fields)

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        self._arrive()
        if task_id in self.stumbles_over:
            raise ServiceUnreachable("HTTP 500")
        self.told.append(task_id)


class Life:
    """An agent's memory of what it owes, over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.api = AwayApi(self.clock)
        self.polls_begun = 0
        self.start()

    def start(self) -> None:
        """As a new process: nothing but the folder is left."""
        self.journal = Journal(self.folder / "journal")
        self.outbox = Outbox(self.api, self.clock, random=Random(1))
        services = AttemptServices(
            api=self.api,
            spawner=FakeSpawner(),
            shipper=FakeShipper(),  # type: ignore[arg-type]
            outbox=self.outbox,
            threads=ThreadsInTurn(queue.SimpleQueue()),
            clock=self.clock,
            rules=AttemptRules(),
            stopping=threading.Event(),
            canceling=threading.Event(),
            host_deadline=HostDeadline(self.clock),
        )
        recover(self.journal, services, self._begin)

    def _begin(self) -> None:
        self.polls_begun += 1

    def ends(self, task_id: str) -> None:
        """A task that was handed out before the outage comes to its end."""
        task = make_task(task_id=task_id)
        files = AttemptFiles.of(task, output=self.folder / "out", default_log_uri=None)
        entry = self.journal.accept(task, files)
        assert entry is not None
        entry.exited(verdicts.failed("CommandFailed", task_id))
        entry.shipped()
        self.outbox.deliver(entry)

    def passes(self, until: float) -> None:
        """The outbox's loop, as far as a moment."""
        while self.clock.elapsed < until and self.outbox.pending():
            self.clock.elapsed += self.outbox.tick()
        self.clock.elapsed = max(self.clock.elapsed, until)


def test_a_day_without_the_service_loses_no_verdict_and_says_little(tmp_path: Path) -> None:
    life = Life(tmp_path)
    names = [f"task-{number:03}" for number in range(100)]
    with capture_logs() as logs:
        for number, name in enumerate(names):
            life.ends(name)
            life.passes(DAY_S * (number + 1) / 101)
            if number % 40 == 39:
                life.journal.close()
                life.start()
    assert life.api.told == []
    assert life.outbox.pending() == 100
    # Two tries in half a minute at most, however many verdicts wait.
    assert life.api.tries < 2 * DAY_S / 15 + 300
    assert len([event for event in logs if event["log_level"] == "warning"]) == 3
    assert len(logs) < 10
    life.passes(DAY_S + 60)
    assert life.api.told == names
    assert life.outbox.pending() == 0
    assert list(life.journal.open_entries()) == []
    assert life.polls_begun == 3
    task = make_task(task_id="task-007")
    files = AttemptFiles.of(task, output=tmp_path, default_log_uri=None)
    assert life.journal.accept(task, files) is None


def test_one_verdict_that_is_never_taken_stands_in_the_way_of_no_other(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.api.stumbles_over = {"task-0", "task-2"}
    for number in range(6):
        life.ends(f"task-{number}")
    life.passes(DAY_S + 600)
    assert sorted(life.api.told) == ["task-1", "task-3", "task-4", "task-5"]
    assert life.outbox.pending() == 2
    life.ends("task-6")
    life.passes(DAY_S + 1200)
    assert life.api.told[-1] == "task-6"
    life.api.stumbles_over.clear()
    life.passes(DAY_S + 1800)
    assert life.outbox.pending() == 0
    assert len(life.api.told) == len(set(life.api.told)) == 7


def test_thousands_of_owed_verdicts_keep_nobody_from_polling(tmp_path: Path) -> None:
    life = Life(tmp_path)
    for number in range(1_000):
        ids = {"taskId": f"task-{number}", "attemptId": "@Work_Attempt=1"}
        steps: list[dict[str, object]] = [
            {"step": "accepted", **ids, "logDir": "/none", "scratch": "/none"},
            {"step": "exited", "verdict": {"status": "FINISHED"}},
        ]
        path = tmp_path / "journal" / f"{number:032}.jsonl"
        path.write_text("".join(f"{json.dumps(step)}\n" for step in steps))
    life.journal.close()
    life.api.tries = 0
    with capture_logs() as logs:
        life.start()
    assert life.polls_begun == 2
    assert life.api.tries == 1
    assert life.outbox.pending() == 1_000
    assert len(logs) < 5


def test_polls_and_reports_of_a_day_say_that_it_began_and_ended_and_each_hour_that_it_lasts(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    api = AwayApi(clock)
    stopping, over = threading.Event(), threading.Event()
    poller = Poller(
        api,
        Turns(["wg"], slots=1),
        hostname="h",
        run=lambda _: None,
        stopping=stopping,
        clock=clock,
        random=Random(1),
    )
    reporter = Reporter(api, "task-1", clock=clock, interval_s=60, fields=dict, wake=over.set)
    with capture_logs() as logs:
        while clock.elapsed < DAY_S + 120:
            poller.ask("wg")
            reporter.tick({})
            clock.elapsed += 1
    told = [(event["event"], event["log_level"]) for event in logs if event["log_level"] != "debug"]
    lasts = ("still no answer; will keep trying", "warning")
    assert 20 <= told.count(lasts) <= 30
    assert sorted(item for item in told if item != lasts) == [
        ("no answer; will keep trying", "warning"),
        ("progress is reported again", "info"),
        ("progress not reported; will try again", "warning"),
        ("the service answers again", "info"),
    ]
    assert api.tries < 2 * DAY_S / 25

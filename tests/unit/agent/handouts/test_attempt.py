from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from taskrunner.agent.forks.children import Child
from taskrunner.agent.handouts.allowance import Allowance
from taskrunner.agent.handouts.attempt import (
    Attempt,
    AttemptRules,
    AttemptServices,
)
from taskrunner.agent.handouts.deadlines import Deadlines
from taskrunner.agent.handouts.host_deadline import HostDeadline
from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.job import Job
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.ipc.verdicts import Exit
from taskrunner.agent.journal.journal import Journal
from taskrunner.agent.lifecycle import Threads
from taskrunner.errors import ErrorId, PermanentTaskError, ServiceUnreachable, TaskError
from taskrunner.model.document import Value
from taskrunner.model.planner import PERMANENT
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import (
    FakeApi,
    FakeClock,
    FakeShipper,
    FakeSpawner,
    SlowApi,
    make_task,
)
from tests.unit.tracing.spans import Told

FAILED = verdicts.failed("CommandFailed", "no")
CANCELED = Verdict(status="CANCELED")


def test_limits_come_from_the_task_and_a_wrong_one_says_where() -> None:
    now = FakeClock().now()
    task = make_task({"attemptTimeout": "2 hours", "reportProgressTimeout": "10 minutes"})
    limits = Deadlines.of(task, lease_s=300, now=now)
    assert (limits.timeout_s, limits.silence_s) == (7200, 480)
    assert Deadlines.of(make_task(), lease_s=300, now=now).silence_s == 240
    with pytest.raises(PermanentTaskError, match=r"'attemptTimeout'.*'soon'"):
        Deadlines.of(make_task({"attemptTimeout": "soon"}), lease_s=300, now=now)


class NoThreads(Threads):
    """Reports nothing while the work goes on: the reporter has tests of its own."""

    def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
        return super().run(name, lambda: None)


class Bench:
    """One attempt with everything around it faked."""

    def __init__(
        self,
        folder: Path,
        rules: AttemptRules | None = None,
        clock: FakeClock | None = None,
        api: FakeApi | None = None,
        **fields: Value,
    ) -> None:
        self.api, self.clock = api or FakeApi(), clock or FakeClock()
        self.spawner = FakeSpawner()
        self.shipper, self.journal = FakeShipper(), Journal(folder / "journal")
        self.order: list[str] = []
        self.told = Told()
        services = AttemptServices(
            api=self.api,
            spawner=self.spawner,
            shipper=self.shipper,  # type: ignore[arg-type]
            outbox=Outbox(self.api, self.clock),
            threads=NoThreads(queue.SimpleQueue()),
            clock=self.clock,
            rules=rules or AttemptRules(),
            stopping=threading.Event(),
            canceling=threading.Event(),
            host_deadline=HostDeadline(self.clock),
            tracing=self.told.tracing(self.clock),
        )
        self.services = services
        task = make_task({"pipelineLogUri": "s3://b/l", "command": "x", **fields})
        self.files = AttemptFiles.of(task, output=folder, default_log_uri=None)
        self.task = task
        entry = self.journal.accept(task, self.files)
        assert entry is not None
        self.entry = entry
        self.attempt = Attempt(task, entry, services)

    def leaves(self, result: Verdict | None, status: int = 0) -> Callable[[Child], None]:
        def ends(child: Child) -> None:
            self.files.log_dir.mkdir(parents=True, exist_ok=True)
            (self.files.log_dir / "StdOutput").write_text("output")
            self.files.scratch.mkdir(parents=True, exist_ok=True)
            if result is not None:
                self.files.result.write_text(json.dumps(verdicts.to_json(result)))
            child.ended(Exit(status=status))

        return ends

    @property
    def verdicts(self) -> list[object]:
        return self.api.named("status")

    def owed(self) -> bool:
        return bool(list(self.journal.open_entries()))


def test_a_task_is_acknowledged_run_shipped_and_told_and_its_scratch_removed(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = bench.leaves(verdicts.FINISHED)
    bench.attempt.run()
    assert [name for name, _ in bench.api.calls] == ["progress", "status"]
    assert bench.verdicts == [verdicts.FINISHED]
    assert [path.name for path, _ in bench.shipper.shipped[0]] == ["StdOutput"]
    assert not bench.files.scratch.exists()
    assert (bench.files.log_dir / "StdOutput").exists()
    assert not bench.owed()
    (role, payload), *_ = bench.spawner.spawned
    assert role == "attempt"
    assert Job.decode(payload).task == make_task({"pipelineLogUri": "s3://b/l", "command": "x"})


def test_an_attempt_is_told_as_a_span_of_its_hand_outs_trace(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    ended = verdicts.failed(ErrorId.COMMAND_FAILED, "what may hold a secret")
    bench.spawner.on_spawn = bench.leaves(ended)
    bench.attempt.run()
    (span,) = bench.told.spans
    assert (span.name, span.task_id, span.is_hand_out) == ("attempt", bench.task.task_id, False)
    assert span.attributes == {
        "taskrunner.pipeline_id": bench.task.pipeline_id,
        "taskrunner.attempt_id": bench.task.attempt_id,
        "taskrunner.type": bench.task.main.type,
        "taskrunner.status": "FAILED",
    }
    assert span.error == ErrorId.COMMAND_FAILED
    assert "secret" not in repr(span)


def test_what_is_not_acknowledged_is_not_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.api.progress = [True]
    bench.files.work_dir.mkdir(parents=True)  # as its process makes it while the service answers
    bench.attempt.run()
    assert [span.attributes["taskrunner.status"] for span in bench.told.spans] == ["not begun"]
    assert bench.spawner.spawned == []
    assert [role for role, _ in bench.spawner.dropped] == ["attempt"]
    assert not bench.files.scratch.exists()
    assert bench.verdicts == []
    assert not bench.owed()
    # A service that gives a task the same id again must not be refused for ever.
    assert bench.journal.accept(bench.task, bench.files) is not None


def test_a_wrong_limit_fails_the_attempt_without_running_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attemptTimeout="soon")
    bench.attempt.run()
    assert bench.spawner.children == []
    (verdict,) = bench.verdicts
    assert isinstance(verdict, Verdict)
    assert verdict.error_id == ErrorId.INVALID_FIELD


@pytest.mark.parametrize(
    "allowance", [Allowance(types=("CopyActivity",)), Allowance(log_uris=("s3://b/logs",))]
)
def test_what_the_operator_does_not_allow_fails_for_good_and_starts_nothing(
    tmp_path: Path, allowance: Allowance
) -> None:
    bench = Bench(tmp_path, rules=AttemptRules(allowance=allowance))
    bench.attempt.run()
    assert bench.spawner.children == []
    (verdict,) = bench.verdicts
    assert isinstance(verdict, Verdict)
    assert (verdict.status, verdict.error_id) == ("FAILED", ErrorId.NOT_ALLOWED)
    assert verdict.error_id in PERMANENT
    assert not bench.owed()


def test_a_timeout_ends_the_process_and_is_told_as_such(tmp_path: Path) -> None:
    bench = Bench(tmp_path, attemptTimeout="1 minute")
    bench.spawner.on_end = bench.leaves(CANCELED)
    bench.attempt.run()
    assert 60 <= bench.clock.elapsed < 62
    assert bench.spawner.ends == [10.0]
    (verdict,) = bench.verdicts
    assert isinstance(verdict, Verdict)
    assert verdict.error_id == ErrorId.TIMEOUT


@pytest.mark.parametrize(("lease", "grace"), [("10 minutes", 10), ("30 seconds", 3)])
def test_a_lost_lease_ends_the_process_before_it_is_over(
    tmp_path: Path, lease: str, grace: float
) -> None:
    bench = Bench(tmp_path, reportProgressTimeout=lease)
    bench.spawner.on_end = bench.leaves(CANCELED)
    bench.attempt.run()
    assert bench.spawner.ends == [pytest.approx(grace)]
    assert bench.verdicts == [verdicts.LEASE_LOST]


def test_a_drain_that_is_cut_short_interrupts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = lambda _child: bench.services.canceling.set()
    bench.spawner.on_end = bench.leaves(CANCELED)
    bench.attempt.run()
    assert bench.spawner.ends
    assert bench.verdicts == [verdicts.INTERRUPTED]


def test_what_would_have_to_end_at_once_is_not_begun(tmp_path: Path) -> None:
    """Its lease is over, since nothing moved here for as long, or the agent must go."""
    clock = FakeClock()
    slow = Bench(tmp_path / "slow", clock=clock, api=SlowApi(clock, 300, 240))
    ending = Bench(tmp_path / "ending")
    ending.services.canceling.set()
    for bench, verdict in ((slow, verdicts.LEASE_LOST), (ending, verdicts.INTERRUPTED)):
        bench.attempt.run()
        assert bench.spawner.spawned == []
        assert len(bench.spawner.dropped) == 1
        assert bench.verdicts == [verdict]
        assert not bench.owed()


def test_the_verdict_is_on_disk_before_the_logs_are_shipped(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = bench.leaves(FAILED)
    bench.shipper.failures = [KeyboardInterrupt()]  # type: ignore[list-item]
    with pytest.raises(KeyboardInterrupt):
        bench.attempt.run()
    (entry,) = bench.journal.open_entries()
    assert entry.verdict == FAILED
    assert bench.verdicts == []


@pytest.mark.parametrize(
    ("result", "error_id", "message"),
    [
        (verdicts.FINISHED, ErrorId.LOGS_NOT_SHIPPED, "no bucket"),
        (FAILED, "CommandFailed", "no (no bucket)"),
    ],
)
def test_logs_that_cannot_be_shipped_are_told(
    tmp_path: Path, result: Verdict, error_id: str, message: str
) -> None:
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = bench.leaves(result)
    bench.shipper.failures = [TaskError("no bucket", error_id=ErrorId.NOT_FOUND)]
    bench.attempt.run()
    (verdict,) = bench.verdicts
    assert isinstance(verdict, Verdict)
    assert (verdict.status, verdict.error_id) == (result.status, error_id)
    assert verdict.error_message == message


def test_a_passing_failure_to_ship_is_tried_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = bench.leaves(verdicts.FINISHED)
    failure = TaskError("reset", error_id=ErrorId.CONNECTION_FAILED)
    bench.shipper.failures = [failure, failure, failure]
    bench.attempt.run()
    assert bench.verdicts == [verdicts.FINISHED]
    assert len(bench.shipper.shipped) == 1


@pytest.mark.parametrize("anew", [False, True])
def test_parts_go_when_the_whole_log_is_there_and_stay_when_they_are_all_there_is(
    tmp_path: Path, *, anew: bool
) -> None:
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = bench.leaves(verdicts.FINISHED)
    bench.entry.part_begun("StdOutput", 0, 4)
    bench.entry.part_pushed("StdOutput", 4)
    if anew:
        # It has grown beyond what was pushed since.
        bench.entry.anew("StdOutput")
    bench.attempt.run()
    part = "StdOutput@000000000000000-000000000000004.gz"
    assert [uri.rpartition("/")[2] for uri in bench.shipper.dropped] == [part] * (not anew)


def test_the_verdict_does_not_wait_for_the_scratch_folder_to_go(tmp_path: Path) -> None:
    """Removing it may take longer than a lease, which nobody keeps any more."""
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = bench.leaves(verdicts.FINISHED)
    there: list[bool] = []
    told = bench.api.set_task_status

    def tell(task_id: str, verdict: Verdict) -> None:
        there.append(bench.files.scratch.exists())
        told(task_id, verdict)

    bench.api.set_task_status = tell  # type: ignore[method-assign]
    bench.attempt.run()
    assert there == [True]
    assert not bench.files.scratch.exists()


class NoMoreThreads(NoThreads):
    """A host whose process ids are used up."""

    def run(self, name: str, work: Callable[[], None]) -> threading.Thread:
        raise RuntimeError("can't start new thread")


def test_without_a_thread_to_report_with_a_task_is_left_to_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    services = replace(bench.services, threads=NoMoreThreads(queue.SimpleQueue()))
    Attempt(bench.task, bench.entry, services).run()
    assert bench.api.calls == []
    assert not bench.owed()
    assert bench.spawner.spawned == []
    assert bench.clock.elapsed >= 30  # or the next task would follow at once


def test_a_service_that_is_away_leaves_the_verdict_owed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.spawner.on_spawn = bench.leaves(verdicts.FINISHED)
    bench.api.statuses = [ServiceUnreachable("away")]
    bench.attempt.run()
    assert bench.owed()
    assert bench.services.outbox.pending() == 1


class JumpingClock(FakeClock):
    """A wall clock that somebody sets by a day, back and forth, whenever it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.jump = timedelta(days=1)

    def now(self) -> datetime:
        self.jump = -self.jump
        return super().now() + self.jump


def test_a_wall_clock_that_is_set_neither_ends_a_task_nor_keeps_it_for_ever(tmp_path: Path) -> None:
    clock = JumpingClock()
    bench = Bench(tmp_path, clock=clock, attemptTimeout="3 minutes")
    bench.spawner.on_end = bench.leaves(CANCELED)
    bench.attempt.run()
    assert 180 <= clock.elapsed < 182
    (verdict,) = bench.verdicts
    assert isinstance(verdict, Verdict)
    assert verdict.error_id == ErrorId.TIMEOUT

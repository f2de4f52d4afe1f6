from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.agent.handouts.attempt import AttemptRules, AttemptServices
from taskrunner.agent.handouts.host_deadline import HostDeadline
from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.handouts.recovery import end_leftovers, recover, verdict_of
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import MARK, AttemptFiles
from taskrunner.agent.journal.journal import Entry, Journal
from taskrunner.agent.lifecycle import Mailbox, Threads
from taskrunner.clock import SystemClock
from taskrunner.errors import ServiceUnreachable, UnknownTask
from taskrunner.host.process_start import process_start_id
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import FakeApi, FakeShipper, FakeSpawner, make_task


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    task = make_task()
    files = AttemptFiles.of(task, output=tmp_path / "out", default_log_uri=None)
    entry = Journal(tmp_path / "journal").accept(task, files)
    assert entry is not None
    files.scratch.mkdir(parents=True)
    return entry


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, verdicts.INTERRUPTED),
        (Verdict(status="CANCELED"), verdicts.INTERRUPTED),
        (verdicts.FINISHED, verdicts.FINISHED),
        (verdicts.failed("X", "y"), verdicts.failed("X", "y")),
    ],
)
def test_a_hand_out_whose_agent_died_gets_what_it_left_or_is_interrupted(
    entry: Entry, result: Verdict | None, expected: Verdict
) -> None:
    if result is not None:
        entry.files.result.write_text(json.dumps(verdicts.to_json(result)))
    assert verdict_of(entry) == expected


def test_leftovers_are_known_by_process_or_by_mark_and_others_are_spared(entry: Entry) -> None:
    environ = dict(os.environ)
    known, marked, stranger = (
        subprocess.Popen(["sleep", "1000"], env=environ | extra)
        for extra in ({}, {MARK: entry.mark}, {MARK: "another"})
    )
    try:
        birth = process_start_id(known.pid)
        assert birth is not None
        entry.started(known.pid, birth)
        assert end_leftovers([entry]) == 2
        assert known.wait(30) == -9
        assert marked.wait(30) == -9
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("change", ["another boot", "another moment"])
def test_a_process_id_that_was_used_again_is_spared(entry: Entry, change: str) -> None:
    birth = process_start_id(os.getpid())
    assert birth is not None
    boot, _, started = birth.partition("/")
    other = {"another boot": f"another/{started}", "another moment": f"{boot}/{started}0"}
    entry.started(os.getpid(), other[change])
    assert end_leftovers([entry]) == 0


class Bucket(FakeShipper):
    """Takes nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.asked = 0

    def ship(self, uploads: Sequence[tuple[Path, str]], *, as_user: str | None = None) -> None:
        self.asked += 1
        assert self.open.wait(60)
        super().ship(uploads)


class Service(FakeApi):
    """Knows which tasks were reported and told."""

    def __init__(self) -> None:
        super().__init__()
        self.reported: set[str] = set()
        self.told: set[str] = set()
        self.all_are_kept = threading.Event()

    def report_task_progress(self, task_id: str, fields: object) -> bool:
        self.reported.add(task_id)
        if len(self.reported) == 6:
            self.all_are_kept.set()
        if task_id == "t0":
            raise UnknownTask("gone", code="TaskNotFoundException")
        if task_id == "t1":
            raise ServiceUnreachable("away")
        return False

    def set_task_status(self, task_id: str, verdict: Verdict) -> None:
        self.told.add(task_id)
        super().set_task_status(task_id, verdict)


def test_what_is_owed_is_kept_while_its_logs_wait_for_a_bucket(tmp_path: Path) -> None:
    journal, service, bucket = Journal(tmp_path / "journal"), Service(), Bucket()
    for number in range(6):
        task = replace(make_task({"pipelineLogUri": "s3://b/l"}), task_id=f"t{number}")
        files = AttemptFiles.of(task, output=tmp_path / "out", default_log_uri=None)
        entry = journal.accept(task, files)
        assert entry is not None
        entry.exited(verdicts.FINISHED)
    mailbox: Mailbox = queue.SimpleQueue()
    clock, began = SystemClock(), threading.Event()
    services = AttemptServices(
        api=service,
        spawner=FakeSpawner(),
        shipper=bucket,  # type: ignore[arg-type]
        outbox=Outbox(service, clock),
        threads=Threads(mailbox),
        clock=clock,
        rules=AttemptRules(),
        stopping=threading.Event(),
        canceling=threading.Event(),
        host_deadline=HostDeadline(clock),
    )
    thread = threading.Thread(target=recover, args=(journal, services, began.set))
    thread.start()
    try:
        assert service.all_are_kept.wait(60)
        assert not service.told
        assert not began.is_set()
    finally:
        bucket.open.set()
        thread.join(60)
    assert began.is_set()
    assert service.told == {f"t{number}" for number in range(6)}
    assert list(journal.open_entries()) == []
    assert mailbox.empty()

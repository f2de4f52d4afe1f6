from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from taskrunner.agent.handouts.outbox import Outbox
from taskrunner.agent.ipc import verdicts
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.journal.journal import Entry, Journal
from taskrunner.errors import CallRefused, NotAuthorized, ServiceUnreachable, UnknownTask
from taskrunner.wire.api import Verdict
from tests.unit.agent.fakes import FakeApi, FakeClock, make_task


class Desk:
    def __init__(self, folder: Path, lease_s: float = 300) -> None:
        self.api = FakeApi()
        self.journal = Journal(folder)
        self.outbox = Outbox(self.api, FakeClock(), lease_s=lease_s, random=Random(1))

    def entry(self, task_id: str = "task-1") -> Entry:
        task = make_task(task_id=task_id)
        files = AttemptFiles.of(task, output=Path("/out"), default_log_uri=None)
        entry = self.journal.accept(task, files)
        assert entry is not None
        entry.exited(verdicts.failed("SomeError", "message", "trace"))
        return entry

    def owed(self) -> bool:
        return bool(list(self.journal.open_entries()))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_verdict_that_is_taken_is_owed_no_more(desk: Desk) -> None:
    desk.outbox.deliver(desk.entry())
    assert not desk.owed()
    assert desk.outbox.pending() == 0


def test_a_verdict_is_sent_again_until_it_is_taken(desk: Desk) -> None:
    desk.api.statuses = [ServiceUnreachable("down")] * 50
    desk.outbox.deliver(desk.entry())
    delays = [desk.outbox.tick() for _ in range(49)]
    assert desk.outbox.pending() == 1
    assert desk.owed()
    assert max(delays) <= 30
    assert delays[0] < delays[10]
    desk.outbox.tick()
    assert not desk.owed()
    assert desk.outbox.pending() == 0
    assert len(desk.api.named("status")) == 51


@pytest.mark.parametrize(("lease_s", "longest_s"), [(60, 6), (300, 30), (3600, 30)])
def test_it_is_tried_several_times_within_a_lease(
    tmp_path: Path, lease_s: float, longest_s: float
) -> None:
    """Nobody reports while it waits: else the task was lost though the service was back in time."""
    desk = Desk(tmp_path, lease_s=lease_s)
    desk.api.statuses = [ServiceUnreachable("down")] * 50
    desk.outbox.deliver(desk.entry())
    delays = [desk.outbox.tick() for _ in range(49)]
    assert longest_s / 2 <= max(delays) <= longest_s


def test_a_verdict_does_not_wait_behind_one_that_is_not_taken(desk: Desk) -> None:
    down = ServiceUnreachable("down")
    desk.api.statuses = [down, down, None, None]
    desk.outbox.deliver(desk.entry("first"))
    desk.outbox.deliver(desk.entry("second"))
    assert desk.outbox.pending() == 2
    desk.outbox.tick()  # the second is taken: the service is there
    assert desk.outbox.pending() == 1
    desk.outbox.deliver(desk.entry("third"))
    assert desk.outbox.pending() == 1
    assert len(desk.api.named("status")) == 4


def test_while_the_service_is_away_no_slot_waits_for_it(desk: Desk) -> None:
    desk.api.statuses = [ServiceUnreachable("down")]
    desk.outbox.deliver(desk.entry("first"))
    desk.outbox.deliver(desk.entry("second"))
    assert len(desk.api.named("status")) == 1
    desk.outbox.tick()
    assert not desk.owed()


def test_a_superseded_verdict_is_dropped(desk: Desk) -> None:
    desk.api.statuses = [UnknownTask("gone", code="TaskNotFoundException")]
    desk.outbox.deliver(desk.entry())
    assert not desk.owed()
    assert len(desk.api.named("status")) == 1


def test_a_verdict_whose_texts_are_refused_goes_without_them(desk: Desk) -> None:
    desk.api.statuses = [CallRefused("bad text", code="InvalidRequestException"), None]
    desk.outbox.deliver(desk.entry())
    assert desk.api.named("status")[1] == Verdict(status="FAILED", error_id="SomeError")
    assert not desk.owed()


def test_without_permission_it_stays_owed(desk: Desk) -> None:
    desk.api.statuses = [NotAuthorized("no", code="AccessDeniedException")]
    desk.outbox.deliver(desk.entry())
    assert desk.owed()
    assert desk.outbox.pending() == 1


def test_a_refused_verdict_stays_owed_when_the_permission_goes_before_the_bare_one(
    desk: Desk,
) -> None:
    desk.api.statuses = [
        CallRefused("bad text", code="InvalidRequestException"),
        NotAuthorized("no", code="ExpiredTokenException"),
    ]
    desk.outbox.deliver(desk.entry())
    assert desk.owed()
    assert desk.outbox.pending() == 1

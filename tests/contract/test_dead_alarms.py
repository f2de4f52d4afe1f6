"""Alarms that nobody got are listed and sent after all, beside the running service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.cli import main
from taskrunner.model.states import AlarmStatus
from taskrunner.service.store import alarms as alarm_store
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, FakePublisher, alarm, shell


@pytest.fixture
def world(database_url: str) -> Iterator[ServiceInProcess]:
    with ServiceInProcess(database_url=database_url) as world:
        yield world


def dead(world: ServiceInProcess) -> str:
    """A pipeline with one alarm that was given up."""
    pipeline = world.run([ON_DEMAND, alarm("Bad"), shell("A", onSuccess={"ref": "Bad"})])
    world.work_off()
    (row,) = world.alarms(pipeline)
    with world.service.store.write() as conn:
        alarm_store.update_alarm(
            conn, row, status=AlarmStatus.FAILED, tries=12, error="away", next_at=None
        )
    return pipeline


def test_a_dead_alarm_is_sent_after_all_and_no_other(world: ServiceInProcess) -> None:
    publisher = FakePublisher()
    world.reset(publisher=publisher)
    first, second = dead(world), dead(world)
    published = len(publisher.published)
    with world.service.store.write() as conn:
        assert alarm_store.retry(conn, world.now, pipeline_id=first, alarm_id="none") == 0
        assert alarm_store.retry(conn, world.now, pipeline_id=first) == 1
    world.settle()
    assert [row.status for row in world.alarms(first)] == ["SENT"]
    assert [row.status for row in world.alarms(second)] == ["FAILED"]
    assert len(publisher.published) == published + 1
    with world.service.store.write() as conn:
        assert alarm_store.retry(conn, world.now) == 1


def test_they_are_listed_and_retried_by_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    options = ("--database-url", url)
    with ServiceInProcess(database_url=url) as world:
        pipeline = dead(world)
        world.run([ON_DEMAND, alarm("Good"), shell("A", onSuccess={"ref": "Good"})])
        world.work_off()
        assert main(["alarms", "list", *options]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert "FAILED" in lines[1]
        assert lines[1].endswith("away")
        assert main(["alarms", "list", "--all", "--format", "json", *options]) == 0
        listed = json.loads(capsys.readouterr().out)["alarms"]
        assert sorted(row["status"] for row in listed) == ["FAILED", "LOGGED"]
        assert main(["alarms", "retry", *options]) == 2
        assert main(["alarms", "retry", pipeline, *options]) == 0
        assert "after all: 1" in capsys.readouterr().out
        assert main(["alarms", "retry", "--all", *options]) == 1
        assert [row.status for row in world.alarms(pipeline)] == ["PENDING"]

from __future__ import annotations

import json
import os
import resource
import threading
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from taskrunner import logs
from taskrunner.agent.logs.agentlog import AgentLogs, HourlyLog, place
from taskrunner.agent.logs.shipping import Done
from taskrunner.errors import ErrorId, TaskError
from tests.unit.agent.fakes import FakeClock

HOUR = 3600.0
FIRST = "TaskRunner.log.2026-02-13-02"
SECOND = "TaskRunner.log.2026-02-13-03"


class Shipper:
    def __init__(self) -> None:
        self.pushed: list[tuple[str, str, int, int]] = []
        self.failure: TaskError | None = None

    def push(
        self,
        path: Path,
        uri: str,
        start: int,
        end: int,
        done: Done,
        *,
        as_user: str | None = None,
    ) -> None:
        self.pushed.append((path.name, uri, start, end))
        done(self.failure)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "logs"
        self.state = folder / "state"
        self.clock = FakeClock()
        self.shipper = Shipper()
        self.start()

    def start(self, *, log_uri: str | None = "s3://b/host") -> None:
        self.hourly = HourlyLog(self.folder, self.clock)
        self.logs = AgentLogs(
            self.hourly,
            self.folder,
            shipper=self.shipper,
            log_uri=log_uri,
            state=self.state,
            keep_days=7.0,
            clock=self.clock,
        )

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def caught() -> Iterator[list[MutableMapping[str, Any]]]:
    """The events that are logged."""
    with structlog.testing.capture_logs() as found:
        yield found


def test_each_hour_has_its_file(bench: Bench) -> None:
    bench.hourly.write("one")
    bench.clock.elapsed += HOUR
    bench.hourly.write("two")
    bench.hourly.write("three")
    assert bench.names() == [FIRST, SECOND]
    assert (bench.folder / SECOND).read_text() == "two\nthree\n"


def test_a_file_is_pushed_once_when_its_hour_is_over(bench: Bench) -> None:
    bench.hourly.write("one")
    bench.logs.tick()
    assert bench.shipper.pushed == []
    bench.clock.elapsed += HOUR
    bench.hourly.write("two")
    bench.logs.tick()
    bench.logs.tick()
    assert bench.shipper.pushed == [(FIRST, f"s3://b/host/{FIRST}.gz", 0, 4)]


def test_at_the_end_the_hours_file_is_pushed_and_again_when_it_has_grown(bench: Bench) -> None:
    bench.hourly.write("one")
    bench.logs.push_all()
    bench.start()
    bench.logs.push_all()
    assert len(bench.shipper.pushed) == 1
    bench.hourly.write("two")
    bench.clock.elapsed += HOUR
    bench.logs.tick()
    assert bench.shipper.pushed[1:] == [(FIRST, f"s3://b/host/{FIRST}.gz", 0, 8)]


def test_what_was_not_pushed_is_tried_again_and_never_removed(bench: Bench) -> None:
    bench.hourly.write("one")
    bench.shipper.failure = TaskError("no", error_id=ErrorId.CONNECTION_FAILED)
    bench.clock.elapsed += 100 * 24 * HOUR
    bench.logs.tick()
    bench.clock.elapsed += 2 * HOUR
    bench.logs.tick()
    assert len(bench.shipper.pushed) == 2
    assert bench.names() == [FIRST]


@pytest.mark.parametrize(
    ("error_id", "kept"), [(ErrorId.ACCESS_DENIED, 24), (ErrorId.CONNECTION_FAILED, 3 * 24)]
)
def test_a_store_that_takes_nothing_is_asked_seldom_and_fills_no_disk(
    bench: Bench, caught: list[MutableMapping[str, Any]], error_id: str, kept: int
) -> None:
    bench.shipper.failure = TaskError("no", error_id=error_id)
    bench.logs.keep_days = 1.0
    for _ in range(3 * 24):
        bench.hourly.write("{}")
        at = bench.clock.now().timestamp()
        os.utime(bench.hourly.current(), (at, at))
        for _ in range(12):
            bench.clock.elapsed += 300
            bench.logs.tick()
    assert kept - 2 <= len(bench.names()) <= kept + 2
    # Twelve times an hour each file would have been thousands.
    assert len(bench.shipper.pushed) < 2 * 3 * 24
    assert 1 <= len(caught) < 10
    bench.shipper.failure, bench.shipper.pushed = None, []
    for _ in range(2):
        bench.clock.elapsed += HOUR
        bench.logs.tick()
    assert len(bench.shipper.pushed) >= kept - 2


@pytest.mark.parametrize("log_uri", ["s3://b/host", None])
def test_old_files_go(bench: Bench, log_uri: str | None) -> None:
    bench.start(log_uri=log_uri)
    bench.hourly.write("one")
    # Files have the test machine's time.
    bench.clock.elapsed = (bench.folder / FIRST).stat().st_mtime - bench.clock.now().timestamp()
    bench.clock.elapsed += 6.9 * 24 * HOUR
    bench.logs.tick()
    assert bench.names() == [FIRST]
    bench.clock.elapsed += 0.2 * 24 * HOUR
    bench.logs.tick()
    assert bench.names() == []
    assert len(bench.shipper.pushed) == (1 if log_uri else 0)


def test_without_descriptors_files_are_pushed_later(bench: Bench) -> None:
    bench.hourly.write("1")
    bench.clock.elapsed += HOUR
    closing = threading.Event()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))

    def meanwhile() -> None:
        if len(bench.clock.waits) == 2:
            bench.logs.push_all()
            assert bench.shipper.pushed == []
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        if len(bench.clock.waits) == 3:
            closing.set()

    bench.clock.meanwhile = meanwhile
    try:
        bench.logs.loop(closing)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [pushed[0] for pushed in bench.shipper.pushed] == [FIRST]


def test_a_folder_that_cannot_be_made_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    HourlyLog(tmp_path / "file" / "logs", FakeClock()).write("lost")


def test_the_place_is_the_work_folders_own_and_stays(tmp_path: Path) -> None:
    first = place("s3://b/logs/", "a/host", tmp_path / "name")
    assert first.startswith("s3://b/logs/TaskRunner/a%2Fhost-")
    assert place("s3://b/logs", "a/host", tmp_path / "name") == first
    assert place("s3://b/logs", "a/host", tmp_path / "other") != first


@pytest.fixture
def copied() -> Iterator[list[str]]:
    lines: list[str] = []
    logs.also_to(lines.append)
    yield lines
    logs.also_to(None)


def test_the_level_holds_for_the_file_too(copied: list[str]) -> None:
    logs.configure(level="error", form="json")
    structlog.get_logger().warning("quiet")
    structlog.get_logger().error("loud")
    assert [json.loads(line)["event"] for line in copied] == ["loud"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_tasks_strings_forge_no_record(
    copied: list[str], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = 'x\n{"event": "forged"}\r\x1b[2J\x1b]0;title\x07\x9b31m\u2028end\x85 level=error'
    logs.configure(form=form)
    structlog.get_logger().warning(hostile, attempt_id=hostile, nested={"a": [hostile]})
    (line,) = copied
    assert line.isascii()
    assert line.isprintable()
    record = json.loads(line)
    assert record["event"] == record["attempt_id"] == record["nested"]["a"][0] == hostile
    shown = capsys.readouterr().err
    assert shown.endswith("\n")
    assert shown[:-1].isprintable()

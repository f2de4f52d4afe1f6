from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.agent.journal.journal import Entry, Journal
from taskrunner.agent.logs.logparts import LogParts, next_part
from taskrunner.agent.logs.shipping import Done
from taskrunner.errors import ErrorId, TaskError
from tests.unit.agent.fakes import FakeClock, make_task

BASE = "s3://b/df-1/Work/@Work_2026-02-13T02:00:00/@Work_2026-02-13T02:00:00_Attempt=1"


class Shipper:
    """Notes what is to be pushed; a test says how it ends."""

    def __init__(self) -> None:
        self.pushed: list[tuple[str, int, int]] = []
        self.ends: list[Done] = []
        self.broken = False

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
        if self.broken:
            done(TaskError("too many open files", error_id=ErrorId.CONNECTION_FAILED))
            return
        assert uri == f"{BASE}/{path.name}@{start:015d}-{end:015d}.gz"
        self.pushed.append((path.name, start, end))
        self.ends.append(done)

    def end(self, error: TaskError | None = None) -> None:
        self.ends.pop(0)(error)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "journal")
        task = make_task()
        files = AttemptFiles.of(task, output=folder / "output", default_log_uri="s3://b")
        files.log_dir.mkdir(parents=True)
        entry = self.journal.accept(task, files)
        assert entry is not None
        self.entry = entry
        self.clock = FakeClock()
        self.shipper = Shipper()
        self.parts = LogParts(self.shipper, self.clock, 60.0)

    def write(self, text: str, name: str = "StdOutput") -> None:
        with (self.entry.files.log_dir / name).open("a") as file:
            file.write(text)

    def later(self, seconds: float = 60.0) -> None:
        self.clock.elapsed += seconds
        self.parts.tick()

    def journaled(self) -> Entry:
        """The hand-out as the next agent would find it."""
        self.journal.close()
        self.journal = Journal(self.journal._folder)
        (entry,) = self.journal.open_entries()
        return entry


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()


def test_each_interval_what_is_new_up_to_the_end_of_a_line(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        bench.write("one\ntw")
        bench.later(59)
        assert bench.shipper.pushed == []
        bench.later(1)
        assert bench.shipper.pushed == [("StdOutput", 0, 4)]
        bench.shipper.end()
        bench.write("o\nthree\n")
        bench.write("log\n", "Activity.log")
        bench.later()
        assert bench.shipper.pushed[1:] == [("Activity.log", 0, 4), ("StdOutput", 4, 14)]
        bench.shipper.end()
        bench.shipper.end()
        bench.later()
        assert len(bench.shipper.pushed) == 3
    found = bench.journaled()
    assert found.parts == [("StdOutput", 0, 4), ("Activity.log", 0, 4), ("StdOutput", 4, 14)]
    assert found.pushed == {"StdOutput": 14, "Activity.log": 4}


def test_a_task_that_is_shorter_than_the_interval_makes_no_parts(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        bench.write("one\n")
        bench.later(59)
    bench.later(60)
    assert bench.shipper.pushed == []


@pytest.mark.parametrize("interval", [0.0, 60.0])
def test_without_interval_or_log_uri_there_are_no_parts(bench: Bench, interval: float) -> None:
    if interval:
        bench.entry.files = AttemptFiles(
            log_dir=bench.entry.files.log_dir, scratch=bench.entry.files.scratch, log_uri=None
        )
    bench.parts.interval_s = interval
    with bench.parts.follow(bench.entry):
        bench.write("one\n")
        bench.later(3600)
    assert bench.shipper.pushed == []


def test_a_part_that_failed_is_pushed_again_as_it_was(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        bench.write("one\n")
        bench.later()
        bench.shipper.end(TaskError("cut", error_id=ErrorId.CONNECTION_FAILED))
        bench.write("two\n")
        bench.later()
        bench.shipper.end()
        bench.later()
        bench.shipper.end()
    assert bench.shipper.pushed == [("StdOutput", 0, 4), ("StdOutput", 0, 4), ("StdOutput", 4, 8)]
    assert bench.entry.parts == [("StdOutput", 0, 4), ("StdOutput", 4, 8)]


def test_a_task_that_runs_for_days_makes_parts_less_often(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        for _ in range(3 * 24 * 60):  # after one day there is one each quarter of an hour
            bench.write("x\n")
            bench.later(60)
            while bench.shipper.ends:
                bench.shipper.end()
    assert 500 < len(bench.shipper.pushed) < 600


def test_without_descriptors_a_part_waits_for_the_next_time(bench: Bench) -> None:
    bench.shipper.broken = True
    with bench.parts.follow(bench.entry):
        bench.write("one\n")
        bench.later()
        bench.shipper.broken = False
        bench.later()
        bench.shipper.end()
    assert bench.entry.pushed == {"StdOutput": 4}


def test_a_refusal_ends_the_parts_of_that_log(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        bench.write("one\n")
        bench.later()
        bench.shipper.end(TaskError("no", error_id=ErrorId.ACCESS_DENIED))
        bench.later()
    assert len(bench.shipper.pushed) == 1


def test_one_part_of_a_log_is_under_way_at_a_time(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        bench.write("one\n")
        bench.later()
        bench.write("two\n")
        bench.later()
        assert len(bench.shipper.pushed) == 1
        bench.shipper.end()


def test_the_end_waits_for_the_part_under_way(bench: Bench) -> None:
    left = threading.Event()

    def follow() -> None:
        with bench.parts.follow(bench.entry):
            bench.write("one\n")
            bench.later()
        left.set()

    thread = threading.Thread(target=follow)
    thread.start()
    while not bench.shipper.ends:
        thread.join(0.01)
    assert not left.is_set()
    bench.shipper.end()
    thread.join()
    assert left.is_set()
    assert bench.entry.pushed == {"StdOutput": 4}


def test_a_log_that_is_begun_anew_gets_no_more_parts(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        bench.write("one\ntwo\n")
        bench.later()
        bench.shipper.end()
        (bench.entry.files.log_dir / "StdOutput").write_text("3\n")
        bench.later()
        bench.write("and much more\n")
        bench.later()
    assert len(bench.shipper.pushed) == 1
    assert bench.journaled().begun_anew == {"StdOutput"}


def test_a_running_task_keeps_the_interval_that_it_began_with(bench: Bench) -> None:
    with bench.parts.follow(bench.entry):
        bench.parts.interval_s = 0.0
        for _ in range(120):
            bench.write("x\n")
            bench.later(1)
            while bench.shipper.ends:
                bench.shipper.end()
    assert len(bench.shipper.pushed) == 2


def test_a_part_is_never_large_and_the_rest_comes_soon(bench: Bench) -> None:
    log = bench.entry.files.log_dir / "StdOutput"
    log.touch()
    with log.open("r+b") as file:
        file.truncate(100 << 20)
    with bench.parts.follow(bench.entry):
        bench.later()
        assert bench.shipper.pushed == [("StdOutput", 0, 64 << 20)]
        bench.shipper.end()
        bench.later(1)
        assert bench.shipper.pushed[1:] == [("StdOutput", 64 << 20, 100 << 20)]
        bench.shipper.end()


def test_what_is_left_out_stands_at_the_head_of_the_part_behind_it(tmp_path: Path) -> None:
    log = tmp_path / "StdOutput"
    log.write_bytes(b"head\n" * 200 + b"x" * 1000 + b"tail\n" * 200 + b"unfinished")
    log.with_name("StdOutput.gap").write_text("1000 2000 0\n")
    assert next_part(log, 0) == (0, 1000)
    assert next_part(log, 1000) == (1000, 3000)
    assert next_part(log, 1500) == (1500, 3000)
    assert next_part(log, 3000) == (3000, 3010)
    assert next_part(log, 3010) is None
    with pytest.raises(ValueError, match="StdOutput"):
        next_part(log, 3011)
    assert next_part(tmp_path / "none", 0) is None

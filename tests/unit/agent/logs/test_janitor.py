from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskrunner.agent.logs.janitor import Janitor, Retention
from taskrunner.agent.logs.shelf import Kept, Shelf
from taskrunner.agent.operations.disk import DiskSpace
from taskrunner.config.kinds import Space
from tests.unit.agent.fakes import FakeClock

DAY = 86400.0


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.in_use: set[Path] = set()
        self.low = False
        self.logs = folder / "output" / "logs"
        self.start()

    def start(self, **limits: float) -> None:
        given = {"days": 7.0, "count": 1000, "size": Space(size=1 << 30), **limits}
        self.janitor = Janitor(
            self.folder / "output",
            self.folder / "kept",
            self.clock,
            Retention(**given),  # type: ignore[arg-type]
            in_use=lambda: self.in_use,
            disk_is_low=lambda: self.low,
            probe=lambda _path: DiskSpace(total=1 << 40, free=1 << 39, inodes_free=None),
        )

    def limits(self, **limits: object) -> None:
        given = {"days": 7.0, "count": 1000, "size": Space(size=1 << 30), **limits}
        self.janitor.retention = Retention(**given)  # type: ignore[arg-type]

    def attempt(self, name: str, *, size: int = 4096, pushed: bool = True) -> Path:
        folder = self.logs / "df-1" / "Work" / f"@{name}" / f"@{name}_Attempt=1"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "StdOutput").write_bytes(b"x" * size)
        log = folder / "Activity.log"
        log.touch()
        now = self.clock.now().timestamp()
        os.utime(log, (now, now))
        self.janitor.keep(folder, pushed=pushed)
        return folder

    def left(self) -> list[str]:
        self.janitor.tick()
        return sorted(path.name for path in self.logs.glob("*/*/*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_oldest_go_first_by_number(bench: Bench) -> None:
    for name in "abc":
        bench.attempt(name)
    bench.limits(count=2)
    assert bench.left() == ["@b", "@c"]
    assert bench.janitor.kept[0] == 2
    bench.limits(count=0)
    assert bench.left() == []
    assert list(bench.logs.iterdir()) == []


def test_the_oldest_go_first_by_size(bench: Bench) -> None:
    for name in "abc":
        bench.attempt(name, size=100_000)
    assert bench.janitor.kept[1] >= 300_000
    bench.limits(size=Space(size=250_000))
    assert bench.left() == ["@b", "@c"]
    assert bench.janitor.kept[1] <= 250_000


def test_they_go_by_age(bench: Bench) -> None:
    bench.attempt("a")
    bench.clock.elapsed += 3 * DAY
    bench.attempt("b")
    bench.clock.elapsed += 4 * DAY
    assert bench.left() == ["@b"]


def test_what_was_never_put_on_the_shelf_stays(bench: Bench) -> None:
    owed = bench.logs / "df-1" / "Work" / "@owed" / "@owed_Attempt=1"
    owed.mkdir(parents=True)
    bench.attempt("a")
    bench.limits(count=0, days=0.0)
    assert bench.left() == ["@owed"]


def test_logs_of_a_running_attempt_stay(bench: Bench) -> None:
    folder = bench.attempt("a")
    bench.in_use.add(folder)
    bench.limits(count=0)
    assert bench.left() == ["@a"]


def test_an_attempt_that_was_handed_out_again_is_judged_by_its_last_end(bench: Bench) -> None:
    bench.attempt("a")
    bench.clock.elapsed += 5 * DAY
    bench.attempt("a")
    bench.clock.elapsed += 5 * DAY
    assert bench.left() == ["@a"]
    assert bench.janitor.kept[0] == 1
    bench.clock.elapsed += 5 * DAY
    assert bench.left() == []


def test_on_a_full_disk_logs_that_are_in_a_store_go_at_once(bench: Bench) -> None:
    bench.attempt("a")
    bench.attempt("b", pushed=False)
    bench.attempt("c")
    bench.low = True
    assert bench.left() == ["@b"]
    assert bench.janitor.kept[0] == 1
    bench.start()
    assert bench.janitor.kept[0] == 1


def test_a_full_disk_costs_no_more_logs_than_it_must(bench: Bench) -> None:
    for name in "abcd":
        bench.attempt(name, pushed=name != "a")
    answers = [True, True, False, False]
    bench.janitor = Janitor(
        bench.folder / "output",
        bench.folder / "kept",
        bench.clock,
        Retention(),
        in_use=set,
        disk_is_low=lambda: answers.pop(0),
    )
    assert bench.left() == ["@a", "@d"]
    assert bench.janitor.kept[0] == 2


def test_the_next_agent_goes_on_where_this_one_was(bench: Bench) -> None:
    for name in "abcd":
        bench.attempt(name)
    bench.limits(count=3)
    bench.left()
    bench.start()
    assert bench.left() == ["@b", "@c", "@d"]
    assert bench.janitor.kept[0] == 3


def test_scratch_folders_of_dead_agents_go_and_new_ones_stay(bench: Bench) -> None:
    tmp = bench.folder / "output" / "tmp"
    for name in ("dead", "owed"):
        (tmp / name / "work").mkdir(parents=True)
    bench.janitor.sweep({tmp / "owed"})
    (tmp / "new").mkdir()
    bench.janitor.tick()
    assert sorted(path.name for path in tmp.iterdir()) == ["new", "owed"]


def test_a_folder_elsewhere_is_not_ours(bench: Bench, tmp_path: Path) -> None:
    bench.janitor.keep(tmp_path / "elsewhere", pushed=True)
    assert bench.janitor.kept[0] == 0


def test_on_a_disk_that_is_full_what_is_kept_is_noted_later(bench: Bench) -> None:
    blocked = bench.folder / "kept"
    blocked.mkdir()
    bench.attempt("a")
    assert bench.janitor.kept[0] == 0
    blocked.rmdir()
    bench.janitor.tick()
    assert bench.janitor.kept[0] == 1


def test_a_shelf_that_cannot_be_read_ends_no_agent_and_is_tried_again(bench: Bench) -> None:
    bench.attempt("a")
    bench.limits(count=0)
    shelf, aside = bench.folder / "kept", bench.folder / "aside"
    shelf.rename(aside)
    shelf.mkdir()  # opening it raises, as it does without descriptors
    closing = threading.Event()

    def meanwhile() -> None:
        if len(bench.clock.waits) == 5:
            shelf.rmdir()
            aside.rename(shelf)
        if len(bench.clock.waits) == 6:
            closing.set()

    bench.clock.meanwhile = meanwhile
    with capture_logs() as logs:
        bench.janitor.loop(closing)
    assert list(bench.logs.iterdir()) == []
    told = [(line["log_level"], line["event"]) for line in logs]
    assert told == [
        ("warning", "a chore of the agent has to wait"),
        ("info", "old logs removed"),
        ("info", "a chore of the agent is done again"),
    ]


def _kept(number: int) -> Kept:
    return Kept(at=float(number), size=number, pushed=True, folder=f"df-1/a folder/@x/{number}")


def test_the_shelf_is_a_queue_that_outlives_the_process(tmp_path: Path) -> None:
    def long(number: int) -> Kept:  # so that the file is soon large enough to be written anew
        return replace(_kept(number), folder=f"{'a folder of a long name/' * 12}{number}")

    shelf = Shelf(tmp_path / "kept")
    for number in range(2_000):
        shelf.put(long(number))
    for number in range(1_900):
        assert shelf.oldest() == long(number)
        shelf.take()
    assert (shelf.count, shelf.size) == (100, sum(range(1_900, 2_000)))
    again = Shelf(tmp_path / "kept")
    # What was taken last stands at the front still, and is known by its folder's absence.
    assert 100 <= again.count < 1_000
    while (kept := again.oldest()) != long(1_900):
        assert kept is not None
        again.take()
    assert again.count == 100


@pytest.mark.parametrize("damage", ["", "nonsense\n", "1 2\n", "a b c d\n", "\udcff\n"])
def test_damaged_lines_are_passed_over(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "kept"
    path.write_text(damage + _kept(5).encode() + "\n", errors="surrogateescape")
    shelf = Shelf(path)
    assert shelf.oldest() == _kept(5)
    shelf.take()
    assert shelf.oldest() is None
    assert shelf.count == 0

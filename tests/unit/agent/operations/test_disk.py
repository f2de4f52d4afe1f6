from __future__ import annotations

from pathlib import Path

import pytest
import structlog

from taskrunner.agent.operations.disk import DiskSpace, DiskWatch, measure
from taskrunner.agent.polling.gate import DISK, OPERATOR, Gate
from taskrunner.config.kinds import Space
from tests.unit.agent.fakes import FakeClock

MB = 1 << 20


class Disk:
    def __init__(self, floor: Space) -> None:
        self.clock = FakeClock()
        self.gate = Gate(self.clock)
        self.free_mb = 10_000
        self.inodes: int | None = None
        self.broken = False
        self.watch = DiskWatch(Path("/w"), floor, self.gate, self.clock, probe=self._probe)

    def _probe(self, _path: Path) -> DiskSpace:
        if self.broken:
            raise OSError(5, "Input/output error")
        return DiskSpace(total=100_000 * MB, free=self.free_mb * MB, inodes_free=self.inodes)

    def shut(self, free_mb: int | None = None, after_s: float = 10) -> bool:
        self.free_mb = self.free_mb if free_mb is None else free_mb
        self.clock.elapsed += after_s
        self.watch.tick()
        return self.gate.is_shut


@pytest.fixture
def disk() -> Disk:
    return Disk(Space(size=512 * MB, percent=2))


def test_a_low_disk_shuts_the_gate_and_space_opens_it_with_a_word_each(disk: Disk) -> None:
    with structlog.testing.capture_logs() as logs:
        shut = [disk.shut(free) for free in (512, 511, 400, 530, 563, 564, 500, 600)]
    assert shut == [False, True, True, True, True, False, True, False]
    assert [entry["log_level"] for entry in logs] == ["warning", "info"] * 2
    assert (logs[0]["free_mb"], logs[0]["floor_mb"]) == (511, 512)


def test_what_is_free_and_wanted_is_said(disk: Disk) -> None:
    disk.shut(100)
    assert disk.gate.closures[DISK].why == "100 MB are free in /w, less than min_free_disk, 512 MB"


def test_a_disk_without_inodes_is_full_too(disk: Disk) -> None:
    disk.inodes = 999
    assert disk.shut()
    assert "999 files can still be made" in disk.gate.closures[DISK].why
    disk.inodes = 1099
    assert disk.shut()
    disk.inodes = 1100
    assert not disk.shut()


def test_the_operators_pause_outlives_the_disks(disk: Disk) -> None:
    disk.gate.shut(OPERATOR, "note")
    disk.shut(1)
    assert list(disk.gate.closures) == [OPERATOR, DISK]
    assert disk.shut(10_000), "an operator has shut it as well"
    assert list(disk.gate.closures) == [OPERATOR]


def test_it_looks_each_ten_seconds_only(disk: Disk) -> None:
    assert not disk.shut(1000, after_s=10)
    assert not disk.shut(1, after_s=9)
    assert disk.shut(1, after_s=1)


def test_a_floor_of_none_and_a_disk_that_does_not_answer_shut_nothing() -> None:
    free = Disk(Space(size=0))
    free.inodes = 0
    assert not free.shut(0)
    silent = Disk(Space(size=512 * MB))
    silent.broken = True
    assert not silent.shut(0)
    assert silent.watch.look() is None


def test_a_real_disk_is_measured(tmp_path: Path) -> None:
    space = measure(tmp_path)
    assert 0 < space.free <= space.total

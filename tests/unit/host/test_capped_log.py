from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from taskrunner.host.capped_log import (
    LEAST,
    Capped,
    Gap,
    copy_log,
    gap_of,
    holes_work,
    marker,
    pieces,
)

MEGABYTE = 1 << 20
LINE = b"%015d\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "StdOutput"
    path.touch()
    if not holes_work(path):
        pytest.skip("the file system of the temporary folder has no holes")
    return path


def _lines(first: int, end: int) -> bytes:
    return b"".join(LINE % number for number in range(first // 16, end // 16))


def _write(path: Path, first: int, end: int) -> None:
    with path.open("ab") as file:
        file.write(_lines(first, end))


def _on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


def _whole(path: Path) -> bytes:
    target = io.BytesIO()
    copy_log(path, target.write)
    return target.getvalue()


def test_a_log_within_its_limit_is_left_alone(log: Path) -> None:
    _write(log, 0, MEGABYTE)
    capped = Capped(log, MEGABYTE)
    capped.look()
    capped.close()
    assert gap_of(log) == Gap(0, 0)
    assert _whole(log) == _lines(0, MEGABYTE)


def test_of_a_long_log_head_and_tail_stay_and_the_gap_says_how_much_is_gone(log: Path) -> None:
    capped = Capped(log, MEGABYTE)
    most = 0
    for start in range(0, 12 * MEGABYTE, MEGABYTE // 4):
        _write(log, start, start + MEGABYTE // 4)
        capped.look()
        most = max(most, _on_disk(log))
    capped.close()
    assert most <= 1.1 * MEGABYTE
    gap = gap_of(log)
    assert gap.start == MEGABYTE // 2
    assert MEGABYTE // 4 <= 12 * MEGABYTE - gap.end <= MEGABYTE // 2
    assert _whole(log) == (
        _lines(0, gap.start) + marker(gap.left_out) + _lines(gap.end, 12 * MEGABYTE)
    )
    assert b"bytes left out by taskrunner's max_log_size" in _whole(log)


def test_a_limit_that_is_hardly_one_is_taken_for_the_least(log: Path) -> None:
    capped = Capped(log, 1)
    _write(log, 0, LEAST)
    capped.look()
    assert gap_of(log).left_out == 0
    _write(log, LEAST, 2 * LEAST)
    capped.close()
    assert gap_of(log).left_out > 0


def test_a_log_that_its_program_begins_anew_is_whole_again(log: Path) -> None:
    capped = Capped(log, MEGABYTE)
    _write(log, 0, 4 * MEGABYTE)
    capped.look()
    os.truncate(log, 0)
    _write(log, 0, 1600)
    assert capped.lost == 0
    capped.look()
    assert capped.lost == 4 * MEGABYTE - 1600
    assert _whole(log) == _lines(0, 1600)
    _write(log, 1600, 4 * MEGABYTE)
    capped.close()
    gap = gap_of(log)
    assert _whole(log).startswith(_lines(0, gap.start) + marker(gap.left_out))


def test_where_nothing_can_be_written_down_the_bytes_go_all_the_same(log: Path) -> None:
    record = log.with_name("StdOutput.gap")
    record.mkdir()
    capped = Capped(log, MEGABYTE)
    _write(log, 0, 4 * MEGABYTE)
    with pytest.raises(OSError, match="directory"):
        capped.look()
    assert _on_disk(log) <= 1.1 * MEGABYTE
    record.rmdir()
    capped.close()
    assert gap_of(log).left_out > 2 * MEGABYTE


def test_ranges_have_the_marker_only_where_they_lack_something(log: Path) -> None:
    capped = Capped(log, MEGABYTE)
    _write(log, 0, 4 * MEGABYTE)
    capped.close()
    gap = gap_of(log)

    def read(start: int, end: int) -> bytes:
        return b"".join(pieces(log, start, end))

    assert read(0, gap.start) == _lines(0, gap.start)
    assert read(gap.end, gap.end + 160) == _lines(gap.end, gap.end + 160)
    assert read(gap.start - 16, gap.start + 16) == _lines(gap.start - 16, gap.start) + marker(16)
    assert read(gap.start + 16, gap.end + 16) == (
        marker(gap.left_out - 16) + _lines(gap.end, gap.end + 16)
    )
    assert read(5 * MEGABYTE, 6 * MEGABYTE) == b""


@pytest.mark.parametrize("record", [b"", b"1 2", b"x y z\n", b"\0" * 60])
def test_a_record_that_is_damaged_is_none(log: Path, record: bytes) -> None:
    log.write_bytes(b"text")
    log.with_name("StdOutput.gap").write_bytes(record)
    assert _whole(log) == b"text"

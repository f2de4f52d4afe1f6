from __future__ import annotations

import os

from taskrunner.data.objects.write_back import WriteBack


class Disk:
    """Notes which parts of a file it was told of."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, int]] = []

    def __call__(self, descriptor: int, start: int, size: int, advice: int) -> None:
        assert (descriptor, advice) == (7, os.POSIX_FADV_DONTNEED)
        self.parts.append((start, size))


def test_the_disk_is_told_of_each_part_once_it_is_written() -> None:
    disk = Disk()
    write_back = WriteBack(7, advise=disk)
    for _ in range(20):
        write_back.written(1 << 20)
    assert disk.parts == [(0, 8 << 20), (8 << 20, 8 << 20)]


def test_a_large_piece_is_one_part() -> None:
    disk = Disk()
    write_back = WriteBack(7, advise=disk)
    write_back.written(100)
    write_back.written(50 << 20)
    write_back.written(100)
    assert disk.parts == [(0, (50 << 20) + 100)]


def test_what_cannot_be_told_is_no_error() -> None:
    reading, writing = os.pipe()
    try:
        WriteBack(writing).written(8 << 20)  # a pipe has no disk
    finally:
        os.close(reading)
        os.close(writing)

"""Pages copied ahead, in real processes: what one notes, the next one need not wait for."""

from __future__ import annotations

import mmap
import os
import resource
from collections.abc import Callable

import pytest

from taskrunner.host.hot_pages import HotPages

_PAGES = 400
_MANY = 1 << 20


@pytest.fixture
def memory() -> bytearray:
    return bytearray(2 * _PAGES * mmap.PAGESIZE)


def _write(memory: bytearray) -> None:
    """To every other page."""
    for page in range(_PAGES):
        memory[2 * page * mmap.PAGESIZE] = 1


def _in_a_child(work: Callable[[], int]) -> int:
    """What a forked process says."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, str(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        said = int(told.read())
    os.waitpid(pid, 0)
    return said


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _faults_after(hot: HotPages, memory: bytearray) -> int:
    """How many faults it takes to write."""
    hot.fetch()
    before = _faults()
    _write(memory)
    return _faults() - before


def _noted(hot: HotPages, memory: bytearray | None) -> int:
    if memory is not None:
        _write(memory)
    hot.note()
    return 0


@pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (5, 14),
    reason="this kernel copies no pages ahead",
)
def test_pages_that_one_process_wrote_to_are_there_for_the_next(memory: bytearray) -> None:
    hot = HotPages(most=_MANY)

    assert _in_a_child(lambda: _faults_after(hot, memory)) >= _PAGES
    _in_a_child(lambda: _noted(hot, memory))
    assert hot.known
    assert _in_a_child(lambda: _faults_after(hot, memory)) < _PAGES / 4
    # The parent's pages are its own still.
    assert not any(memory)


def test_what_one_has_noted_stays(memory: bytearray) -> None:
    hot = HotPages(most=_MANY)
    _in_a_child(lambda: _noted(hot, None))
    _in_a_child(lambda: _noted(hot, memory))
    assert _in_a_child(lambda: _faults_after(hot, memory)) >= _PAGES


def test_a_process_that_wrote_to_much_notes_nothing(memory: bytearray) -> None:
    hot = HotPages(most=_PAGES - 1)
    _in_a_child(lambda: _noted(hot, memory))
    assert not hot.known


def test_pages_that_are_not_there_any_more_are_left_out() -> None:
    hot = HotPages(most=_MANY)

    def in_a_place_of_its_own() -> int:
        place = mmap.mmap(-1, 64 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE)
        place[0] = 1
        hot.note()
        return 0

    _in_a_child(in_a_place_of_its_own)
    assert hot.known
    assert _in_a_child(lambda: _faults_after(hot, bytearray(2 * _PAGES * mmap.PAGESIZE))) >= 0

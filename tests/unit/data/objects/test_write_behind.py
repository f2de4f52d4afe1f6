from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.objects.write_behind import WriteBehind


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    with (tmp_path / "file").open("w+b") as opened:
        yield opened


def content(file: BinaryIO) -> bytes:
    file.flush()
    return Path(file.name).read_bytes()


@given(
    sizes=st.lists(st.integers(0, 300), max_size=12),
    large=st.sampled_from([1, 150, 10_000]),
    most_waiting=st.sampled_from([1, 300]),
)
def test_all_of_it_is_there_in_order(
    sizes: list[int],
    large: int,
    most_waiting: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pieces = [os.urandom(size) for size in sizes]
    path = tmp_path_factory.getbasetemp() / "in-order"
    with (
        path.open("wb") as file,
        closing(WriteBehind(file, large=large, most_waiting=most_waiting)) as behind,
    ):
        assert [behind.write(piece) for piece in pieces] == sizes
        behind.finish()
    assert path.read_bytes() == b"".join(pieces)


def test_only_large_pieces_take_a_thread(file: BinaryIO) -> None:
    with closing(WriteBehind(file, large=100)) as behind:
        behind.write(b"x" * 99)
        assert not writers()
        behind.write(b"y" * 100)
        assert writers()
        behind.write(b"z")
        behind.finish()
    assert not writers()
    assert content(file) == b"x" * 99 + b"y" * 100 + b"z"


def test_what_is_changed_afterwards_is_written_as_it_was(file: BinaryIO) -> None:
    piece = bytearray(b"before")
    with closing(WriteBehind(file, large=1)) as behind:
        behind.write(cast("bytes", piece))
        piece[:] = b"behind"
        behind.finish()
    assert content(file) == b"before"


class Full:
    """A file on a disk that is full; `go` lets it say so."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def fileno(self) -> int:
        return -1

    def write(self, _data: bytes) -> int:
        self.go.wait()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_could_not_be_written_is_raised_by_a_later_call() -> None:
    full = Full()
    with closing(WriteBehind(cast("BinaryIO", full), large=1, most_waiting=10)) as behind:
        behind.write(b"x" * 9)
        full.go.set()
        with pytest.raises(OSError, match="No space left"):
            behind.write(b"y" * 9)


def test_and_by_the_end_at_the_latest() -> None:
    full = Full()
    full.go.set()
    with closing(WriteBehind(cast("BinaryIO", full), large=1)) as behind:
        behind.write(b"x")
        with pytest.raises(OSError, match="No space left"):
            behind.finish()


def writers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("write-behind")]

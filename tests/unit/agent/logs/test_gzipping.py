from __future__ import annotations

import gzip
import io
import random
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from taskrunner.agent.logs.gzipping import BLOCK, Gzip


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def _zipped(executor: Executor, *pieces: bytes) -> bytes:
    target = io.BytesIO()
    stream = Gzip(target.write, executor)
    for piece in pieces:
        stream.add(piece)
    stream.finish()
    return target.getvalue()


@pytest.mark.parametrize(
    "size", [0, 1, 64 << 10, (64 << 10) + 1, BLOCK - 1, BLOCK, BLOCK + 1, 7 * BLOCK + 13]
)
def test_what_comes_out_is_what_went_in(executor: Executor, size: int) -> None:
    data = random.Random(size).randbytes(size // 2) + b"text\n" * (size - size // 2)
    data = data[:size]
    for step in (BLOCK, 1000_003):
        zipped = _zipped(executor, *(data[at : at + step] for at in range(0, size, step)))
        assert gzip.decompress(zipped) == data


def test_it_is_one_member_which_every_reader_takes(executor: Executor) -> None:
    zipped = _zipped(executor, b"line\n" * BLOCK)
    reader = zlib.decompressobj(wbits=31)
    assert len(reader.decompress(zipped)) == 5 * BLOCK
    assert reader.eof
    assert reader.unused_data == b""
    assert len(zipped) < BLOCK / 10


def test_a_failure_to_write_is_raised(executor: Executor) -> None:
    def write(data: bytes) -> None:
        if len(data) > 10:
            raise OSError(28, "full")

    stream = Gzip(write, executor)
    stream.add(random.Random(1).randbytes(BLOCK))
    with pytest.raises(OSError, match="full"):
        stream.finish()

from __future__ import annotations

import gzip
import io
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.formats.compression import (
    GzipWriter,
    compressing,
    decompressing,
    gunzipped,
)
from taskrunner.errors import TaskError


class Slow(io.BytesIO):
    """Gives a few bytes at a time, as a network does."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size or 7))


def gunzip(data: bytes) -> bytes:
    return b"".join(gunzipped(Slow(data), source="s3://bucket/key"))


def test_what_is_written_is_gzip_and_always_the_same() -> None:
    outputs = []
    for _ in range(2):
        target = io.BytesIO()
        writer = GzipWriter(target)
        for n in range(1000):
            writer.write(b"%d,some text\n" % n)
        writer.finish()
        outputs.append(target.getvalue())
    assert outputs[0] == outputs[1]
    assert gzip.decompress(outputs[0]).startswith(b"0,some text\n1,")


def test_members_follow_each_other() -> None:
    assert gunzip(gzip.compress(b"one\n") + gzip.compress(b"two\n")) == b"one\ntwo\n"


def test_nothing_is_nothing() -> None:
    assert gunzip(b"") == b""
    assert gunzip(gzip.compress(b"")) == b""


def test_little_input_may_be_much_output() -> None:
    pieces = list(gunzipped(io.BytesIO(gzip.compress(bytes(50_000_000))), source="s"))
    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= 1 << 18


@pytest.mark.parametrize("cut", [1, 8, 9, 20])
def test_a_cut_is_noticed(cut: int) -> None:
    with pytest.raises(TaskError, match="ends in the middle"):
        gunzip(gzip.compress(b"some text that is not so short")[:-cut])


def test_other_bytes_are_refused() -> None:
    with pytest.raises(TaskError, match="s3://bucket/key"):
        gunzip(b"1,2,3\n")


def test_a_wrong_checksum_is_noticed() -> None:
    data = bytearray(gzip.compress(b"some text that is not so short"))
    data[-6] ^= 1
    with pytest.raises(TaskError, match=r"s3://bucket/key: the gzip data cannot be read"):
        gunzip(bytes(data))


@given(st.integers(0, 3 << 18), st.integers(1, 300_000), st.booleans())
def test_any_length_comes_back(length: int, size: int, random: bool) -> None:
    """Also where the room for output ends with the input, so that some is kept inside."""
    data = Random(length).randbytes(length) if random else bytes(length)
    packed = io.BytesIO()
    with compressing(packed) as put:
        for start in range(0, length, size):
            put(data[start : start + size])
    assert gzip.decompress(packed.getvalue()) == data
    with decompressing(io.BytesIO(packed.getvalue()), source="s") as pieces:
        assert b"".join(pieces) == data


def test_what_fails_to_be_written_is_raised() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise TaskError("no space left")

    with pytest.raises(TaskError, match="no space left"), compressing(Full()) as put:
        put(b"data")

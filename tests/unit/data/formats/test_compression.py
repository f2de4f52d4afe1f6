from __future__ import annotations

import gzip
import io
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.data.formats.compression import (
    Compression,
    Growth,
    GzipWriter,
    ZstdWriter,
    compressing,
    decompressing,
    gunzipped,
    plain_bytes,
    unzstded,
)
from taskrunner.errors import PermanentTaskError, TaskError


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


def unpacked(data: bytes, how: Compression) -> bytes:
    """By the library itself, at once."""
    if how is Compression.GZIP:
        return gzip.decompress(data)
    found: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 20)
    return found


PACKED = [Compression.GZIP, Compression.ZSTD]


@given(st.sampled_from(PACKED), st.integers(0, 3 << 18), st.integers(1, 300_000), st.booleans())
def test_any_length_comes_back(how: Compression, length: int, size: int, random: bool) -> None:
    """Also where the room for output ends with the input, so that some is kept inside."""
    # In thousands of pieces at most: each goes through a thread.
    size = max(size, length >> 12)
    data = Random(length).randbytes(length) if random else bytes(length)
    packed = io.BytesIO()
    with compressing(packed, how) as put:
        for start in range(0, length, size):
            put(data[start : start + size])
    assert unpacked(packed.getvalue(), how) == data
    with decompressing(io.BytesIO(packed.getvalue()), source="s", compression=how) as pieces:
        assert b"".join(pieces) == data


def test_what_fails_to_be_written_is_raised() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise TaskError("no space left")

    with pytest.raises(TaskError, match="no space left"), compressing(Full()) as put:
        put(b"data")


def zstd(data: bytes) -> bytes:
    target = io.BytesIO()
    writer = ZstdWriter(target)
    writer.write(data)
    writer.finish()
    return target.getvalue()


def unzstd(data: bytes) -> bytes:
    return b"".join(unzstded(Slow(data), source="s3://bucket/key"))


def test_frames_of_zstd_follow_each_other_and_some_may_be_skipped() -> None:
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    assert unzstd(zstd(b"one\n") + skipped + zstd(b"two\n")) == b"one\ntwo\n"
    assert unzstd(b"") == unzstd(zstd(b"")) == b""
    assert zstd(b"the same") == zstd(b"the same")


def test_little_zstd_may_be_much_output() -> None:
    pieces = list(unzstded(io.BytesIO(zstd(bytes(50_000_000))), source="s"))
    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= 1 << 18


@pytest.mark.parametrize("cut", [1, 4, 9, 20])
def test_a_cut_in_zstd_is_noticed(cut: int) -> None:
    with pytest.raises(TaskError, match="s3://bucket/key: the object ends in the middle of its zs"):
        unzstd(zstd(b"some text that is not so short")[:-cut])


def test_zstd_that_is_none_or_damaged_is_refused() -> None:
    with pytest.raises(TaskError, match="s3://bucket/key: the zstd data cannot be read"):
        unzstd(b"1,2,3\n" * 3)
    data = bytearray(zstd(b"some text that is not so short"))
    data[-6] ^= 1
    with pytest.raises(TaskError, match="the zstd data cannot be read"):
        unzstd(bytes(data))


@pytest.mark.parametrize("how", PACKED)
def test_what_was_made_to_fill_a_disk_is_refused(how: Compression) -> None:
    zeros = bytes(20_000_000)
    data = gzip.compress(zeros) if how is Compression.GZIP else zstd(zeros)
    read = gunzipped if how is Compression.GZIP else unzstded
    given: list[int] = []
    pieces = read(io.BytesIO(data), source="x", growth=Growth(times=500, free=1 << 20))
    with pytest.raises(PermanentTaskError, match=r"^x: found .* wanted at most 500 times as much"):
        given.extend(map(len, pieces))
    assert sum(given) < 15_000_000


@pytest.mark.parametrize("how", PACKED)
def test_compressed_data_are_not_taken_for_plain_ones(how: Compression) -> None:
    data = gzip.compress(b"x") if how is Compression.GZIP else zstd(b"x")
    with pytest.raises(PermanentTaskError, match=f"x holds {how} data: set the data node's compr"):
        list(plain_bytes(io.BytesIO(data), Compression.NONE, source="x"))

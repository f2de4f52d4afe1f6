from __future__ import annotations

import hashlib
import zlib

import pytest

from taskrunner.data.objects.digest import Digest, is_md5, parts_in
from taskrunner.data.objects.s3_parts import PART_SIZE


def _digest(data: bytes, step: int = 1 << 20) -> Digest:
    digest = Digest()
    for at in range(0, len(data), step):
        digest.add(data[at : at + step])
    return digest


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def test_the_etag_of_a_small_object_is_its_md5() -> None:
    assert _digest(b"abc").etag == _md5(b"abc").hex()
    assert Digest().etag == _md5(b"").hex()


@pytest.mark.parametrize("extra", [0, 1, PART_SIZE - 1])
def test_the_etag_of_a_large_object_is_made_of_those_of_its_parts(extra: int) -> None:
    data = bytes(range(256)) * ((2 * PART_SIZE) // 256) + b"x" * extra
    parts = [data[at : at + PART_SIZE] for at in range(0, len(data), PART_SIZE)]
    wanted = f"{_md5(b''.join(map(_md5, parts))).hex()}-{len(parts)}"
    assert _digest(data).etag == wanted
    assert _digest(data, step=7_000_001).etag == wanted


@pytest.mark.parametrize("size", [1, 9, 10, 11, 20, 25])
def test_parts_may_have_any_size(size: int) -> None:
    data = bytes(range(size))
    digest = Digest(lambda _number: 10)
    for byte in data:
        digest.add(bytes([byte]))
    parts = [data[at : at + 10] for at in range(0, size, 10)]
    of_parts = f"{_md5(b''.join(map(_md5, parts))).hex()}-{len(parts)}"
    assert digest.etag == (of_parts if size >= 10 else _md5(data).hex())
    assert (digest.size, digest.crc) == (size, zlib.crc32(data))


@pytest.mark.parametrize("size", [20, 25, 30, 41])
def test_parts_that_were_added_up_apart_are_joined(size: int) -> None:
    data = bytes(range(size))
    whole, digest = Digest(lambda _number: 10), Digest(lambda _number: 10, with_crc=False)
    whole.add(data)
    digest.add(data[:10])
    behind = Digest(lambda _number: 10, with_crc=False)
    behind.add(memoryview(data)[10:])
    digest.join(behind)
    assert (digest.size, digest.etag) == (size, whole.etag)


def test_what_an_etag_looks_like() -> None:
    assert is_md5("0" * 32)
    assert not any(is_md5(text) for text in ("", "0" * 31, "0" * 33, "G" * 32, f"{'0' * 32}-1"))
    assert parts_in(f"{'0' * 32}-12") == 12
    assert [parts_in(text) for text in ("0" * 32, f"{'0' * 32}-0", f"{'0' * 31}-1", "-1")] == [
        0
    ] * 4

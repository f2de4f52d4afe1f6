"""A large object is put where it belongs, and its check sees all of it, whatever the check."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import zlib
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ReadTimeoutError

from taskrunner.data.objects.s3_checks import (
    Check,
    ChecksumCheck,
    CompositeCheck,
    EtagCheck,
    Parts,
)
from taskrunner.data.objects.s3_pouring import Pouring

if TYPE_CHECKING:
    from botocore.response import StreamingBody

SIZE, PART = 100_003, 3_000
DATA = os.urandom(SIZE)
ETAG = '"x"'
EQUAL = Parts(lambda _number: PART, equal=PART)


def md5(data: bytes) -> Any:
    return hashlib.md5(data, usedforsecurity=False)


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


PIECES = [DATA[start : start + PART] for start in range(0, SIZE, PART)]
OF_PARTS = f"{md5(b''.join(md5(piece).digest() for piece in PIECES)).hexdigest()}-{len(PIECES)}"
CRC_OF_PARTS = base64.b64encode(crc32(b"".join(map(crc32, PIECES)))).decode() + f"-{len(PIECES)}"


def checks() -> dict[str, Check | None]:
    return {
        "none": None,
        "md5": EtagCheck(md5(DATA).hexdigest(), Parts(lambda _number: 1 << 62)),
        "parts": EtagCheck(OF_PARTS, EQUAL),
        "other parts": EtagCheck(OF_PARTS, Parts(EQUAL.size_of)),
        "crc32": ChecksumCheck("ChecksumCRC32", base64.b64encode(crc32(DATA)).decode()),
        "sha256": ChecksumCheck(
            "ChecksumSHA256", base64.b64encode(hashlib.sha256(DATA).digest()).decode()
        ),
        "crc32 of parts": CompositeCheck(CRC_OF_PARTS, EQUAL),
    }


class Body:
    """An answer's bytes; the exception comes behind them."""

    def __init__(self, data: bytes, error: Exception | None = None) -> None:
        self._left = memoryview(data)
        self._error = error
        self._raw_stream = self
        self.is_closed = False

    def readinto(self, into: memoryview) -> int:
        if not self._left and self._error is not None:
            raise self._error
        count = min(len(into), len(self._left), 700)
        into[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        self.is_closed = True


class Store:
    """Answers requests for ranges; the one that begins at `fault` breaks off."""

    def __init__(self, data: bytes, *, fault: int = -1) -> None:
        self._data = data
        self._fault = fault
        self.asked: list[tuple[int, int]] = []
        self.bodies: list[Body] = []

    def __call__(self, asked: str) -> dict[str, Any]:
        found = re.fullmatch("bytes=([0-9]+)-([0-9]+)", asked)
        assert found
        start, end = int(found[1]), int(found[2]) + 1
        self.asked.append((start, end))
        error = ReadTimeoutError(endpoint_url="", error="") if start == self._fault else None
        body = Body(self._data[start : end - 10 if error else end], error)
        self.bodies.append(body)
        given = f"bytes {start}-{end - 1}/{SIZE}"
        return {"ETag": ETAG, "ContentRange": given, "Body": body}


class File:
    def __init__(self) -> None:
        self.content = bytearray(SIZE)
        self.settled = 0

    def write(self, _data: bytes, /) -> int:
        raise AssertionError

    def write_at(self, data: memoryview, start: int, /) -> None:
        self.content[start : start + len(data)] = data

    def read_at(self, into: memoryview, start: int, /) -> None:
        into[:] = self.content[start : start + len(into)]

    def settle(self, size: int, /) -> None:
        self.settled += size


def pouring(
    get: Store, file: File, check: Check | None, *, first: bytes = DATA, start: int = 0
) -> tuple[Pouring, Body]:
    body = Body(first)
    made = Pouring(
        cast("StreamingBody", body),
        get,
        file,
        start=start,
        size=SIZE,
        etag=ETAG,
        check=check,
        about=10_000,
    )
    return made, body


@pytest.mark.parametrize("kind", checks())
@pytest.mark.parametrize("flipped", [None, 0, 50_000, SIZE - 1])
def test_all_of_it_is_put_and_seen(kind: str, flipped: int | None) -> None:
    came = bytearray(DATA)
    if flipped is not None:
        came[flipped] ^= 1
    check, file = checks()[kind], File()
    made, first = pouring(Store(bytes(came)), file, check, first=bytes(came))
    assert sum(made.run()) == file.settled == SIZE
    assert file.content == came
    assert check is None or check.holds() == (flipped is None)
    assert first.is_closed


@pytest.mark.parametrize("kind", ["parts", "crc32 of parts"])
def test_ranges_are_some_of_the_parts_that_it_was_uploaded_in(kind: str) -> None:
    store = Store(DATA)
    made, _ = pouring(store, File(), checks()[kind])
    list(made.run())
    assert sorted(store.asked)[:2] == [(3 * PART, 6 * PART), (6 * PART, 9 * PART)]


@pytest.mark.parametrize("kind", checks())
def test_what_breaks_off_ends_it_and_another_goes_on(kind: str) -> None:
    length = 3 * PART if "parts" in kind and "other" not in kind else 10_000
    store, file, check = Store(DATA, fault=4 * length), File(), checks()[kind]
    made, first = pouring(store, file, check)
    assert sum(made.run()) == file.settled == 4 * length
    assert first.is_closed
    assert not made.goes_on
    rest, _ = pouring(Store(DATA), file, check, first=DATA[4 * length :], start=4 * length)
    assert sum(rest.run()) == SIZE - 4 * length
    assert file.content == DATA
    assert check is None or check.holds()


def test_a_first_answer_that_breaks_off_is_of_no_use() -> None:
    made, first = pouring(Store(DATA), File(), None, first=DATA[:9_999])
    assert list(made.run()) == []
    assert first.is_closed
    assert not made.goes_on


def test_one_that_alone_comes_is_to_be_gone_on_with() -> None:
    made, first = pouring(Store(DATA, fault=10_000), File(), None)
    assert list(made.run()) == [10_000]
    assert made.goes_on
    assert not first.is_closed


def test_whoever_wants_no_more_ends_it() -> None:
    store = Store(DATA)
    made, _ = pouring(store, File(), None)
    counts = made.run()
    assert next(counts) == 10_000
    counts.close()
    assert len(store.asked) < SIZE // 10_000
    assert all(body.is_closed for body in store.bodies)

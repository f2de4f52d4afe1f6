"""Which of the things that a store says of an object its bytes are held to."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from taskrunner.data.objects.location import parse
from taskrunner.data.objects.s3_checks import (
    Check,
    CheckApart,
    CompositeCheck,
    EtagCheck,
    Known,
    Parts,
    known_of,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PLACE = parse("s3://bucket/key")
DATA = bytes(range(250))
LARGE = 32 << 20
#: The sizes of the parts that DATA was uploaded in.
PARTS = [100, 100, 50]


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def composite(sizes: list[int]) -> str:
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    sums = [crc32(DATA[start : start + size]) for start, size in zip(starts, sizes, strict=True)]
    return f"{base64.b64encode(crc32(b''.join(sums))).decode()}-{len(sizes)}"


class Store:
    """Answers HEAD: of a part its size, if it knows parts, and of the whole what it is told to."""

    def __init__(self, head: Mapping[str, Any] | None, parts: list[int] | None = None) -> None:
        self._head = head
        self._parts = parts
        self.asked = 0

    def head_object(self, **request: Any) -> dict[str, Any]:
        self.asked += 1
        if self._head is None:
            raise ClientError({"Error": {"Code": "403"}}, "HeadObject")
        if "PartNumber" in request and self._parts is not None:
            return {"ContentLength": self._parts[request["PartNumber"] - 1]}
        return {"ContentLength": len(DATA), **self._head}


def known(store: Store, *, size: int, etag: str = "", md5_etags: bool = True) -> Known:
    etag = etag or hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    reply = {"ETag": f'"{etag}"', "ContentLength": size}
    return known_of(cast("S3Client", store), PLACE, reply, md5_etags=md5_etags)


def holds(check: Check | None, data: bytes) -> bool:
    assert check is not None
    for start in range(0, len(data), 30):
        check.add(data[start : start + 30])
    return check.holds()


def test_of_a_small_object_in_one_piece_nothing_more_is_asked() -> None:
    store = Store({"ChecksumCRC32": "AAAAAA=="})
    assert holds(known(store, size=LARGE - 1).check, DATA)
    assert store.asked == 0


@pytest.mark.parametrize("data", [DATA, DATA[:-1] + b"x"])
def test_a_large_one_is_held_to_its_crc32_where_it_has_one(data: bytes) -> None:
    store = Store({"ChecksumCRC32": base64.b64encode(crc32(DATA)).decode()})
    check = known(store, size=LARGE).check
    assert not isinstance(check, EtagCheck)
    assert holds(check, data) == (data == DATA)


@pytest.mark.parametrize("head", [None, {}, {"ChecksumCRC64NVME": "AAAAAAAAAAA="}])
@pytest.mark.parametrize("data", [DATA, DATA[:-1] + b"x"])
def test_and_to_its_etag_where_it_has_none(head: Mapping[str, Any] | None, data: bytes) -> None:
    check = known(Store(head), size=LARGE).check
    assert isinstance(check, EtagCheck)
    assert holds(check, data) == (data == DATA)


@pytest.mark.parametrize("sizes", [PARTS, [60, 100, 90], [250]])
@pytest.mark.parametrize("md5_etags", [True, False])
@pytest.mark.parametrize("data", [DATA, b"x" + DATA[1:], DATA[:-1], DATA + b"x"])
def test_parts_are_held_to_the_crc32_that_is_made_of_theirs(
    sizes: list[int], md5_etags: bool, data: bytes
) -> None:
    head = {"ChecksumCRC32": composite(sizes), "ChecksumType": "COMPOSITE"}
    etag = f"{'0' * 32}-{len(sizes)}"
    check = known(Store(head, sizes), size=250, etag=etag, md5_etags=md5_etags).check
    assert isinstance(check, CompositeCheck)
    assert check.is_sure()
    assert holds(check, data) == (data == DATA)


def test_of_parts_whose_sizes_nobody_tells_nothing_is_known() -> None:
    head = {"ChecksumCRC32": composite(PARTS), "ChecksumType": "COMPOSITE"}
    found = known(Store(head), size=250, etag=f"{'0' * 32}-3")
    assert found == Known(None, 250)


class Broken:
    """Cannot add anything up."""

    told = ""

    def add(self, _data: bytes | memoryview, /) -> None:
        raise MemoryError

    def holds(self) -> bool:
        return True

    def is_sure(self) -> bool:
        return True


@pytest.mark.parametrize("data", [DATA, DATA[:-1] + b"x"])
def test_a_sum_that_another_thread_makes_is_the_same(data: bytes) -> None:
    etag = hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    check = CheckApart(EtagCheck(etag, Parts(lambda _number: 100 << 20)))
    try:
        assert holds(check, data) == (data == DATA)
    finally:
        check.close()


def test_what_another_thread_failed_with_is_raised() -> None:
    check = CheckApart(Broken())
    try:
        check.add(b"x")
        with pytest.raises(MemoryError):
            check.holds()
    finally:
        check.close()


def test_parts_that_only_seem_to_be_equal_prove_nothing() -> None:
    sizes = [90, 100, 60]
    head = {"ChecksumCRC32": composite(sizes), "ChecksumType": "COMPOSITE"}
    check = known(Store(head, sizes), size=250, etag=f"{'0' * 32}-3").check
    assert not holds(check, DATA)
    assert check is not None
    assert not check.is_sure()

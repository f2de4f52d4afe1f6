"""What the store says of a whole object, to hold the bytes that came against it.

The ETag is it where it is an MD5 sum, or one of parts whose sizes the store tells; failing that,
one of the checksums that the object was uploaded with. Where there is neither, only the size is
compared: of objects under a key of a KMS, say, that were uploaded without a checksum.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import botocore.exceptions as aws

from taskrunner.data.objects.digest import Digest, is_md5, parts_in
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_sums import crc32

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Of an object in more parts their sizes are not asked for, one by one.
_MOST_PARTS = 1000
#: No part is larger: an object in one piece.
_ONE_PIECE = 1 << 62
#: Buckets of S3 Express One Zone end so: their ETags are no checksums, their listings unordered.
_DIRECTORY_BUCKET = "--x-s3"


class _Crc32:
    """CRC-32 with the face of a hash."""

    def __init__(self) -> None:
        self._crc = 0

    def update(self, data: bytes, /) -> None:
        self._crc = crc32(data, self._crc)

    def digest(self) -> bytes:
        return self._crc.to_bytes(4, "big")


#: The cheapest first. The newer ones of S3 (CRC-32C, CRC-64/NVME) take a library that is not here.
_CHECKSUMS: Mapping[str, Callable[[], Any]] = {
    "ChecksumCRC32": _Crc32,
    "ChecksumSHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "ChecksumSHA256": hashlib.sha256,
}


class Check(Protocol):
    """Takes an object's bytes; knows whether they are those that the store has."""

    def add(self, data: bytes, /) -> None:
        """The next bytes."""
        ...

    def holds(self) -> bool:
        """Whether all of them have been seen, unchanged."""
        ...

    def is_sure(self) -> bool:
        """Whether, where it does not hold, the bytes are others for certain."""
        ...

    @property
    def told(self) -> str:
        """What does not agree, in words."""
        ...


class EtagCheck:
    """Against an ETag made of MD5 sums."""

    def __init__(
        self,
        etag: str,
        size_of_part: Callable[[int], int],
        is_sure: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_sure` says whether the parts' sizes are those, which may be costly to know."""
        self._etag = etag
        self.is_sure = is_sure
        self._digest = Digest(size_of_part, with_crc=False)
        self.add = self._digest.add

    def holds(self) -> bool:
        """Whether the bytes so far have this ETag."""
        return self._digest.etag == self._etag

    @property
    def told(self) -> str:
        """Both ETags, and the way out for a store that does as it likes."""
        return (
            f"its ETag is {self._etag}, that of what came {self._digest.etag} (where a store's "
            'ETags are no MD5 sums, set s3_etags = "opaque")'
        )


class ChecksumCheck:
    """Against a checksum that the object was uploaded with."""

    def __init__(self, name: str, value: str) -> None:
        self._sum = _CHECKSUMS[name]()
        self._name = name
        self._value = value
        self.add = self._sum.update

    def holds(self) -> bool:
        """Whether the bytes so far have this checksum."""
        return self._found == self._value

    def is_sure(self) -> bool:
        """There is nothing to be known but the bytes."""
        return True

    @property
    def told(self) -> str:
        """Both checksums."""
        return f"its {self._name} is {self._value}, that of what came {self._found}"

    @property
    def _found(self) -> str:
        return base64.b64encode(self._sum.digest()).decode()


def is_directory_bucket(bucket: str) -> bool:
    """Whether a bucket is one of S3 Express One Zone's."""
    return bucket.endswith(_DIRECTORY_BUCKET)


def etags_are_sums(reply: Mapping[str, Any], bucket: str) -> bool:
    """Whether the ETag in a reply is made of MD5 sums, if it looks like one."""
    encryption = str(reply.get("ServerSideEncryption", ""))
    of_caller = reply.get("SSECustomerAlgorithm")
    return not (encryption.startswith("aws:kms") or of_caller or is_directory_bucket(bucket))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a whole object before its bytes have come."""

    #: How to check them; None where the store says nothing to hold them against.
    check: Check | None
    #: None where it was not asked for.
    size: int | None = None


def known_of(
    client: S3Client, location: Location, reply: Mapping[str, Any], *, md5_etags: bool
) -> Known:
    """What can be known of the object that a GET's reply is of."""
    etag = str(reply["ETag"]).strip('"')
    sums = md5_etags and etags_are_sums(reply, location.bucket)
    if sums and is_md5(etag):
        return Known(EtagCheck(etag, lambda _number: _ONE_PIECE))
    about: dict[str, Any] = {"Bucket": location.bucket, "Key": location.key}
    try:
        head = client.head_object(**about, IfMatch=reply["ETag"], ChecksumMode="ENABLED")
        size = head["ContentLength"]
        check: Check | None = _of_checksums(head)
        if check is None and sums and 0 < (count := parts_in(etag)) <= _MOST_PARTS:
            check = _of_parts(client, about, etag, size, count)
    except (aws.ClientError, aws.BotoCoreError, KeyError):
        return Known(None)
    return Known(check, size)


def _of_parts(
    client: S3Client, about: dict[str, Any], etag: str, size: int, count: int
) -> Check | None:
    """By the sizes of the parts: as a rule all but the last one have that of the first."""

    def size_of(number: int) -> int:
        return client.head_object(**about, PartNumber=number)["ContentLength"]

    first = size_of(1)
    if (count - 1) * first < size <= count * first:

        def are_equal() -> bool:
            return all(size_of(number) == first for number in range(2, count))

        return EtagCheck(etag, lambda _number: first, are_equal)
    sizes = [first, *map(size_of, range(2, count + 1))]
    # A store that does not know of part numbers tells the size of the whole each time.
    if sum(sizes) != size:
        return None
    return EtagCheck(etag, lambda number: sizes[number - 1] if number <= count else 1)


def _of_checksums(head: Mapping[str, Any]) -> Check | None:
    for name in _CHECKSUMS:
        value = head.get(name)
        # A dash, too, says that it is made of the parts' checksums.
        if isinstance(value, str) and "-" not in value and head.get("ChecksumType") != "COMPOSITE":
            return ChecksumCheck(name, value)
    return None

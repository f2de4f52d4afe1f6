"""What the store says of a whole object, to hold the bytes that came against it.

The ETag is it where it is an MD5 sum; but a checksum that a large object was uploaded with comes
first, since it takes less time to make. Failing both, it is the ETag or the CRC-32 of parts whose
sizes the store tells. Where there is nothing of the kind, only the size is compared: of objects
under a key of a KMS, say, that were uploaded without a checksum.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import botocore.exceptions as aws

from taskrunner.data.objects.digest import Digest, is_md5, parts_in
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_sums import crc32, crc32_joined

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Of an object in more parts their sizes are not asked for, one by one.
_MOST_PARTS = 1000
#: No part is larger: an object in one piece.
_ONE_PIECE = 1 << 62
#: An MD5 sum of so much takes longer than to ask whether there is another one.
_LARGE = 32 << 20
#: Pieces that wait to be added up by another thread, each as long as whoever reads asks for.
_MOST_WAITING = 4
#: Buckets of S3 Express One Zone end so: their ETags are no checksums, their listings unordered.
_DIRECTORY_BUCKET = "--x-s3"


class _Crc32:
    """CRC-32 with the face of a hash."""

    def __init__(self) -> None:
        self._crc = self._size = 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._crc = crc32(data, self._crc)
        self._size += len(data)

    def join(self, behind: _Crc32) -> None:
        self._crc = crc32_joined(self._crc, behind._crc, behind._size)
        self._size += behind._size

    def digest(self) -> bytes:
        return self._crc.to_bytes(4, "big")


class _Crc32Section:
    """Some bytes' CRC-32, and how many they are."""

    def __init__(self) -> None:
        self.sum = _Crc32()
        self.add = self.sum.update


_CRC32 = "ChecksumCRC32"
#: The cheapest first. The newer ones of S3 (CRC-32C, CRC-64/NVME) take a library that is not here.
_CHECKSUMS: Mapping[str, Callable[[], Any]] = {
    _CRC32: _Crc32,
    "ChecksumSHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "ChecksumSHA256": hashlib.sha256,
}


#: A checksum of parts' checksums, and how many they are.
_OF_PARTS = re.compile(r"[A-Za-z0-9+/]{6}==-([1-9][0-9]*)")


class Check(Protocol):
    """Takes an object's bytes; knows whether they are those that the store has."""

    def add(self, data: bytes | memoryview, /) -> None:
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


class Section(Protocol):
    """A stretch of an object that is added up apart from those before it."""

    def add(self, data: memoryview, /) -> None:
        """Its next bytes."""
        ...


@runtime_checkable
class BySections(Check, Protocol):
    """A check that need not see an object's bytes in their order."""

    @property
    def step(self) -> int:
        """Sections begin and end at multiples of this, or at the end; 0: there can be none."""
        ...

    def section(self) -> Section:
        """A new one, for any thread."""
        ...

    def join(self, section: Any, /) -> None:
        """A section of this check's own is what comes next."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """How large the parts of an object are, by their numbers (from 1)."""

    size_of: Callable[[int], int]
    #: Whether that is so for certain, which may be costly to know.
    is_sure: Callable[[], bool] = lambda: True
    #: The size of all but the last one; 0: they differ.
    equal: int = 0


_WHOLE = Parts(lambda _number: _ONE_PIECE)


class _OfParts:
    """What checks have in common that are made of the sums of an object's parts."""

    #: What sums a part up; None: MD5.
    make: type[_Crc32] | None = None

    def __init__(self, wanted: str, parts: Parts) -> None:
        self._wanted = wanted
        self._parts = parts
        self.is_sure, self.step = parts.is_sure, parts.equal
        self._digest = self.section()
        self.add, self.join = self._digest.add, self._digest.join

    def section(self) -> Digest:
        """Of some parts."""
        return Digest(self._parts.size_of, with_crc=False, make=self.make)


class EtagCheck(_OfParts):
    """Against an ETag made of MD5 sums."""

    def holds(self) -> bool:
        """Whether the bytes so far have this ETag."""
        return self._digest.etag == self._wanted

    @property
    def told(self) -> str:
        """Both ETags, and the way out for a store that does as it likes."""
        return (
            f"its ETag is {self._wanted}, that of what came {self._digest.etag} (where a store's "
            'ETags are no MD5 sums, set s3_etags = "opaque")'
        )


class ChecksumCheck:
    """Against a checksum that the object was uploaded with."""

    def __init__(self, name: str, value: str) -> None:
        self._sum = _CHECKSUMS[name]()
        self._name = name
        self._value = value
        self.add = self._sum.update
        #: Of the others no sum can be made of two.
        self.step = 1 if name == _CRC32 else 0

    def section(self) -> _Crc32Section:
        """Of any bytes."""
        return _Crc32Section()

    def join(self, section: _Crc32Section, /) -> None:
        """The bytes that come next."""
        self._sum.join(section.sum)

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


class CompositeCheck(_OfParts):
    """Against the CRC-32 of the CRC-32s of the parts that the object was uploaded in."""

    make = _Crc32

    def holds(self) -> bool:
        """Whether the bytes so far have this checksum."""
        return self._found == self._wanted

    @property
    def told(self) -> str:
        """Both checksums."""
        return f"its {_CRC32} is {self._wanted}, that of what came {self._found}"

    @property
    def _found(self) -> str:
        parts = self._digest.parts
        whole = crc32(b"".join(parts)).to_bytes(4, "big")
        return f"{base64.b64encode(whole).decode()}-{len(parts)}"


class CheckApart:
    """A check whose sum another thread makes: of an MD5 sum that is as much work as all the rest.

    What is added must not change. To be closed.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checksum")
        self._waiting: deque[Future[None]] = deque()
        self.is_sure = check.is_sure

    def add(self, data: bytes | memoryview, /) -> None:
        """The next bytes; waits while there are enough that have not been added up."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._check.add, data))

    def holds(self) -> bool:
        """Whether all of them have been seen, unchanged."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._check.holds()

    @property
    def told(self) -> str:
        """What does not agree, in words."""
        return self._check.told

    def close(self) -> None:
        """End the thread; what waits is of no use any more."""
        self._thread.shutdown(cancel_futures=True)


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
    plain = EtagCheck(etag, _WHOLE) if sums and is_md5(etag) else None
    if plain is not None and reply.get("ContentLength", 0) < _LARGE:
        return Known(plain)
    about: dict[str, Any] = {"Bucket": location.bucket, "Key": location.key}
    try:
        head = client.head_object(**about, IfMatch=reply["ETag"], ChecksumMode="ENABLED")
        size = head["ContentLength"]
        check = _of_checksums(head) or plain or _of_parts(client, about, head, etag if sums else "")
    except (aws.ClientError, aws.BotoCoreError, KeyError):
        return Known(plain)
    return Known(check, size)


def _of_parts(
    client: S3Client, about: dict[str, Any], head: Mapping[str, Any], etag: str
) -> Check | None:
    """By the parts' sums, of which the CRC-32 is the cheapest, and by the sizes of the parts."""
    composite = str(head.get(_CRC32, ""))
    count = parts_in_checksum(composite) or parts_in(etag)
    if not 0 < count <= _MOST_PARTS:
        return None
    found = _sizes_of(client, about, head["ContentLength"], count)
    if found is None:
        return None
    if parts_in_checksum(composite):
        return CompositeCheck(composite, found)
    return EtagCheck(etag, found)


def _sizes_of(client: S3Client, about: dict[str, Any], size: int, count: int) -> Parts | None:
    """How large each part is: as a rule all but the last one have the size of the first."""

    def size_of(number: int) -> int:
        return client.head_object(**about, PartNumber=number)["ContentLength"]

    first = size_of(1)
    if (count - 1) * first < size <= count * first:

        def are_equal() -> bool:
            return all(size_of(number) == first for number in range(2, count))

        return Parts(lambda _number: first, are_equal, equal=first)
    sizes = [first, *map(size_of, range(2, count + 1))]
    # A store that does not know of part numbers tells the size of the whole each time.
    if sum(sizes) != size:
        return None
    return Parts(lambda number: sizes[number - 1] if number <= count else 1)


def parts_in_checksum(value: str) -> int:
    """How many parts a checksum is made of; 0: it is none of parts."""
    found = _OF_PARTS.fullmatch(value)
    return int(found[1]) if found else 0


def _of_checksums(head: Mapping[str, Any]) -> Check | None:
    for name in _CHECKSUMS:
        value = head.get(name)
        # A dash, too, says that it is made of the parts' checksums.
        if isinstance(value, str) and "-" not in value and head.get("ChecksumType") != "COMPOSITE":
            return ChecksumCheck(name, value)
    return None

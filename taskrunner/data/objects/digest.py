"""The checksums of an object's bytes as they pass: what S3 says of an object is held against them.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html says which ETags are MD5 sums:
those of objects in one piece that no key of a KMS or of the caller's encrypts. Of a multipart
upload it is the MD5 sum of its parts' MD5 sums, and how many they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

from taskrunner.data.objects.s3_parts import part_size
from taskrunner.data.objects.s3_sums import crc32

_PLAIN = re.compile(r"[0-9a-f]{32}")
_OF_PARTS = re.compile(r"[0-9a-f]{32}-([1-9][0-9]*)")


class Digest:
    """Takes an object's bytes; knows its size, its CRC-32 and the ETag that S3 gives it.

    `sizes` says how large its parts are by their numbers (from 1): by default ours.
    """

    def __init__(
        self,
        sizes: Callable[[int], int] = part_size,
        *,
        with_crc: bool = True,
        make: Callable[[], Any] | None = None,
    ) -> None:
        """`with_crc`: whether the CRC-32 is wanted at all.

        `make`: gives what sums a part up, with the face of a hash; MD5 if none.
        """
        self._with_crc = with_crc
        self._make = make or _md5
        self.size = 0
        self.crc = 0
        self._sizes = sizes
        self._parts: list[bytes] = []
        self._part = self._make()
        self._room = sizes(1)

    def add(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes."""
        self.size += len(data)
        if self._with_crc:
            self.crc = crc32(data, self.crc)
        rest = memoryview(data)
        while len(rest) >= self._room:
            self._part.update(rest[: self._room])
            rest = rest[self._room :]
            self._parts.append(self._part.digest())
            self._part = self._make()
            self._room = self._sizes(len(self._parts) + 1)
        self._part.update(rest)
        self._room -= len(rest)

    def join(self, behind: Digest) -> None:
        """The bytes of another one come next; of both, no CRC-32 is wanted.

        Where they meet, one part ends and another begins.
        """
        self.size += behind.size
        self._parts += behind.parts

    @property
    def etag(self) -> str:
        """What a store says that makes ETags as S3 does without keys of a KMS."""
        if not self._parts:
            return str(self._part.digest().hex())
        return f"{_md5(b''.join(self.parts)).hexdigest()}-{len(self.parts)}"

    @property
    def parts(self) -> list[bytes]:
        """The sum of each part so far; the last one's, too, if it has begun."""
        is_begun = self._room < self._sizes(len(self._parts) + 1)
        return [*self._parts, self._part.digest()] if is_begun else [*self._parts]


def etag_of_parts(etags: Sequence[str]) -> str:
    """What a store says of an object that it has made of parts with these ETags, all MD5 sums."""
    return f"{_md5(b''.join(map(bytes.fromhex, etags))).hexdigest()}-{len(etags)}"


def is_md5(etag: str) -> bool:
    """Whether an ETag has the form of an MD5 sum."""
    return _PLAIN.fullmatch(etag) is not None


def parts_in(etag: str) -> int:
    """How many parts an ETag says that its object was uploaded in; 0 where it says nothing."""
    found = _OF_PARTS.fullmatch(etag)
    return int(found.group(1)) if found else 0


def _md5(data: bytes = b"") -> hashlib._Hash:
    return hashlib.md5(data, usedforsecurity=False)

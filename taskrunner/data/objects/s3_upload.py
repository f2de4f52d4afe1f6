"""Multipart uploads: parts that the store has unchanged, and an object that is made of all of them.

Nothing is visible before CompleteMultipartUpload.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws

from taskrunner.data.claims import Claim
from taskrunner.data.objects.digest import etag_of_parts, is_md5, parts_in
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_checks import etags_are_sums
from taskrunner.data.objects.s3_client import code_of, nonsense, problems
from taskrunner.data.objects.s3_notes import Note, Unfinished, UploadNotes
from taskrunner.data.objects.s3_publishing import Publisher
from taskrunner.data.objects.s3_sums import (
    BY_CRC32,
    CRC32,
    Sent,
    Trust,
    crc32_of,
    etag_of,
    sums_of,
)
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_MAX_PARTS = 10_000
#: How often bytes are sent that are altered on their way.
SENDS = 3
#: What a store says that has seen it.
_ALTERED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an object is to be, and how."""

    client: S3Client
    location: Location
    endpoint: str | None
    #: More of the requests that make it: its encryption.
    extra: Mapping[str, Any]
    claim: Claim | None = None
    notes: UploadNotes | None = None
    md5_etags: bool = True
    #: Of the store, for all that is written there.
    trust: Trust

    @property
    def name(self) -> dict[str, Any]:
        """Bucket and key, as requests have them."""
        return {"Bucket": self.location.bucket, "Key": self.location.key}

    def publisher(self) -> Publisher:
        """What makes it appear."""
        return Publisher(self.client, self.location, endpoint=self.endpoint, claim=self.claim)

    def took(self, reply: Mapping[str, Any], data: Sent, sums: Mapping[str, str]) -> bool:
        """Whether the store has what it was sent, as far as it says."""
        if CRC32 in sums and CRC32 in reply:
            return bool(reply[CRC32] == sums[CRC32])
        etag = str(reply["ETag"]).strip('"')
        said = self.md5_etags and etags_are_sums(reply, self.location.bucket) and is_md5(etag)
        return not said or etag == etag_of(data, sums)

    def altered(self, what: str) -> TaskError:
        """The error for bytes that did not arrive as they were sent."""
        message = f"cannot write {self.location.uri}: {what} was altered on its way, {SENDS} times"
        return TaskError(message, error_id=ErrorId.CONNECTION_FAILED)


class MultipartUpload:
    """One multipart upload, from its creation to its completion or abort."""

    def __init__(
        self, target: Target, *, unfinished: Unfinished | None = None, by_crc32: bool = False
    ) -> None:
        """`unfinished`: go on with this one, of an earlier attempt.

        `by_crc32`: have the store hold the parts that are sent against these, if it does.
        """
        self._to = target
        self._publisher = target.publisher()
        self.parts: list[CompletedPartTypeDef] = []
        self._note: Note | None = None
        self._upload: dict[str, Any] = {**target.name}
        self._by_crc32 = False
        if unfinished is None:
            self._begin(by_crc32=by_crc32)
            return
        self._publisher.token = unfinished.token
        self._note = unfinished.note
        self._upload["UploadId"] = unfinished.upload
        for number, etag in unfinished.parts:
            self._add(number, etag)

    def _begin(self, *, by_crc32: bool) -> None:
        target, trust = self._to, self._to.trust
        self._begin_note()
        if by_crc32 and trust.believed is not False:
            with suppress(TaskError):  # of a store that does not know checksums, perhaps
                self._create(BY_CRC32)
                if trust.believed is None:
                    trust.believed = self._refuses_others()
                self._by_crc32 = trust.believed
                if self._by_crc32:
                    return
                with suppress(aws.ClientError, aws.BotoCoreError):
                    target.client.abort_multipart_upload(**self._upload)
                # Killed behind the next call, it would be looked for by the name of this one.
                self._begin_note()
            trust.believed = False
        self._create({})

    def _begin_note(self) -> None:
        if self._to.notes is not None:
            self._note = self._to.notes.begin(self._to.location)

    def _create(self, more: Mapping[str, Any]) -> None:
        target = self._to
        uri, endpoint = target.location.uri, target.endpoint
        with problems(uri, "write", endpoint):
            reply = target.client.create_multipart_upload(
                **target.name, Metadata=self._publisher.metadata, **target.extra, **more
            )
        if not reply.get("UploadId"):
            raise nonsense(uri, "write", endpoint)
        self._upload["UploadId"] = reply["UploadId"]
        if self._note is not None:
            self._note.write(upload=reply["UploadId"])

    def _refuses_others(self) -> bool:
        """Whether the store refuses a part that is not what its CRC-32 says.

        If not, it has a part that the first one takes the place of.
        """
        wrong: dict[str, Any] = {"Body": b"one", CRC32: crc32_of(b"another")}
        try:
            self._to.client.upload_part(**self._upload, PartNumber=1, **wrong)
        except aws.ClientError as error:
            return code_of(error) in _ALTERED
        except aws.BotoCoreError:
            return False
        return False

    def keep(self, plan: str, state: str) -> None:
        """Note the parts that the store has, and what to go on with behind them."""
        if self._note is not None:
            parts = [[part["PartNumber"], part["ETag"]] for part in self._in_order()]
            self._note.write(
                upload=self._upload["UploadId"],
                token=self._publisher.token,
                plan=plan,
                state=state,
                parts=parts,
            )

    def send(self, number: int, data: bytearray) -> None:
        """Upload one part; the store has it, unchanged, or a TaskError says why not."""
        to = self._to
        if number > _MAX_PARTS:
            message = f"cannot write {to.location.uri}: it would need more than 10,000 parts"
            raise PermanentTaskError(message, error_id=ErrorId.STORAGE_FULL)
        sums = sums_of(data, by_crc32=self._by_crc32)
        request: dict[str, Any] = {**self._upload, "PartNumber": number, "Body": data, **sums}
        for _ in range(SENDS):
            with problems(to.location.uri, "write", to.endpoint), suppress(Altered):
                reply = seen(to.client.upload_part, request)
                if not reply.get("ETag"):
                    raise nonsense(to.location.uri, "write", to.endpoint)
                if to.took(reply, data, sums):
                    self._add(number, reply["ETag"], crc32=sums.get(CRC32))
                    return
        raise to.altered(f"part {number} ({len(data)} bytes)")

    def copy(self, number: int, source: Mapping[str, Any]) -> None:
        """Make a part of a byte range of another object, on the server."""
        to = self._to
        with problems(to.location.uri, "write", to.endpoint):
            reply = to.client.upload_part_copy(**self._upload, PartNumber=number, **source)
        etag = reply.get("CopyPartResult", {}).get("ETag")
        if not etag:
            raise nonsense(to.location.uri, "write", to.endpoint)
        self._add(number, etag)

    def complete(self) -> str:
        """Make the object appear; returns its ETag.

        Afterwards it is there, or a TaskError says why not.
        """
        request: dict[str, Any] = {**self._upload, "MultipartUpload": {"Parts": self._in_order()}}
        complete = self._to.client.complete_multipart_upload
        reply = self._publisher.publish(lambda conditions: complete(**request, **conditions))
        self._end_note()
        if not self._has_all_parts(reply):
            with suppress(aws.ClientError, aws.BotoCoreError):
                if self._publisher.found() is not None:
                    self._to.client.delete_object(**self._to.name)
            message = (
                f"cannot write {self._to.location.uri}: of its {len(self.parts)} parts the store "
                f"has made another object, says its ETag {reply['ETag']} (where a store's ETags "
                'are no MD5 sums, set s3_etags = "opaque")'
            )
            raise TaskError(message, error_id=ErrorId.CONNECTION_FAILED)
        return str(reply["ETag"])

    def _has_all_parts(self, reply: Mapping[str, Any]) -> bool:
        """Whether what the store has made is of the parts that it has, as far as it says."""
        to, etag = self._to, str(reply["ETag"]).strip('"')
        etags = [str(part.get("ETag", "")).strip('"') for part in self._in_order()]
        said = to.md5_etags and etags_are_sums(reply, to.location.bucket) and parts_in(etag)
        return not said or not all(map(is_md5, etags)) or etag == etag_of_parts(etags)

    def abort(self) -> None:
        """Throw the parts away; what cannot be reached now stays invisible."""
        try:
            self._to.client.abort_multipart_upload(**self._upload)
        except aws.ClientError as error:
            if code_of(error) not in {"NoSuchUpload", "404"}:
                return
        except aws.BotoCoreError:
            return
        self._end_note()

    def _in_order(self) -> list[CompletedPartTypeDef]:
        """The parts by number: several may be sent at a time."""
        return sorted(self.parts, key=itemgetter("PartNumber"))

    def _end_note(self) -> None:
        if self._note is not None:
            self._note.remove()

    def _add(self, number: int, etag: str, *, crc32: str | None = None) -> None:
        part: CompletedPartTypeDef = {"PartNumber": number, "ETag": etag}
        if crc32 is not None:
            part["ChecksumCRC32"] = crc32
        self.parts.append(part)


class Altered(Exception):
    """The store has seen that the bytes are not those that were sent."""


def seen(call: Callable[..., Any], request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a call that carries bytes; raises Altered where the store has refused them."""
    try:
        reply: Mapping[str, Any] = call(**request)
    except aws.ClientError as error:
        if code_of(error) in _ALTERED:
            raise Altered from error
        raise
    return reply

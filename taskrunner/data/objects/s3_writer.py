"""Writing an S3 object of unknown length: one PUT when it is small, else in parts.

While some parts are on their way the next one fills, so that at most four are in memory. Nothing is
visible before CompleteMultipartUpload; whatever goes wrong before, the upload is aborted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws

from taskrunner.data.claims import Claim
from taskrunner.data.objects.digest import is_md5
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.pieces import Pieces
from taskrunner.data.objects.s3_checks import etags_are_sums
from taskrunner.data.objects.s3_client import code_of, nonsense, problems
from taskrunner.data.objects.s3_notes import Note, Unfinished, UploadNotes
from taskrunner.data.objects.s3_parts import part_size
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
#: How many parts are on their way at a time, if they come faster than one of them goes.
_SENDERS = 3
#: How often bytes are sent that are altered on their way.
_SENDS = 3
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
        message = f"cannot write {self.location.uri}: {what} was altered on its way, {_SENDS} times"
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
        if target.notes is not None:
            self._note = target.notes.begin(target.location)
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
            trust.believed = False
        self._create({})

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
        for _ in range(_SENDS):
            with problems(to.location.uri, "write", to.endpoint), suppress(_Altered):
                reply = _seen(to.client.upload_part, request)
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
        return str(reply["ETag"])

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


class _Altered(Exception):
    """The store has seen that the bytes are not those that were sent."""


def _seen(call: Callable[..., Any], request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make a call that carries bytes; raises _Altered where the store has refused them."""
    try:
        reply: Mapping[str, Any] = call(**request)
    except aws.ClientError as error:
        if code_of(error) in _ALTERED:
            raise _Altered from error
        raise
    return reply


class S3Writer:
    """Collects bytes into parts; `commit` or `discard` ends it."""

    #: The object goes in parts of its own sizes, this many times as large before one is cut off.
    _held_back = 1
    #: Whether its parts are held against a CRC-32 each, where the store does that.
    _by_crc32 = True

    def __init__(self, target: Target) -> None:
        self._to = target
        #: What the store says of the object, when it is there.
        self.etag = ""
        self._buffer = Pieces()
        self._upload: MultipartUpload | None = None
        self._sender: ThreadPoolExecutor | None = None
        self._sending: deque[Future[None]] = deque()
        #: Parts that have gone, for others to take their memory.
        self._sent: deque[bytearray] = deque(maxlen=_SENDERS)
        self._number = 0

    def write(self, data: bytes, /) -> int:
        """Add bytes; raises TaskError when an earlier part could not be sent."""
        self._buffer.add(data)
        while len(self._buffer) >= self._held_back * (size := part_size(self._number + 1)):
            self._send(size)
        return len(data)

    def commit(self) -> None:
        """Send the rest and make the object appear."""
        if self._upload is None:
            self._put()
            return
        if self._buffer:
            self._send(len(self._buffer))
        self._wait()
        self.etag = self._upload.complete().strip('"')

    def discard(self) -> None:
        """Abort whatever was begun; never raises for S3's sake."""
        self._buffer.clear()
        self._give_up()
        if self._upload is not None:
            self._upload.abort()

    def _give_up(self) -> None:
        """Let what is on its way end, whatever comes of it: parts may not come after an abort."""
        for future in self._sending:
            future.cancel()
        while self._sending:
            with suppress(TaskError, CancelledError):
                self._sending.popleft().result()

    def close(self) -> None:
        """End the sending threads, and leave the memory of the parts."""
        if self._sender is not None:
            self._sender.shutdown()
        while self._sent:
            # Errors that a second try made good refer to them, in circles, for a long time.
            with suppress(BufferError):
                self._sent.pop().clear()

    def _put(self) -> None:
        to, body = self._to, bytes(self._buffer.take(len(self._buffer)))
        # What is not as it should be would be seen for a moment: by what every store knows.
        sums = sums_of(body, by_crc32=False)
        publisher = to.publisher()
        request: dict[str, Any] = {**to.name, "Body": body, "Metadata": publisher.metadata, **sums}
        for _ in range(_SENDS):
            with suppress(_Altered):
                reply = publisher.publish(
                    lambda conditions: _seen(
                        to.client.put_object, {**request, **conditions, **to.extra}
                    )
                )
                if to.took(reply, body, sums):
                    self.etag = str(reply["ETag"]).strip('"')
                    return
        # A store that does not look at the digest has made it appear.
        with suppress(aws.ClientError, aws.BotoCoreError):
            if publisher.found() is not None:
                to.client.delete_object(**to.name)
        raise to.altered(f"its content ({len(body)} bytes)")

    def _send(self, size: int) -> None:
        self._wait(_SENDERS - 1)
        if self._upload is None:
            self._upload = MultipartUpload(self._to, by_crc32=self._by_crc32)
        if self._sender is None:
            self._sender = ThreadPoolExecutor(_SENDERS, thread_name_prefix="s3-part")
        part = self._buffer.take(size, self._sent.pop() if self._sent else None)
        self._number += 1
        work = (self._upload, self._number, part, self._sent)
        self._sending.append(self._sender.submit(_send_once, *work))

    def _wait(self, most: int = 0) -> None:
        """Until no more parts than this are on their way; raises what one of them failed with."""
        while len(self._sending) > most:
            self._sending.popleft().result()


class S3CheckpointedWriter(S3Writer):
    """An S3Writer whose parts the next attempt goes on with.

    A checkpoint ends a part, which must not be too small. So as much as a part is held back, and
    what is there at a checkpoint goes as one, if it is enough; else the next checkpoint is waited
    for. An attempt that fails or is killed leaves its parts and its note, where it has any.
    """

    _held_back = 2
    #: Notes of parts do not have it.
    _by_crc32 = False

    def __init__(self, target: Target, plan: str, unfinished: Unfinished | None) -> None:
        super().__init__(target)
        self._plan = plan
        self._is_kept = unfinished is not None
        self.state = unfinished.state if unfinished is not None else None
        if unfinished is not None:
            self._upload = MultipartUpload(target, unfinished=unfinished)
            self._number = len(unfinished.parts)

    def checkpoint(self, state: str) -> None:
        """End a part here, if there is enough for one."""
        if len(self._buffer) < part_size(self._number + 1):
            return
        self._send(len(self._buffer))
        self._wait()
        if self._upload is not None:
            self._upload.keep(self._plan, state)
            self._is_kept = True

    def discard(self) -> None:
        """Leave what is kept for the next attempt."""
        if not self._is_kept:
            super().discard()
            return
        self._buffer.clear()
        self._give_up()


def _send_once(
    upload: MultipartUpload, number: int, part: bytearray, sent: deque[bytearray]
) -> None:
    try:
        upload.send(number, part)
    finally:
        sent.append(part)

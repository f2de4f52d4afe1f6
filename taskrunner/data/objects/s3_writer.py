"""Writing an S3 object of unknown length: one PUT when it is small, else in parts.

While one part is on its way the next one fills, so that at most two are in memory. Nothing is
visible before CompleteMultipartUpload; whatever goes wrong before, the upload is aborted.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws

from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_client import nonsense, problems
from taskrunner.data.objects.s3_parts import part_size
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef


_MAX_PARTS = 10_000
_TOKEN = "taskrunner-upload"  # noqa: S105  a metadata key


class MultipartUpload:
    """One multipart upload, from its creation to its completion or abort."""

    def __init__(
        self,
        client: S3Client,
        location: Location,
        *,
        endpoint: str | None,
        extra: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._location = location
        self._endpoint = endpoint
        self._target: dict[str, Any] = {"Bucket": location.bucket, "Key": location.key}
        self._token = secrets.token_hex(16)
        self.parts: list[CompletedPartTypeDef] = []
        with problems(location.uri, "write", endpoint):
            reply = client.create_multipart_upload(
                **self._target, Metadata={_TOKEN: self._token}, **extra
            )
        if not reply.get("UploadId"):
            raise nonsense(location.uri, "write", endpoint)
        self._upload: dict[str, Any] = {**self._target, "UploadId": reply["UploadId"]}

    def send(self, number: int, data: bytearray) -> None:
        """Upload one part."""
        if number > _MAX_PARTS:
            message = f"cannot write {self._location.uri}: it would need more than 10,000 parts"
            raise PermanentTaskError(message, error_id=ErrorId.STORAGE_FULL)
        with problems(self._location.uri, "write", self._endpoint):
            request: dict[str, Any] = {**self._upload, "PartNumber": number, "Body": data}
            reply = self._client.upload_part(**request)
        self._add(number, reply.get("ETag"))

    def copy(self, number: int, source: Mapping[str, Any]) -> None:
        """Make a part of a byte range of another object, on the server."""
        with problems(self._location.uri, "write", self._endpoint):
            reply = self._client.upload_part_copy(**self._upload, PartNumber=number, **source)
        self._add(number, reply.get("CopyPartResult", {}).get("ETag"))

    def complete(self) -> None:
        """Make the object appear. Afterwards it is there, or a TaskError says why not."""
        try:
            with problems(self._location.uri, "write", self._endpoint):
                reply = self._client.complete_multipart_upload(
                    **self._upload, MultipartUpload={"Parts": self.parts}
                )
            if not reply.get("ETag"):
                raise nonsense(self._location.uri, "write", self._endpoint)
        except TaskError:
            # A repeated request finds the upload gone when the first one went through after all.
            if not self._is_there():
                raise

    def abort(self) -> None:
        """Throw the parts away; what cannot be reached now stays invisible."""
        with suppress(aws.ClientError, aws.BotoCoreError):
            self._client.abort_multipart_upload(**self._upload)

    def _add(self, number: int, etag: str | None) -> None:
        if not etag:
            raise nonsense(self._location.uri, "write", self._endpoint)
        self.parts.append({"PartNumber": number, "ETag": etag})

    def _is_there(self) -> bool:
        """Whether the object that is there now is the one of this very upload."""
        with suppress(aws.ClientError, aws.BotoCoreError):
            reply = self._client.head_object(**self._target)
            return reply.get("Metadata", {}).get(_TOKEN) == self._token
        return False


class S3Writer:
    """Collects bytes into parts; `commit` or `discard` ends it."""

    def __init__(
        self,
        client: S3Client,
        location: Location,
        *,
        endpoint: str | None,
        extra: Mapping[str, Any],
    ) -> None:
        self._client = client
        self._location = location
        self._endpoint = endpoint
        self._extra = extra
        self._buffer = bytearray()
        self._upload: MultipartUpload | None = None
        self._sender: ThreadPoolExecutor | None = None
        self._sending: Future[None] | None = None
        self._number = 0

    def write(self, data: bytes, /) -> int:
        """Add bytes; raises TaskError when an earlier part could not be sent."""
        self._buffer += data
        while len(self._buffer) >= (size := part_size(self._number + 1)):
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
        self._upload.complete()

    def discard(self) -> None:
        """Abort whatever was begun; never raises for S3's sake."""
        self._buffer.clear()
        with suppress(TaskError):
            self._wait()
        if self._upload is not None:
            self._upload.abort()

    def close(self) -> None:
        """End the sending thread."""
        if self._sender is not None:
            self._sender.shutdown()

    def _put(self) -> None:
        target: dict[str, Any] = {"Bucket": self._location.bucket, "Key": self._location.key}
        with problems(self._location.uri, "write", self._endpoint):
            reply = self._client.put_object(**target, Body=bytes(self._buffer), **self._extra)
        if not reply.get("ETag"):
            raise nonsense(self._location.uri, "write", self._endpoint)

    def _send(self, size: int) -> None:
        self._wait()
        if self._upload is None or self._sender is None:
            self._upload = MultipartUpload(
                self._client, self._location, endpoint=self._endpoint, extra=self._extra
            )
            self._sender = ThreadPoolExecutor(1, thread_name_prefix="s3-part")
        part, self._buffer = self._buffer, bytearray()
        if len(part) > size:
            self._buffer += memoryview(part)[size:]
            del part[size:]
        self._number += 1
        self._sending = self._sender.submit(_send_once, self._upload, self._number, part)

    def _wait(self) -> None:
        if self._sending is not None:
            sending, self._sending = self._sending, None
            sending.result()


def _send_once(upload: MultipartUpload, number: int, part: bytearray) -> None:
    try:
        upload.send(number, part)
    finally:
        # Errors that a second try made good refer to it, in circles, for a long time.
        with suppress(BufferError):
            part.clear()

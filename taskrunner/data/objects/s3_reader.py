"""Streaming an S3 object: a stream that is cut goes on where it stopped."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws

from taskrunner.clock import Clock
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_client import nonsense, problems

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client


_CUT = (aws.HTTPClientError, aws.IncompleteReadError, aws.ConnectionError, aws.ReadTimeoutError)
#: How often in a row a stream may be cut without giving a byte.
_MAX_CUTS = 5
_PIECE = 1 << 20


class S3Reader:
    """The bytes of one version of an object: a change while reading is an error, never a mix."""

    def __init__(
        self, client: S3Client, location: Location, *, endpoint: str | None, clock: Clock
    ) -> None:
        self._client = client
        self._location = location
        self._endpoint = endpoint
        self._clock = clock
        self._offset = 0
        self._cuts = 0
        self._etag = ""
        self._size = -1
        self._body = self._open()

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; empty at the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        # Asking for nothing at the end makes the library compare the length with what came.
        with problems(self._location.uri, "read", self._endpoint):
            return self._piece(size)

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()

    def _piece(self, size: int) -> bytes:
        while True:
            try:
                data = self._body.read(size)
            except _CUT:
                self._cuts += 1
                if self._cuts > _MAX_CUTS:
                    raise
                self._resume()
                continue
            self._cuts = 0 if data else self._cuts
            self._offset += len(data)
            return data

    def _resume(self) -> None:
        self._body.close()
        self._clock.wait(threading.Event(), 0.2 * 2**self._cuts)
        self._body = self._open()

    def _open(self) -> StreamingBody:
        request: dict[str, Any] = {"Bucket": self._location.bucket, "Key": self._location.key}
        if self._offset:
            request.update(Range=f"bytes={self._offset}-", IfMatch=self._etag)
        with problems(self._location.uri, "read", self._endpoint):
            reply = self._client.get_object(**request)
        if not reply.get("ETag"):
            raise nonsense(self._location.uri, "read", self._endpoint)
        if self._offset and reply["ResponseMetadata"]["HTTPStatusCode"] != 206:
            raise nonsense(self._location.uri, "read", self._endpoint)
        self._etag = reply["ETag"]
        return reply["Body"]

"""Streaming an S3 object: a stream that is cut goes on where it stopped, and ends at its end.

What a store says of a body (its length, its range) may be wrong, or got lost on the way: a proxy
that has half of an object answers with that half, and calls it all. So the bytes are held against
what the store says of the object itself. Where that shows that some are missing, they are asked
for; bytes that are not the object's are an error, and so is one that changes while it is read.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import botocore.exceptions as aws
from botocore.response import StreamingBody

from taskrunner.clock import Clock
from taskrunner.data.objects.base import AnyOrderWriter
from taskrunner.data.objects.location import Location
from taskrunner.data.objects.s3_checks import CheckApart, known_of
from taskrunner.data.objects.s3_client import code_of, nonsense, problems
from taskrunner.data.objects.s3_pouring import Pouring
from taskrunner.data.objects.s3_ranges import PART, RangedBody, is_worth_it
from taskrunner.errors import ErrorId, TaskError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


_CUT = (aws.HTTPClientError, aws.IncompleteReadError, aws.ConnectionError, aws.ReadTimeoutError)
#: How often in a row a stream may be cut without giving as much as a piece that is worth it.
_MAX_CUTS = 5
_WORTH = 1 << 16
_PIECE = 1 << 20
#: What is put into a file waits in no memory, so that more of it is asked for at a time.
_POURED = 4
_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)")


class _Ended:
    """A body of which no more is to be had."""

    def read(self, size: int, /) -> bytes:
        return b""

    def close(self) -> None:
        """There is nothing."""


class S3Reader:
    """The bytes of one version of an object: a change while reading is an error, never a mix."""

    def __init__(
        self,
        client: S3Client,
        location: Location,
        *,
        endpoint: str | None,
        clock: Clock,
        md5_etags: bool = True,
        part: int = PART,
    ) -> None:
        """`part`: how much of a large object is asked for at a time, side by side."""
        self._part = part
        self._client = client
        self._location = location
        self._endpoint = endpoint
        self._clock = clock
        self._offset = 0
        self._cuts = 0
        #: Where the last one was.
        self._cut_at = 0
        self._etag = ""
        #: The object's size as its HEAD has it; None until that was looked at.
        self._size: int | None = None
        #: Whether the first reply, or a range's, said how much there is.
        self._told = False
        self._done = False
        self._body: StreamingBody | RangedBody | _Ended = self._open()
        known = known_of(client, location, self._reply, md5_etags=md5_etags)
        self._check, self._size = known.check, known.size

    @property
    def etag(self) -> str:
        """That of the version which is read."""
        return self._etag.strip('"')

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; empty at the end."""
        if isinstance(self._body, RangedBody) and not isinstance(self._check, CheckApart | None):
            self._check = CheckApart(self._check)
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        with problems(self._where, "read", self._endpoint):
            return self._piece(size)

    def pour(self, target: AnyOrderWriter, /) -> Iterator[int]:
        """Put all of it into a file, by several threads where it is large."""
        if isinstance(self._body, RangedBody):
            yield from self._poured(target, self._body.first)
        while data := self.read(_PIECE):
            target.write_at(memoryview(data), self._offset - len(data))
            target.settle(len(data))
            yield len(data)

    def _poured(self, target: AnyOrderWriter, body: StreamingBody) -> Iterator[int]:
        """As much of it as comes by ranges; the rest is to be read."""
        size = self._size or int(self._reply["ContentLength"])
        while True:
            self._body, start = body, self._offset
            pouring = Pouring(
                body,
                self._get,
                target,
                start=start,
                size=size,
                etag=self._etag,
                check=self._check,
                about=self._part * _POURED,
            )
            with closing(pouring.run()) as counts:
                for count in counts:
                    self._offset += count
                    self._cuts = 0
                    yield count
            if pouring.goes_on:
                return
            if self._offset in {start, size}:
                self._body = _Ended()
                return
            # Of what broke off somewhere the rest comes side by side, too.
            with problems(self._where, "read", self._endpoint):
                self._resume()
            assert isinstance(self._body, StreamingBody)  # noqa: S101  it is, once it was cut
            body = self._body

    def close(self) -> None:
        """Give the connection back."""
        self._body.close()
        if isinstance(self._check, CheckApart):
            self._check.close()

    @property
    def _where(self) -> str:
        """The object, and how far it has been read."""
        if not self._offset:
            return self._location.uri
        of = f" of {self._size}" if self._size is not None else ""
        return f"{self._location.uri} after byte {self._offset}{of}"

    def _piece(self, size: int) -> bytes:
        while not self._done:
            try:
                # Asking for nothing at the end makes the library compare length and what came.
                data = self._body.read(size)
            except _CUT:
                if self._cuts >= _MAX_CUTS:
                    raise
                self._resume()
                continue
            if data or not size:
                self._offset += len(data)
                if self._offset - self._cut_at >= _WORTH:
                    self._cuts = 0
                if self._check is not None:
                    self._check.add(data)
                return data
            if self._is_whole():
                self._done = True
            else:
                self._resume()
        return b""

    def _is_whole(self) -> bool:
        """Whether the stream's end is the object's; raises TaskError when what came is another."""
        if self._check is not None and self._check.holds():
            return True
        if self._size is None:
            self._size = self._look()
        if self._size is None and not self._told:
            raise self._failed("the object was changed while it was being read")
        if self._size is not None and self._offset < self._size:
            return False
        if self._size is not None and self._offset > self._size:
            raise self._failed(f"its size is {self._size}, and more came")
        if self._check is not None and self._check.is_sure():
            raise self._failed(f"what came is not what is there: {self._check.told}")
        return True

    def _look(self) -> int | None:
        """The size of the version that is being read; None when it is not there any more."""
        try:
            head = self._client.head_object(Bucket=self._location.bucket, Key=self._location.key)
        except aws.ClientError as error:
            if code_of(error) in {"404", "NoSuchKey"}:
                return None
            raise
        return head["ContentLength"] if head.get("ETag") == self._etag else None

    def _resume(self) -> None:
        """Go on where it stopped."""
        self._cut_at = self._offset
        while True:
            self._cuts += 1
            if self._cuts > _MAX_CUTS:
                raise self._failed("nothing more of it came, however often it was asked for")
            self._body.close()
            self._clock.wait(threading.Event(), 0.2 * 2**self._cuts)
            self._body = self._open()
            if self._goes_on():
                return

    def _goes_on(self) -> bool:
        """Whether the reply is the range that was asked for."""
        if not self._offset:
            return True
        found = _RANGE.fullmatch(self._reply.get("ContentRange", ""))
        status = self._reply["ResponseMetadata"]["HTTPStatusCode"]
        if status != 206 or found is None or int(found.group(1)) != self._offset:
            if self._cuts < _MAX_CUTS:
                return False
            given = self._reply.get("ContentRange") or "all of it"
            raise self._failed(f"asked for the rest, {self._endpoint or 'S3'} gave {given}")
        self._told = True
        return True

    def _get(self, asked: str) -> Any:
        request: dict[str, Any] = {"Bucket": self._location.bucket, "Key": self._location.key}
        if self._etag:
            request["IfMatch"] = self._etag
        if asked:
            request["Range"] = asked
        return self._client.get_object(**request)

    def _open(self) -> StreamingBody | RangedBody:
        with problems(self._where, "read", self._endpoint):
            reply = self._get(f"bytes={self._offset}-" if self._offset else "")
        if not reply.get("ETag"):
            raise nonsense(self._where, "read", self._endpoint)
        if self._etag and reply["ETag"] != self._etag:
            raise self._failed("the object was changed while it was being read")
        self._etag = reply["ETag"]
        self._told = self._told or "ContentLength" in reply
        self._reply: dict[str, Any] = {**reply}
        body: StreamingBody = reply["Body"]
        left = reply.get("ContentLength", 0)
        if self._cuts or not is_worth_it(left, self._part):
            return body
        return RangedBody(body, self._get, size=left, etag=self._etag, part=self._part)

    def _failed(self, reason: str) -> TaskError:
        message = f"cannot read {self._where}: {reason}"
        return TaskError(message, error_id=ErrorId.CONNECTION_FAILED)

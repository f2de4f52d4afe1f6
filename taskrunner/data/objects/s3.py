"""Objects in S3, or in anything that speaks its protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.exceptions as aws

from taskrunner.clock import Clock, SystemClock
from taskrunner.data.objects.base import (
    CheckpointedWriter,
    ObjectInfo,
    ObjectReader,
    ObjectWriter,
)
from taskrunner.data.objects.location import Location, parse, unusable
from taskrunner.data.objects.s3_client import code_of, create_client, nonsense, problems
from taskrunner.data.objects.s3_light import LightCopies, Wanted
from taskrunner.data.objects.s3_listing import listed
from taskrunner.data.objects.s3_notes import UploadNotes
from taskrunner.data.objects.s3_ranges import PART
from taskrunner.data.objects.s3_reader import S3Reader
from taskrunner.data.objects.s3_sums import Trust
from taskrunner.data.objects.s3_upload import MultipartUpload, Target
from taskrunner.data.objects.s3_writer import (
    S3CheckpointedWriter,
    S3Writer,
)
from taskrunner.data.objects.side_by_side import side_by_side
from taskrunner.data.settings import DataSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


AnyWriter = TypeVar("AnyWriter", bound=S3Writer)
#: What one CopyObject may move; larger objects are copied in ranges of this size.
_COPY_LIMIT = 5 << 30
_COPY_RANGE = 1 << 30
_RANGES_AT_ONCE = 8


class S3Backend:
    """S3 by botocore; the client is made at the first use."""

    def __init__(
        self,
        settings: DataSettings,
        *,
        client: Callable[[DataSettings], S3Client] = create_client,
        clock: Clock | None = None,
        copy_limit: int = _COPY_LIMIT,
        copy_range: int = _COPY_RANGE,
        read_part: int = PART,
    ) -> None:
        self._settings = settings
        self._create_client = client
        self._clock = clock or SystemClock()
        self._copy_limit = copy_limit
        self._copy_range = copy_range
        self._read_part = read_part
        self._making = threading.Lock()
        self._made: S3Client | None = None

    @property
    def _client(self) -> S3Client:
        # Two threads that begin at once must not make two: each takes time, and 15 MB.
        with self._making:
            if self._made is None:
                self._made = self._create_client(self._settings)
            return self._made

    @property
    def _endpoint(self) -> str | None:
        return self._settings.s3_endpoint

    @contextmanager
    def open_read(self, location: Location) -> Iterator[ObjectReader]:
        """Stream an object; cut streams are resumed."""
        self._check(location)
        reader = S3Reader(
            self._client,
            location,
            endpoint=self._endpoint,
            clock=self._clock,
            md5_etags=self._md5_etags,
            part=self._read_part,
        )
        try:
            yield reader
        finally:
            reader.close()

    def read_range(self, location: Location, start: int, size: int) -> bytes:
        """Some bytes of an object, by one GET."""
        self._check(location)
        if size <= 0:
            return b""
        wanted = f"bytes={start}-{start + size - 1}"
        with problems(location.uri, "read", self._endpoint):
            try:
                reply = self._client.get_object(
                    Bucket=location.bucket, Key=location.key, Range=wanted
                )
            except aws.ClientError as error:
                if code_of(error) == "InvalidRange":
                    return b""  # it begins behind the end
                raise
            return reply["Body"].read()

    @contextmanager
    def open_write(
        self, location: Location, *, encrypt: bool | None = None
    ) -> Iterator[ObjectWriter]:
        """Write an object by one PUT or by parts."""
        self._check(location)
        with self._writing(S3Writer(self._target(location, encrypt=encrypt))) as writer:
            yield writer

    def can_resume(self, location: Location) -> bool:
        """Where there are notes, and it can be told of which run they are."""
        claim = self._settings.claim
        return self._notes is not None and claim is not None and claim.run != ""

    @contextmanager
    def open_resumable(
        self, location: Location, *, plan: str, encrypt: bool | None = None
    ) -> Iterator[CheckpointedWriter]:
        """Write an object by parts, after those of an earlier attempt of this run."""
        self._check(location)
        # Before all else that was left is cleared.
        unfinished = self._notes.unfinished(location, plan) if self._notes is not None else None
        target = self._target(location, encrypt=encrypt)
        with self._writing(S3CheckpointedWriter(target, plan, unfinished)) as writer:
            yield writer

    @contextmanager
    def _writing(self, writer: AnyWriter) -> Iterator[AnyWriter]:
        try:
            yield writer
            writer.commit()
        except BaseException:
            writer.discard()
            raise
        finally:
            writer.close()

    def stat(self, location: Location) -> ObjectInfo | None:
        """Size and time by HEAD."""
        if not location.key:
            return None
        head = self._head(location)
        if head is None:
            return None
        return ObjectInfo(
            uri=location.uri,
            size=head["ContentLength"],
            modified=head["LastModified"],
            etag=head["ETag"].strip('"'),
        )

    def list(self, prefix: Location) -> Iterator[ObjectInfo]:
        """Every object below the prefix, page by page."""
        return listed(self._client, prefix, endpoint=self._endpoint)

    def copy(
        self,
        source: Location,
        target: Location,
        *,
        encrypt: bool | None = None,
        known: ObjectInfo | None = None,
    ) -> int:
        """Copy on the server; the source must not change meanwhile."""
        self._check(source)
        self._check(target)
        size, etag = self._version(source, known)
        origin: dict[str, Any] = {
            "CopySource": {"Bucket": source.bucket, "Key": source.key},
            "CopySourceIfMatch": f'"{etag}"',
        }
        if size > self._copy_limit:
            self._copy_ranges(origin, size, target, encrypt=encrypt)
            return size
        extra = self._extra(encrypt)
        learning: AbstractContextManager[None] = nullcontext()
        if known is not None:  # there may be thousands
            learning = self._light.learning(target, kind=repr(extra))
        place: dict[str, Any] = {"Bucket": target.bucket, "Key": target.key}
        with problems(f"{source.uri} to {target.uri}", "copy", self._endpoint), learning:
            reply = self._client.copy_object(**place, **origin, **extra)
        if not reply.get("CopyObjectResult", {}).get("ETag"):
            raise nonsense(target.uri, "write", self._endpoint)
        return size

    def copy_some(
        self,
        wanted: Sequence[tuple[Location, Location, ObjectInfo]],
        *,
        encrypt: bool | None = None,
    ) -> Sequence[int]:
        """Copy some objects; what is not done in the library's likeness, by the library."""
        kind = repr(self._extra(encrypt))
        sizes: dict[str, int] = {}
        for source, target, info in wanted[:1]:
            if not self._light.knows(target, kind=kind):  # this one shows how
                sizes[target.uri] = self.copy(source, target, encrypt=encrypt, known=info)
        easy = [
            (Wanted(source, info.etag, target), info.size)
            for source, target, info in wanted
            if info.etag and info.size <= self._copy_limit and source.key and target.key
            if target.uri not in sizes
        ]
        done = self._light.copy([one for one, _ in easy], kind=kind)
        for (one, size), is_done in zip(easy, done, strict=True):
            if is_done:
                sizes[one.target.uri] = size
        for source, target, info in wanted:
            if target.uri not in sizes:
                sizes[target.uri] = self.copy(source, target, encrypt=encrypt, known=info)
        return [sizes[target.uri] for _, target, _ in wanted]

    def _version(self, source: Location, known: ObjectInfo | None) -> tuple[int, str]:
        """Size and ETag of what is to be copied: as a listing had it, or as it is now."""
        if known is not None and known.etag:
            return known.size, known.etag
        head = self._head(source)
        if head is None:
            # HEAD does not say whether it is the bucket that is missing; GET does.
            with self.open_read(source):
                raise nonsense(source.uri, "read", self._endpoint)
        return int(head["ContentLength"]), head["ETag"].strip('"')

    def delete(self, location: Location) -> None:
        """Remove an object."""
        self._check(location)
        with problems(location.uri, "delete", self._endpoint):
            self._client.delete_object(Bucket=location.bucket, Key=location.key)

    def _copy_ranges(
        self, origin: dict[str, Any], size: int, target: Location, *, encrypt: bool | None
    ) -> None:
        upload = MultipartUpload(self._target(target, encrypt=encrypt))

        def send(part: tuple[int, int]) -> None:
            number, start = part
            end = min(start + self._copy_range, size) - 1
            upload.copy(number, {**origin, "CopySourceRange": f"bytes={start}-{end}"})

        try:
            ranges = enumerate(range(0, size, self._copy_range), 1)
            for _ in side_by_side(send, ranges, threads=_RANGES_AT_ONCE):
                pass
            upload.complete()
        except BaseException:
            upload.abort()
            raise

    def _target(self, location: Location, *, encrypt: bool | None) -> Target:
        """A place for an object; what earlier attempts began and left is cleared first."""
        if self._notes is not None:
            self._notes.sweep()
        return Target(
            client=self._client,
            location=location,
            endpoint=self._endpoint,
            extra=self._extra(encrypt),
            claim=self._settings.claim,
            notes=self._notes,
            md5_etags=self._md5_etags,
            trust=self._trust,
        )

    @cached_property
    def _trust(self) -> Trust:
        return Trust(self._client.meta.endpoint_url)

    @cached_property
    def _light(self) -> LightCopies:
        return LightCopies(self._client, self._clock)

    @cached_property
    def _notes(self) -> UploadNotes | None:
        claim, folder = self._settings.claim, self._settings.instance_uri
        if claim is None or folder is None or not folder.startswith("s3://"):
            return None
        return UploadNotes(self._client, claim, parse(folder))

    @property
    def _md5_etags(self) -> bool:
        return self._settings.s3_etags == "md5"

    def _head(self, location: Location) -> dict[str, Any] | None:
        with problems(location.uri, "look at", self._endpoint):
            try:
                reply = self._client.head_object(Bucket=location.bucket, Key=location.key)
            except aws.ClientError as error:
                if code_of(error) in {"404", "NoSuchKey"}:
                    return None
                raise
        if not reply.get("ETag") or "LastModified" not in reply:
            raise nonsense(location.uri, "look at", self._endpoint)
        return dict(reply)

    def _extra(self, encrypt: bool | None) -> dict[str, Any]:
        wanted = self._endpoint is None if encrypt is None else encrypt
        return {"ServerSideEncryption": "AES256"} if wanted else {}

    @staticmethod
    def _check(location: Location) -> None:
        if not location.key:
            raise unusable(location.uri, "it names no key")

"""What S3 itself does rarely: cut streams, lost replies, answers that are not S3's."""

from __future__ import annotations

import base64
import hashlib
import threading
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import botocore.exceptions as aws
import pytest

from taskrunner.data.objects.location import parse
from taskrunner.data.objects.s3 import S3Backend
from taskrunner.data.objects.s3_parts import PART_SIZE, part_size
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, TaskError

KEY = parse("s3://bucket/key")


class NoWait:
    """A clock on which waiting takes no time."""

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        return event.is_set()


class Body:
    """A stream that is cut when it has given `cut_after` bytes."""

    def __init__(self, data: bytes, cut_after: int | None) -> None:
        self._data = data
        self._given = 0
        self._cut_after = cut_after

    def read(self, size: int) -> bytes:
        if self._cut_after is not None and self._given >= self._cut_after:
            raise aws.ResponseStreamingError(error="cut")
        end = None if self._cut_after is None else self._cut_after - self._given
        piece = self._data[:size][:end]
        self._data = self._data[len(piece) :]
        self._given += len(piece)
        return piece

    def close(self) -> None:
        pass


def refused(code: str, status: int = 400) -> aws.ClientError:
    reply: Any = {
        "Error": {"Code": code, "Message": f"about {code}"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return aws.ClientError(reply, "Operation")


def etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


class FakeS3:
    """Enough of the client for one object; `faults` are raised by the operation of that name."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.metadata: dict[str, str] = {}
        self.calls: list[str] = []
        self.faults: dict[str, Exception] = {}
        self.cuts: list[int | None] = []
        self.complete_then: Callable[[], None] | None = None
        #: AWS's own, which looks at checksums.
        self.meta = SimpleNamespace(endpoint_url="https://s3.eu-west-1.amazonaws.com")
        self.checks = True
        self.requests: list[dict[str, Any]] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.faults:
            raise self.faults[name]

    def get_object(self, **request: Any) -> dict[str, Any]:
        self._call("get_object")
        data, _ = self.objects[request["Key"]]
        start = int(request.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        assert request.get("IfMatch", etag(data)) == etag(data)
        cut = self.cuts.pop(0) if self.cuts else None
        reply = {
            "Body": Body(data[start:], cut),
            "ContentLength": len(data) - start,
            "ETag": etag(data),
            "ResponseMetadata": {"HTTPStatusCode": 206 if start else 200},
        }
        if start:
            reply["ContentRange"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return reply

    def head_object(self, **request: Any) -> dict[str, Any]:
        self._call("head_object")
        if request["Key"] not in self.objects:
            raise refused("404", 404)
        data, metadata = self.objects[request["Key"]]
        time = datetime(2026, 1, 1, tzinfo=UTC)
        length = len(data)
        about = {"ContentLength": length, "LastModified": time, "Metadata": metadata}
        return {**about, "ETag": etag(data)}

    def put_object(self, **request: Any) -> dict[str, Any]:
        self._call("put_object")
        self.objects[request["Key"]] = (bytes(request["Body"]), {})
        return {"ETag": '"e"'}

    def create_multipart_upload(self, **request: Any) -> dict[str, Any]:
        self._call("create_multipart_upload")
        self.requests.append(request)
        self.uploads["u"] = {}
        self.metadata = request["Metadata"]
        return {"UploadId": "u"}

    def upload_part(self, **request: Any) -> dict[str, Any]:
        self._call("upload_part")
        self.requests.append({**request, "Body": bytes(request["Body"])})
        said = {k: v for k, v in request.items() if k == "ChecksumCRC32" and self.checks}
        if said and said != {"ChecksumCRC32": crc32(request["Body"])}:
            raise refused("BadDigest")
        self.uploads["u"][request["PartNumber"]] = bytes(request["Body"])
        return {"ETag": f'"{request["PartNumber"]}"', **said}

    def complete_multipart_upload(self, **request: Any) -> dict[str, Any]:
        numbers = [part["PartNumber"] for part in request["MultipartUpload"]["Parts"]]
        if self.complete_then is not None:
            self.complete_then()
        self._call("complete_multipart_upload")
        self.requests.append(request)
        self.publish(request["Key"], numbers)
        return {"ETag": '"e"'}

    def publish(self, key: str, numbers: list[int]) -> None:
        parts = self.uploads.pop("u")
        self.objects[key] = (b"".join(parts[n] for n in numbers), self.metadata)

    def abort_multipart_upload(self, **request: Any) -> dict[str, Any]:
        self.calls.append("abort_multipart_upload")
        self.uploads.pop("u", None)
        return {}


def backend(client: FakeS3) -> S3Backend:
    settings = DataSettings(s3_endpoint="http://localhost:1")
    return S3Backend(settings, client=lambda _: cast(Any, client), clock=NoWait())


def write(client: FakeS3, *pieces: bytes) -> None:
    with backend(client).open_write(KEY) as writer:
        for piece in pieces:
            writer.write(piece)


def read(client: FakeS3, size: int = 1000) -> bytes:
    with backend(client).open_read(KEY) as reader:
        return b"".join(iter(lambda: reader.read(size), b""))


def test_small_objects_are_one_put() -> None:
    client = FakeS3()
    write(client, b"a", b"b")
    assert client.calls == ["put_object"]
    assert client.objects["key"][0] == b"ab"


PARTS = [b"x" * part_size(1), b"y" * part_size(2), b"z"]


def test_aws_is_told_the_crc_of_each_part() -> None:
    client = FakeS3()
    write(client, *PARTS)
    begun, *sent, completed = client.requests
    assert begun["ChecksumAlgorithm"] == "CRC32"
    sums = {n: crc32(part) for n, part in enumerate(PARTS, 1)}
    assert {r["PartNumber"]: r["ChecksumCRC32"] for r in sent} == sums
    assert not any("ContentMD5" in request for request in sent)
    parts = completed["MultipartUpload"]["Parts"]
    assert {part["PartNumber"]: part["ChecksumCRC32"] for part in parts} == sums


def test_another_store_is_believed_when_it_has_refused_a_wrong_one() -> None:
    client = FakeS3()
    client.meta.endpoint_url = "http://localhost:1"
    store = backend(client)
    for _ in range(2):
        with store.open_write(KEY) as writer:
            writer.write(b"".join(PARTS))
    assert client.objects[KEY.key][0] == b"".join(PARTS)
    assert client.calls.count("upload_part") == 1 + 2 * len(PARTS), "it is tried once"
    assert client.calls.count("abort_multipart_upload") == 0
    assert not any("ContentMD5" in request for request in client.requests)


def test_a_store_that_passes_checksums_over_is_told_md5_sums() -> None:
    client = FakeS3()
    client.meta.endpoint_url = "http://localhost:1"
    client.checks = False
    store = backend(client)
    for _ in range(2):
        with store.open_write(KEY) as writer:
            writer.write(b"".join(PARTS))
    assert client.objects[KEY.key][0] == b"".join(PARTS)
    assert client.calls.count("upload_part") == 1 + 2 * len(PARTS)
    assert client.calls.count("abort_multipart_upload") == 1, "the one that it was tried on"
    assert "ChecksumAlgorithm" not in client.requests[-1]
    sent = [r for r in client.requests if len(r.get("Body", b"")) in set(map(len, PARTS))]
    assert all("ContentMD5" in r and "ChecksumCRC32" not in r for r in sent)


def test_a_store_that_refuses_checksums_is_asked_without() -> None:
    class Old(FakeS3):
        def create_multipart_upload(self, **request: Any) -> dict[str, Any]:
            if "ChecksumAlgorithm" in request:
                raise refused("NotImplemented", 501)
            return super().create_multipart_upload(**request)

    client = Old()
    client.meta.endpoint_url = "http://localhost:1"
    write(client, *PARTS)
    assert client.objects[KEY.key][0] == b"".join(PARTS)
    assert client.calls.count("upload_part") == len(PARTS)


@pytest.mark.parametrize("heard", [True, False], ids=["refused", "told"])
def test_a_part_that_is_altered_on_its_way_is_sent_again(heard: bool) -> None:
    class Altering(FakeS3):
        left = 1

        def upload_part(self, **request: Any) -> dict[str, Any]:
            if request["PartNumber"] != 2 or not self.left:
                return super().upload_part(**request)
            self.left = 0
            changed = {**request, "Body": b"!" + bytes(request["Body"])[1:]}
            if heard:
                return super().upload_part(**changed)
            # One that says what it has got, and lets the client see to the rest.
            changed["ChecksumCRC32"] = crc32(changed["Body"])
            return super().upload_part(**changed)

    client = Altering()
    write(client, *PARTS)
    assert client.objects[KEY.key][0] == b"".join(PARTS)
    assert client.calls.count("upload_part") == len(PARTS) + 1


def test_an_empty_object_exists() -> None:
    client = FakeS3()
    write(client)
    assert client.objects["key"][0] == b""


def test_large_objects_go_in_parts_in_order() -> None:
    client = FakeS3()
    data = bytes(range(256)) * ((2 * PART_SIZE + 1000) // 256)
    write(client, data[:100], data[100 : PART_SIZE + 77], data[PART_SIZE + 77 :])
    assert client.calls.count("upload_part") == 3
    assert client.objects["key"][0] == data


def test_one_large_write_is_cut_into_parts() -> None:
    client = FakeS3()
    data = bytes(3 * PART_SIZE) + b"end"
    write(client, data)
    assert client.calls.count("upload_part") == 4
    assert client.objects["key"][0] == data


def test_whoever_still_refers_to_parts_that_have_gone_holds_no_memory() -> None:
    class Remembering(FakeS3):
        def __init__(self) -> None:
            super().__init__()
            self.bodies: list[bytearray] = []

        def upload_part(self, **request: Any) -> dict[str, Any]:
            self.bodies.append(request["Body"])
            return super().upload_part(**request)

    client = Remembering()
    write(client, *[bytes(PART_SIZE)] * 5)
    assert [len(body) for body in client.bodies if isinstance(body, bytearray)] == [0] * 5


class Together(FakeS3):
    """The first parts end when three of them are under way, the last one of these first."""

    def __init__(self, failing: int | None = None) -> None:
        super().__init__()
        self._all = threading.Barrier(3)
        self._turns = [threading.Event() for _ in range(4)]
        self._turns[3].set()
        self._failing = failing
        self.ended: list[int] = []

    def upload_part(self, **request: Any) -> dict[str, Any]:
        number = request["PartNumber"]
        if number > 3:
            return super().upload_part(**request)
        self._all.wait(30)
        assert self._turns[number].wait(30)
        try:
            if number == self._failing:
                raise refused("InternalError", 500)
            return super().upload_part(**request)
        finally:
            self.ended.append(number)
            self._turns[number - 1].set()

    def abort_multipart_upload(self, **request: Any) -> dict[str, Any]:
        self.ended.append(0)
        return super().abort_multipart_upload(**request)


def test_three_parts_are_sent_at_a_time_and_put_together_by_number() -> None:
    client = Together()
    data = b"".join(bytes([number]) * PART_SIZE for number in range(5))
    write(client, data)
    assert client.ended == [3, 2, 1]
    assert client.objects["key"][0] == data


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_an_upload_is_aborted_when_nothing_of_it_is_under_way(failing: int) -> None:
    """A part that comes behind an abort would be left."""
    client = Together(failing)
    with pytest.raises(TaskError, match="InternalError"):
        write(client, bytes(3 * PART_SIZE))
    assert client.ended == [3, 2, 1, 0]
    assert client.uploads == {}
    assert client.objects == {}


def test_parts_grow_so_that_a_tebibyte_fits() -> None:
    sizes = [part_size(number) for number in range(1, 10_001)]
    assert sizes[0] == PART_SIZE
    assert sizes == sorted(sizes)
    assert sum(sizes) > 1 << 40
    assert max(sizes) < 5 << 30


@pytest.mark.parametrize("error", [KeyboardInterrupt, Canceled, ValueError])
def test_a_failed_block_aborts_the_upload(error: type[BaseException]) -> None:
    client = FakeS3()

    def write_half() -> None:
        with backend(client).open_write(KEY) as writer:
            writer.write(bytes(PART_SIZE + 1))
            raise error

    with pytest.raises(error):
        write_half()
    assert client.calls[-1] == "abort_multipart_upload"
    assert client.objects == {}
    assert client.uploads == {}


def test_a_part_that_fails_fails_the_object_and_aborts() -> None:
    client = FakeS3()
    client.faults["upload_part"] = refused("AccessDenied", 403)
    with pytest.raises(TaskError, match="AccessDenied") as caught:
        write(client, bytes(PART_SIZE), bytes(PART_SIZE), bytes(PART_SIZE))
    assert caught.value.error_id == ErrorId.ACCESS_DENIED
    assert client.uploads == {}


def test_a_completion_that_went_through_unheard_is_success() -> None:
    client = FakeS3()
    client.complete_then = lambda: client.publish("key", [1, 2])
    client.faults["complete_multipart_upload"] = refused("NoSuchUpload", 404)
    write(client, bytes(PART_SIZE + 1))
    assert len(client.objects["key"][0]) == PART_SIZE + 1


def test_a_lost_upload_is_a_failure_even_where_an_older_object_is() -> None:
    client = FakeS3()
    client.objects["key"] = (bytes(PART_SIZE + 1), {"taskrunner-upload": "another"})
    client.faults["complete_multipart_upload"] = refused("NoSuchUpload", 404)
    with pytest.raises(TaskError, match="NoSuchUpload"):
        write(client, bytes(PART_SIZE + 1))


def test_cut_streams_go_on_where_they_stopped() -> None:
    client = FakeS3()
    data = bytes(range(256)) * 40
    client.objects["key"] = (data, {})
    client.cuts = [1000, 1, 0, 5000, None]
    assert read(client, 700) == data
    assert client.calls == ["get_object"] * 5


def test_a_stream_that_only_breaks_is_given_up() -> None:
    client = FakeS3()
    client.objects["key"] = (b"data", {})
    client.cuts = [0] * 100
    with pytest.raises(TaskError, match=r"s3://bucket/key.*localhost:1") as caught:
        read(client)
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    assert len(client.calls) < 10


def test_an_object_that_changes_under_the_reader_is_an_error() -> None:
    client = FakeS3()
    client.objects["key"] = (bytes(100), {})
    client.cuts = [10]

    with pytest.raises(TaskError, match="changed while it was being read"):
        read_and_change(client)


def read_and_change(client: FakeS3) -> None:
    with backend(client).open_read(KEY) as reader:
        reader.read(10)
        client.faults["get_object"] = refused("PreconditionFailed", 412)
        reader.read(10)


@pytest.mark.parametrize(
    ("error", "error_id", "words"),
    [
        (refused("NoSuchBucket", 404), ErrorId.NOT_FOUND, "bucket does not exist"),
        (refused("NoSuchKey", 404), ErrorId.NOT_FOUND, "no such object"),
        (refused("SignatureDoesNotMatch", 403), ErrorId.ACCESS_DENIED, "SignatureDoesNotMatch"),
        (refused("SlowDown", 503), ErrorId.CONNECTION_FAILED, "SlowDown"),
        (refused("Strange", 400), ErrorId.ACTIVITY_FAILED, "about Strange"),
        (aws.NoCredentialsError(), ErrorId.ACCESS_DENIED, "no usable AWS credentials"),
        (
            aws.EndpointConnectionError(endpoint_url="http://localhost:1"),
            ErrorId.CONNECTION_FAILED,
            "http://localhost:1 does not answer",
        ),
        (aws.ParamValidationError(report="bad"), ErrorId.INVALID_FIELD, "bad"),
    ],
)
def test_every_refusal_is_told_as_a_task_error(error: Exception, error_id: str, words: str) -> None:
    client = FakeS3()
    client.faults["get_object"] = error
    with pytest.raises(TaskError, match=words) as caught:
        read(client)
    assert caught.value.error_id == error_id
    assert "s3://bucket/key" in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/"])
def test_a_bucket_is_no_object(uri: str) -> None:
    with pytest.raises(TaskError, match="names no key"), backend(FakeS3()).open_read(parse(uri)):
        pass
    assert backend(FakeS3()).stat(parse(uri)) is None

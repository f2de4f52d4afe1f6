"""Many objects are copied side by side, in the library's likeness; the library is the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from taskrunner.clock import SystemClock
from taskrunner.data.objects import open_store
from taskrunner.data.objects.base import ObjectInfo
from taskrunner.data.objects.location import Location, parse
from taskrunner.data.objects.s3 import S3Backend
from taskrunner.data.objects.s3_light import LightCopies, Wanted
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from tests.s3_line import Reply, Request, S3Line, connected

KEYS = ["plain", "with space", "a+b", "é😀", "a%20b", "q?x=1#f", "x&y", "~.-_", "a//b", "(1)'*!"]


class Recorded:
    """A client whose calls are counted."""

    def __init__(self, endpoint: str) -> None:
        self.client: Any = connected(endpoint)
        self.calls: list[str] = []
        self.client.meta.events.register("before-call.s3", self._count)

    def close(self) -> None:
        self.client.meta.events.unregister("before-call.s3", self._count)

    def _count(self, model: Any, **_: object) -> None:
        self.calls.append(model.name)


@pytest.fixture
def recorded(line: S3Line) -> Iterator[Recorded]:
    made = Recorded(line.url)
    yield made
    made.close()


@pytest.fixture
def bucket(s3_endpoint: str, s3_bucket: str) -> str:
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    for key in KEYS:
        client.put_object(Bucket=s3_bucket, Key=f"in/{key}", Body=key.encode())
    return s3_bucket


def places(found: Iterable[ObjectInfo]) -> list[tuple[Location, Location, ObjectInfo]]:
    return [(parse(i.uri), parse(i.uri.replace("/in/", "/out/")), i) for i in found]


@pytest.mark.parametrize("ends", ["length", "chunks", "close"])
def test_objects_of_every_name_are_copied(
    s3_endpoint: str, bucket: str, line: S3Line, recorded: Recorded, ends: str
) -> None:
    def down(request: Request, reply: Reply) -> None:
        reply.ends = ends

    line.down = down
    backend = S3Backend(DataSettings(), client=lambda _: recorded.client)
    found = list(backend.list(parse(f"s3://{bucket}/in/")))
    for some in (found[:3], found[3:]):
        assert backend.copy_some(places(some), encrypt=True) == [info.size for info in some]
    # The first one by the library, which shows how; nothing has to be asked before.
    assert recorded.calls.count("CopyObject") == (1 if ends != "close" else len(KEYS))
    assert "HeadObject" not in recorded.calls
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    for key in KEYS:
        reply = client.get_object(Bucket=bucket, Key=f"out/{key}")
        assert reply["Body"].read() == key.encode()
        assert reply["ServerSideEncryption"] == "AES256"


def test_what_goes_out_is_what_the_library_sends(
    bucket: str, line: S3Line, recorded: Recorded
) -> None:
    """The same copy both ways: the same URL and headers, signature included."""
    light = LightCopies(recorded.client, SystemClock())
    for key in KEYS:
        origin, target = (parse(f"s3://{bucket}/{folder}/{key}") for folder in ("in", "to"))
        etag = recorded.client.head_object(Bucket=bucket, Key=origin.key)["ETag"]
        line.calls.clear()
        with light.learning(target, kind="k"):
            recorded.client.copy_object(
                Bucket=bucket,
                Key=target.key,
                CopySource={"Bucket": bucket, "Key": origin.key},
                CopySourceIfMatch=etag,
            )
        assert light.copy([Wanted(origin, etag.strip('"'), target)], kind="k") == [True]
        theirs, ours = line.calls
        assert (ours.method, ours.path) == (theirs.method, theirs.path)
        for name, value in _plain(theirs).items():
            if not name.startswith("amz-sdk") and name not in {"authorization", "x-amz-date"}:
                assert _plain(ours)[name] == value
        assert _plain(ours)["authorization"].endswith(f"Signature={_signature(ours, line.url)}")


def _signature(request: Request, endpoint: str) -> str:
    """What the library makes of the headers that a request says are signed."""
    headers = _plain(request)
    _, _, named = headers["authorization"].partition("SignedHeaders=")
    names = set(named.partition(",")[0].split(";")) - {"host"}
    keys = botocore.session.get_session().get_credentials()
    assert keys is not None
    auth = S3SigV4Auth(keys, "s3", "us-east-1")
    again = AWSRequest("PUT", endpoint + request.path, {name: headers[name] for name in names})
    again.context["timestamp"] = headers["x-amz-date"]
    text = auth.string_to_sign(again, auth.canonical_request(again))
    return str(auth.signature(text, again))


def _plain(request: Request) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


@pytest.mark.parametrize("fault", ["refused", "nonsense", "cut", "lost"])
def test_what_goes_wrong_is_done_again_by_the_library(
    s3_endpoint: str, bucket: str, line: S3Line, recorded: Recorded, fault: str
) -> None:
    asked = [0]

    def spoil(request: Request, reply: Reply) -> None:
        asked[0] += request.method == "PUT"
        if request.method == "PUT" and asked[0] == 4:
            reply.status = 503 if fault == "refused" else 200
            reply.body = b"<Error/>" if fault == "nonsense" else reply.body[:40]
            reply.lost = fault == "lost"

    line.down = spoil
    backend = S3Backend(DataSettings(), client=lambda _: recorded.client)
    backend.copy_some(places(backend.list(parse(f"s3://{bucket}/in/"))))
    assert recorded.calls.count("CopyObject") == 2
    store = open_store(DataSettings(s3_endpoint=s3_endpoint))
    assert len(list(store.list(f"s3://{bucket}/out/"))) == len(KEYS)


def test_what_is_wrong_is_told_by_the_library(s3_endpoint: str, bucket: str) -> None:
    store = open_store(DataSettings(s3_endpoint=s3_endpoint))
    found = list(store.list(f"s3://{bucket}/in/"))
    store.delete(found[5].uri)
    wanted = [(info, info.uri.replace("/in/", "/out/")) for info in found]
    with pytest.raises(TaskError, match="there is no such object") as caught:
        list(store.copy_all(wanted))
    assert caught.value.error_id == ErrorId.NOT_FOUND
    assert found[5].uri in str(caught.value)

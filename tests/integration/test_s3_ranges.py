"""A large object that is read by several requests at a time is whole and unchanged, or an error."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from taskrunner.data.objects.location import parse
from taskrunner.data.objects.s3 import S3Backend
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from tests.s3_line import NoWait, Reply, Request, S3Line, connected

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIZE, PART = 300_007, 20_000
DATA = os.urandom(SIZE)


@pytest.fixture(scope="module")
def client(s3_endpoint: str) -> Iterator[S3Client]:
    config = Config(request_checksum_calculation="when_required")
    client = boto3.client("s3", endpoint_url=s3_endpoint, config=config)
    yield client
    client.close()


@pytest.fixture
def uri(client: S3Client, s3_bucket: str) -> str:
    client.put_object(Bucket=s3_bucket, Key="data", Body=DATA)
    return f"s3://{s3_bucket}/data"


class Ranges:
    """What was asked for, in any order."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: Request) -> None:
        if request.call == "GetObject":
            self.asked.append(request.headers.get("Range", ""))


def read(line: S3Line, uri: str, *, part: int = PART, size: int = 7000) -> bytes:
    settings = DataSettings(s3_endpoint=line.url)
    backend = S3Backend(
        settings, client=lambda _: connected(line.url), clock=NoWait(), read_part=part
    )
    with backend.open_read(parse(uri)) as reader:
        return b"".join(iter(lambda: reader.read(size), b""))


def is_range(request: Request) -> bool:
    """Whether it asks for a part, not for all that is left."""
    return not request.headers.get("Range", "-").endswith("-")


@pytest.mark.parametrize("size", [1, 7000, 1 << 20])
def test_an_object_is_read_by_ranges(line: S3Line, uri: str, size: int) -> None:
    asked = Ranges()
    line.up = asked
    if size == 1:  # of a shorter one
        assert read(line, uri, part=37_000, size=100) == DATA
        return
    assert read(line, uri, size=size) == DATA
    wanted = [f"bytes={n}-{min(n + PART, SIZE) - 1}" for n in range(PART, SIZE, PART)]
    assert sorted(asked.asked) == sorted(["", *wanted])


def test_a_small_object_is_read_at_once(line: S3Line, uri: str) -> None:
    asked = Ranges()
    line.up = asked
    assert read(line, uri, part=SIZE // 7) == DATA
    assert asked.asked == [""]


def test_a_server_that_knows_no_ranges_goes_on_with_its_first_answer(
    line: S3Line, uri: str
) -> None:
    def without(request: Request) -> None:
        request.headers.pop("Range", None)

    line.up = without
    assert read(line, uri) == DATA


@pytest.mark.parametrize("start", [PART, 5 * PART])
@pytest.mark.parametrize("fault", ["refused", "short", "other"])
def test_a_range_that_does_not_come_is_asked_for_again(
    line: S3Line, uri: str, start: int, fault: str
) -> None:
    """By one request for all that is left."""
    asked = Ranges()

    def spoil(request: Request, reply: Reply) -> None:
        if request.headers.get("Range", "").startswith(f"bytes={start}-") and is_range(request):
            if fault == "refused":
                reply.status, reply.body = 403, b""
            elif fault == "short":
                reply.body = reply.body[:-1]
            else:
                reply.headers["Content-Range"] = f"bytes 0-{PART - 1}/{SIZE}"

    line.up, line.down = asked, spoil
    assert read(line, uri) == DATA
    assert (f"bytes={start}-" in asked.asked) == (start > PART)


def test_a_range_that_was_altered_fails(line: S3Line, uri: str) -> None:
    def alter(request: Request, reply: Reply) -> None:
        if request.headers.get("Range", "").startswith(f"bytes={5 * PART}-"):
            reply.body = bytes([reply.body[0] ^ 1]) + reply.body[1:]

    line.down = alter
    with pytest.raises(TaskError, match="what came is not what is there"):
        read(line, uri)


def test_an_object_that_changes_meanwhile_fails(line: S3Line, uri: str, client: S3Client) -> None:
    def change(request: Request) -> None:
        if request.headers.get("Range", "").startswith(f"bytes={5 * PART}-"):
            name = parse(uri)
            client.put_object(Bucket=name.bucket, Key=name.key, Body=DATA[::-1])

    line.up = change
    with pytest.raises(TaskError, match="what came is not what is there"):
        read(line, uri)


def test_whoever_reads_no_more_ends_it(line: S3Line, uri: str) -> None:
    settings = DataSettings(s3_endpoint=line.url)
    asked = Ranges()
    line.up = asked
    backend = S3Backend(settings, client=lambda _: connected(line.url), read_part=10_000)
    with backend.open_read(parse(uri)) as reader:
        assert reader.read(100) == DATA[:100]
        assert reader.read(10_000)
    assert len(asked.asked) < 15
    ours = ("side-by-side", "checksum")
    assert not [t for t in threading.enumerate() if t.name.startswith(ours)]

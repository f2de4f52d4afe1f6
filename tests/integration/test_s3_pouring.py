"""A large object that several threads put into a file is whole and unchanged, or an error."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from taskrunner.data.objects.local import FileBackend
from taskrunner.data.objects.location import parse
from taskrunner.data.objects.s3 import S3Backend
from taskrunner.data.objects.s3_reader import S3Reader
from taskrunner.data.objects.store import RoutingStore
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from tests.s3_line import NoWait, Reply, Request, S3Line, connected

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What is asked for at a time is four parts.
SIZE, PART = 300_007, 5_000
RANGE = 4 * PART
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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "data"


def download(line: S3Line, uri: str, path: Path, *, part: int = PART) -> bytes:
    """What is in the file then; nothing is left beside it."""
    settings = DataSettings(s3_endpoint=line.url)
    backend = S3Backend(
        settings, client=lambda _: connected(line.url), clock=NoWait(), read_part=part
    )
    store = RoutingStore({"s3": lambda: backend, "file": lambda: FileBackend(nameless=False)})
    try:
        assert store.download(uri, path) == path.stat().st_size
    finally:
        assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]
        assert not [t for t in threading.enumerate() if t.name.startswith("side-by-side")]
    return path.read_bytes()


def start_of(request: Request) -> int | None:
    """Where the range begins that is asked for; None of a request for all that is left."""
    found = request.headers.get("Range", "-").removeprefix("bytes=")
    return None if found.endswith("-") else int(found.partition("-")[0])


def asked(line: S3Line) -> list[str]:
    gets = [call for call in line.calls if call.call == "GetObject"]
    return [call.headers.get("Range", "").removeprefix("bytes=") for call in gets]


def test_it_comes_by_ranges(line: S3Line, uri: str, path: Path) -> None:
    assert download(line, uri, path) == DATA
    wanted = [f"{n}-{min(n + RANGE, SIZE) - 1}" for n in range(RANGE, SIZE, RANGE)]
    assert sorted(asked(line)) == sorted(["", *wanted])


def test_a_small_one_comes_at_once(line: S3Line, uri: str, path: Path) -> None:
    assert download(line, uri, path, part=SIZE // 7) == DATA
    assert asked(line) == [""]


def test_a_server_that_knows_no_ranges_goes_on_with_its_first_answer(
    line: S3Line, uri: str, path: Path
) -> None:
    def without(request: Request) -> None:
        request.headers.pop("Range", None)

    line.up = without
    assert download(line, uri, path) == DATA
    assert "" in asked(line)


@pytest.mark.parametrize("start", [0, RANGE, 5 * RANGE])
@pytest.mark.parametrize("fault", ["refused", "short", "hung up", "other", "another's"])
def test_a_range_that_does_not_come_is_asked_for_again(
    line: S3Line, uri: str, path: Path, start: int, fault: str
) -> None:
    faults = [fault]

    def spoil(request: Request, reply: Reply) -> None:
        if request.call != "GetObject" or (start_of(request) or 0) != start or not faults:
            return
        faults.pop()
        if fault == "refused" and start:
            reply.status, reply.body = 403, b""
        elif fault == "hung up":
            reply.headers["Content-Length"] = str(len(reply.body))
            reply.body, reply.ends = reply.body[:1000], "close"
        elif fault == "other" and start:
            reply.headers["Content-Range"] = f"bytes 0-{RANGE - 1}/{SIZE}"
        elif fault == "another's" and start:
            reply.headers["ETag"] = '"0123"'
        else:
            reply.body = reply.body[: RANGE - 1]

    line.down = spoil
    assert download(line, uri, path) == DATA
    assert not faults


@pytest.mark.parametrize("start", [0, 5 * RANGE])
def test_a_byte_that_was_flipped_is_an_error(
    line: S3Line, uri: str, path: Path, start: int
) -> None:
    def alter(request: Request, reply: Reply) -> None:
        if request.call == "GetObject" and (start_of(request) or 0) == start:
            reply.body = bytes([reply.body[0] ^ 1]) + reply.body[1:]

    line.down = alter
    with pytest.raises(TaskError, match="what came is not what is there"):
        download(line, uri, path)
    assert not path.exists()


def test_an_object_that_changes_meanwhile_is_an_error(
    line: S3Line, uri: str, path: Path, client: S3Client
) -> None:
    def change(request: Request) -> None:
        if start_of(request) == 5 * RANGE:
            name = parse(uri)
            client.put_object(Bucket=name.bucket, Key=name.key, Body=DATA[::-1])

    line.up = change
    with pytest.raises(TaskError, match="the object was changed while it was being read"):
        download(line, uri, path)
    assert not path.exists()


def test_a_disk_that_is_full_says_so(line: S3Line, uri: str) -> None:
    class Full:
        def write_at(self, data: memoryview, start: int, /) -> None:
            raise TaskError("cannot write: No space left on device")

        def read_at(self, into: memoryview, start: int, /) -> None:
            raise AssertionError

        def settle(self, size: int, /) -> None:
            raise AssertionError

    backend = S3Backend(
        DataSettings(s3_endpoint=line.url), client=lambda _: connected(line.url), read_part=PART
    )
    with backend.open_read(parse(uri)) as reader:
        assert isinstance(reader, S3Reader)
        with pytest.raises(TaskError, match="No space left"):
            list(reader.pour(Full()))

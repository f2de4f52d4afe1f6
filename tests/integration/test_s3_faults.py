"""An S3 that tells less or other than it has: what is read is whole and unchanged, or an error."""

from __future__ import annotations

import base64
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from taskrunner.data.formats.compression import gunzipped
from taskrunner.data.objects.location import parse
from taskrunner.data.objects.s3 import S3Backend
from taskrunner.data.objects.s3_parts import PART_SIZE
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from tests.s3_line import NoWait, Reply, Request, S3Line, connected

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIZE = 300_000
DATA = os.urandom(SIZE)


@pytest.fixture(scope="module")
def client(s3_endpoint: str) -> Iterator[S3Client]:
    # Without checksums of its own: what there is then is the ETag.
    config = Config(request_checksum_calculation="when_required")
    client = boto3.client("s3", endpoint_url=s3_endpoint, config=config)
    yield client
    client.close()


@pytest.fixture
def uri(client: S3Client, s3_bucket: str) -> str:
    """An object in one piece."""
    client.put_object(Bucket=s3_bucket, Key="data", Body=DATA)
    return f"s3://{s3_bucket}/data"


@pytest.fixture
def in_parts(line: S3Line, s3_bucket: str) -> str:
    """An object that was uploaded in parts: its ETag is no MD5 sum."""
    with backend(line).open_write(parse(f"s3://{s3_bucket}/parts")) as writer:
        writer.write(DATA * 40)
    return f"s3://{s3_bucket}/parts"


def backend(line: S3Line, *, etags: str = "md5") -> S3Backend:
    settings = DataSettings(s3_endpoint=line.url, s3_etags=etags)
    return S3Backend(settings, client=lambda _: connected(line.url), clock=NoWait())


def read(line: S3Line, uri: str, *, etags: str = "md5") -> bytes:
    with backend(line, etags=etags).open_read(parse(uri)) as reader:
        return reader.read()


def halved(line: S3Line, ends: str, *, times: int = 1) -> None:
    """So many replies have half of their body, and nothing that says so."""
    left = [times]

    def down(request: Request, reply: Reply) -> None:
        if request.call == "GetObject" and left[0]:
            left[0] -= 1
            reply.body = reply.body[: len(reply.body) // 2]
            reply.ends = ends

    line.down = down


@pytest.mark.parametrize("ends", ["length", "chunks", "close"])
@pytest.mark.parametrize("etags", ["md5", "opaque"])
def test_half_a_body_is_completed(line: S3Line, uri: str, ends: str, etags: str) -> None:
    halved(line, ends)
    assert read(line, uri, etags=etags) == DATA
    assert [call.headers.get("Range") for call in line.calls if call.call == "GetObject"] == [
        None,
        f"bytes={SIZE // 2}-",
    ]
    assert line.calls[-1].headers["If-Match"]


def test_half_of_a_body_in_parts_is_completed(line: S3Line, in_parts: str) -> None:
    halved(line, "length")
    assert read(line, in_parts) == DATA * 40


def test_a_body_that_never_comes_whole_is_an_error_with_object_and_byte(
    line: S3Line, uri: str
) -> None:
    def down(request: Request, reply: Reply) -> None:
        if request.call == "GetObject":
            reply.body = b"" if "Range" in request.headers else reply.body[:1000]

    line.down = down
    with pytest.raises(TaskError, match=rf"{uri} after byte 1000 of {SIZE}: nothing more of it"):
        read(line, uri)
    assert line.count("GetObject") == 6


@pytest.mark.parametrize("what", ["start", "all", "unnamed"])
def test_a_resume_that_is_answered_with_another_range_is_an_error(
    line: S3Line, uri: str, what: str
) -> None:
    halved(line, "length", times=1)
    halve = line.down

    def down(request: Request, reply: Reply) -> None:
        halve(request, reply)
        if "Range" not in request.headers:
            return
        start = SIZE // 2 - 9
        reply.body = DATA[start:]
        if what == "start":
            reply.headers["content-range"] = f"bytes {start}-{SIZE - 1}/{SIZE}"
        elif what == "unnamed":
            reply.headers.pop("content-range", None)
        else:
            reply.status = 200
            reply.headers.pop("content-range", None)

    line.down = down
    with pytest.raises(TaskError, match=rf"{uri} after byte {SIZE // 2} of {SIZE}: asked for"):
        read(line, uri)


@pytest.mark.parametrize("kind", ["uri", "in_parts"])
def test_a_byte_that_was_flipped_is_an_error(
    line: S3Line, kind: str, request: pytest.FixtureRequest
) -> None:
    uri: str = request.getfixturevalue(kind)

    def down(request: Request, reply: Reply) -> None:
        if request.call == "GetObject":
            body = bytearray(reply.body)
            body[1234] ^= 1
            reply.body = bytes(body)

    line.down = down
    with pytest.raises(TaskError, match=r"what came is not what is there: its ETag is"):
        read(line, uri)
    # Where ETags say nothing, nobody can know.
    assert len(read(line, uri, etags="opaque")) in {SIZE, 40 * SIZE}


def test_a_checksum_of_the_upload_is_held_to_where_the_etag_is_none(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    for name in ("CRC32", "SHA1", "SHA256"):
        client.put_object(Bucket=s3_bucket, Key=name, Body=DATA, ChecksumAlgorithm=name)
        assert read(line, f"s3://{s3_bucket}/{name}", etags="opaque") == DATA

    def down(request: Request, reply: Reply) -> None:
        if request.call == "GetObject":
            reply.body = b"x" + reply.body[1:]

    line.down = down
    for name in ("CRC32", "SHA1", "SHA256"):
        with pytest.raises(TaskError, match=f"its Checksum{name} is"):
            read(line, f"s3://{s3_bucket}/{name}", etags="opaque")


def test_the_checksum_of_an_upload_in_parts_is_held_to(line: S3Line, in_parts: str) -> None:
    data = DATA * 40
    parts = [data[start : start + PART_SIZE] for start in range(0, len(data), PART_SIZE)]
    sums = [zlib.crc32(part).to_bytes(4, "big") for part in parts]
    whole = zlib.crc32(b"".join(sums)).to_bytes(4, "big")

    def down(request: Request, reply: Reply) -> None:
        if request.call == "HeadObject" and "partNumber" not in request.query:
            reply.headers["x-amz-checksum-crc32"] = f"{base64.b64encode(whole).decode()}-3"
            reply.headers["x-amz-checksum-type"] = "COMPOSITE"
        if request.call == "GetObject" and is_wrong:
            reply.body = b"x" + reply.body[1:]

    is_wrong = False
    line.down = down
    assert read(line, in_parts, etags="opaque") == data
    is_wrong = True
    with pytest.raises(TaskError, match="what came is not what is there: its ChecksumCRC32 is"):
        read(line, in_parts, etags="opaque")


def test_an_error_in_the_place_of_the_object_is_none_of_its_bytes(line: S3Line, uri: str) -> None:
    error = b"<Error><Code>InternalError</Code><Message>We are sorry</Message></Error>"

    def down(request: Request, reply: Reply) -> None:
        if request.call == "GetObject":
            reply.body = error

    line.down = down  # with the headers of the object
    with pytest.raises(TaskError, match="nothing more of it came"):
        read(line, uri)

    def bare(request: Request, reply: Reply) -> None:
        if request.call == "GetObject":
            reply.body, reply.headers = error, {"content-type": "application/xml"}

    line.down = bare
    with pytest.raises(TaskError, match="not one of S3's"):
        read(line, uri)


def test_an_object_that_is_replaced_meanwhile_is_an_error(
    line: S3Line, uri: str, client: S3Client, s3_bucket: str
) -> None:

    def down(request: Request, reply: Reply) -> None:
        if request.call == "GetObject" and "Range" not in request.headers:
            reply.body, reply.ends = reply.body[: SIZE // 2], "chunks"
            client.put_object(Bucket=s3_bucket, Key="data", Body=DATA[::-1])

    line.down = down
    with pytest.raises(TaskError, match="the object was changed while it was being read"):
        read(line, uri)


def test_gzip_data_that_are_cut_are_completed_or_an_error(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    # Two members: what ends between them is right gzip, and still not all.
    halves = [gzip.compress(part, mtime=0) for part in (DATA[:1000], DATA[1000:])]
    client.put_object(Bucket=s3_bucket, Key="data.gz", Body=b"".join(halves))
    uri = f"s3://{s3_bucket}/data.gz"

    def down(request: Request, reply: Reply) -> None:
        if request.call == "GetObject" and "Range" not in request.headers:
            reply.body, reply.ends = reply.body[: len(halves[0])], "chunks"

    line.down = down
    with backend(line).open_read(parse(uri)) as reader:
        assert b"".join(gunzipped(reader, source=uri)) == DATA


@pytest.fixture
def many(client: S3Client, s3_bucket: str) -> str:
    for number in range(12):
        client.put_object(Bucket=s3_bucket, Key=f"many/{number:02}", Body=b"")
    return f"s3://{s3_bucket}/many/"


def names(line: S3Line, prefix: str) -> list[str]:
    return [info.uri[-2:] for info in backend(line).list(parse(prefix))]


def paged(request: Request) -> None:
    """Pages of five keys."""
    if request.call == "ListObjects" and "max-keys" not in request.query:
        request.path += "&max-keys=5"


@pytest.mark.parametrize("lie", ["none", "no more", "no token", "no word"])
def test_a_listing_that_ends_too_early_goes_on(line: S3Line, many: str, lie: str) -> None:
    told = []

    def down(request: Request, reply: Reply) -> None:
        if request.call != "ListObjects" or lie == "none":
            return
        told.append(lie)
        before, after = {
            "no more": (b"<IsTruncated>true", b"<IsTruncated>false"),
            "no token": (b"NextContinuationToken>", b"Nothing>"),
            "no word": (b"IsTruncated>", b"Nothing>"),
        }[lie]
        reply.body = reply.body.replace(before, after)

    line.up, line.down = paged, down
    assert names(line, many) == [f"{number:02}" for number in range(12)]


def test_a_page_that_lacks_keys_is_asked_for_again_and_then_an_error(
    line: S3Line, many: str
) -> None:
    left = [1]

    def down(request: Request, reply: Reply) -> None:
        if request.call == "ListObjects" and left[0]:
            left[0] -= 1
            start = reply.body.index(b"<Contents>")
            end = reply.body.index(b"</Contents>") + len(b"</Contents>")
            reply.body = reply.body[:start] + reply.body[end:]

    line.up, line.down = paged, down
    assert names(line, many) == [f"{number:02}" for number in range(12)]
    left[0] = 100
    with pytest.raises(TaskError, match="a page of 5 keys came with 4 of them"):
        names(line, many)


def test_a_page_that_comes_twice_is_an_error(line: S3Line, many: str) -> None:
    def up(request: Request) -> None:
        paged(request)
        if token := request.query.get("continuation-token"):
            request.path = request.path.replace(f"continuation-token={token}", "x=")

    line.up = up
    with pytest.raises(TaskError, match="the same keys came again"):
        names(line, many)


def test_empty_pages_that_never_end_are_an_error(line: S3Line, many: str) -> None:
    """Empty pages may come: a store looks through what has been deleted. But each is another."""
    left = [3]

    def down(request: Request, reply: Reply) -> None:
        if request.call != "ListObjects" or not left[0]:
            return
        left[0] -= 1
        emptied = re.sub(rb"<Contents>.*</Contents>", b"", reply.body, flags=re.DOTALL)
        emptied = re.sub(rb"<KeyCount>[0-9]+<", b"<KeyCount>0<", emptied)
        token = b"<NextContinuationToken>%d</NextContinuationToken>" % left[0]
        more = b"<IsTruncated>true</IsTruncated>" + token
        emptied = re.sub(rb"<(IsTruncated|NextContinuationToken)>.*?</\1>", b"", emptied)
        reply.body = emptied.replace(b"<Name>", more + b"<Name>")

    def up(request: Request) -> None:
        request.path = re.sub("&?continuation-token=[0-9]", "", request.path)

    line.up, line.down = up, down
    assert names(line, many) == [f"{number:02}" for number in range(12)]

    def for_ever(request: Request, reply: Reply) -> None:
        left[0] = 1
        down(request, reply)

    line.down = for_ever
    with pytest.raises(TaskError, match="the same page without any keys came again"):
        names(line, many)


def test_a_server_that_cannot_start_behind_a_key_is_believed(line: S3Line, many: str) -> None:
    def up(request: Request) -> None:
        request.path = request.path.replace("start-after", "unknown")

    line.up = up
    assert names(line, many) == [f"{number:02}" for number in range(12)]

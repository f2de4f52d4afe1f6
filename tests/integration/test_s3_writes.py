"""What is written to S3: unchanged, whole, not over a later attempt's, and nothing left open."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from taskrunner.clock import SystemClock
from taskrunner.data.claims import Claim
from taskrunner.data.objects.location import parse
from taskrunner.data.objects.s3 import S3Backend
from taskrunner.data.objects.s3_client import create_client
from taskrunner.data.objects.s3_notes import UploadNotes
from taskrunner.data.objects.s3_parts import PART_SIZE
from taskrunner.data.objects.s3_upload import MultipartUpload
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from tests.s3_line import NoWait, Reply, Request, S3Line, connected

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SMALL = os.urandom(1000)
LARGE = os.urandom(PART_SIZE + 1000)
FIRST = Claim(pipeline="df-1", instance="@Copy_2026", run="r1", attempt=1, handout="h1")
SECOND = replace(FIRST, attempt=2, handout="h2")
ERROR = b"<Error><Code>InternalError</Code><Message>We are sorry</Message></Error>"


@pytest.fixture(scope="module")
def client(s3_endpoint: str) -> Iterator[S3Client]:
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    yield client
    client.close()


def backend(line: S3Line, claim: Claim | None = None, logs: str | None = None) -> S3Backend:
    settings = DataSettings(s3_endpoint=line.url, claim=claim, instance_uri=logs)
    return S3Backend(settings, client=lambda _: connected(line.url), clock=NoWait())


def write(store: S3Backend, uri: str, data: bytes, then: Callable[[], object] = int) -> None:
    with store.open_write(parse(uri)) as writer:
        writer.write(data)
        then()


def content(client: S3Client, uri: str) -> bytes | None:
    place = parse(uri)
    try:
        return client.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
    except client.exceptions.NoSuchKey:
        return None


def uploads(client: S3Client, bucket: str) -> list[str]:
    found = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [upload["Key"] for upload in found]


def altered(line: S3Line, *calls: str, times: int = 100) -> None:
    """A byte of what goes up is another when it arrives, and nobody looks at the digest."""
    left = [times]

    def up(request: Request) -> None:
        if request.call in calls and left[0]:
            left[0] -= 1
            request.body = request.body[:10] + b"!" + request.body[11:]

    line.up = up


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "parts"])
def test_what_is_altered_on_its_way_is_sent_again(
    line: S3Line, client: S3Client, s3_bucket: str, data: bytes
) -> None:
    uri = f"s3://{s3_bucket}/key"
    # Of an upload, one is the try whether the store looks at checksums.
    altered(line, "PutObject", "UploadPart", times=3 if data is LARGE else 2)
    write(backend(line), uri, data)
    assert content(client, uri) == data
    assert line.count("UploadPart") == (5 if data is LARGE else 0)


@pytest.mark.parametrize(
    ("data", "what"), [(SMALL, "its content"), (LARGE, "part 1")], ids=["put", "parts"]
)
def test_what_is_always_altered_is_never_there(
    line: S3Line, client: S3Client, s3_bucket: str, data: bytes, what: str
) -> None:
    uri = f"s3://{s3_bucket}/key"
    altered(line, "PutObject", "UploadPart")
    with pytest.raises(TaskError, match=f"{uri}: {what} .* was altered on its way, 3 times"):
        write(backend(line), uri, data)
    assert content(client, uri) is None
    assert uploads(client, s3_bucket) == []
    assert line.count("CompleteMultipartUpload") == 0


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "parts"])
def test_a_store_that_looks_at_digests_is_listened_to(
    line: S3Line, client: S3Client, s3_bucket: str, data: bytes
) -> None:
    body = b"<Error><Code>BadDigest</Code><Message>not what you said</Message></Error>"
    told: list[str] = []

    def up(request: Request) -> Reply | None:
        if request.call in {"PutObject", "UploadPart"}:
            told.append(request.headers["Content-MD5"])
            if len(told) == 1:
                return Reply(400, {"content-type": "application/xml"}, body)
        return None

    line.up = up
    write(backend(line), f"s3://{s3_bucket}/key", data)
    # Sent again as it was, be it after others that went beside it.
    assert told.count(told[0]) == 2
    assert content(client, f"s3://{s3_bucket}/key") == data


@pytest.mark.parametrize("done", [True, False], ids=["done", "not-done"])
def test_an_error_with_status_200_at_completion(
    line: S3Line, client: S3Client, s3_bucket: str, *, done: bool
) -> None:
    uri = f"s3://{s3_bucket}/key"

    def up(request: Request) -> Reply | None:
        if request.call == "CompleteMultipartUpload" and not done:
            return Reply(200, {"content-type": "application/xml"}, ERROR)
        return None

    def down(request: Request, reply: Reply) -> None:
        if request.call == "CompleteMultipartUpload" and line.count(request.call) == 1:
            reply.body = ERROR

    line.up, line.down = up, down
    if done:
        write(backend(line), uri, LARGE)
        assert content(client, uri) == LARGE
    else:
        with pytest.raises(TaskError, match="We are sorry"):
            write(backend(line), uri, LARGE)
        assert content(client, uri) is None
    assert uploads(client, s3_bucket) == []


def conditions_kept(line: S3Line, client: S3Client) -> None:
    """The store knows If-Match at completion, which this one does not."""

    def up(request: Request) -> Reply | None:
        wanted = request.headers.get("If-Match")
        if request.call != "CompleteMultipartUpload" or wanted is None:
            return None
        bucket, _, key = request.key.partition("/")
        if client.head_object(Bucket=bucket, Key=key)["ETag"] == wanted:
            return None
        body = b"<Error><Code>PreconditionFailed</Code></Error>"
        return Reply(412, {"content-type": "application/xml"}, body)

    line.up = up


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "parts"])
@pytest.mark.parametrize("before", [None, b"old"], ids=["new", "replaced"])
def test_a_superseded_attempt_does_not_replace_a_later_ones(
    line: S3Line, client: S3Client, s3_bucket: str, data: bytes, before: bytes | None
) -> None:
    uri = f"s3://{s3_bucket}/key"
    if before is not None:
        write(backend(line, replace(FIRST, instance="@Other")), uri, before)
    with pytest.raises(TaskError, match="a later attempt of @Copy_2026 has written it"):
        write(backend(line, FIRST), uri, data, lambda: write(backend(line, SECOND), uri, b"second"))
    assert content(client, uri) == b"second"
    assert uploads(client, s3_bucket) == []
    # Whoever comes later replaces.
    write(backend(line, replace(SECOND, attempt=3)), uri, data)
    assert content(client, uri) == data


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["put", "parts"])
@pytest.mark.parametrize("before", [None, b"old"], ids=["new", "replaced"])
def test_nor_when_that_comes_between_its_look_and_its_call(
    line: S3Line, client: S3Client, s3_bucket: str, data: bytes, before: bytes | None
) -> None:
    uri = f"s3://{s3_bucket}/key"
    if before is not None:
        write(backend(line), uri, before)
    conditions_kept(line, client)
    inner = S3Line(url=line.url)
    left = [1]

    def down(request: Request, _reply: Reply) -> None:
        if request.call == "HeadObject" and left[0]:
            left[0] = 0
            write(backend(inner, SECOND), uri, b"second")

    line.down = down
    with pytest.raises(TaskError, match="a later attempt of @Copy_2026 has written it"):
        write(backend(line, FIRST), uri, data)
    assert content(client, uri) == b"second"


def test_others_may_come_in_between(line: S3Line, client: S3Client, s3_bucket: str) -> None:
    uri = f"s3://{s3_bucket}/key"
    left = [1]

    def down(request: Request, _reply: Reply) -> None:
        if request.call == "HeadObject" and left[0]:
            left[0] = 0
            client.put_object(Bucket=s3_bucket, Key="key", Body=b"another's")

    line.down = down
    write(backend(line, FIRST), uri, SMALL)
    assert content(client, uri) == SMALL
    assert line.count("PutObject") == 2


def test_a_store_without_conditions_is_asked_without(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    def up(request: Request) -> Reply | None:
        if {"If-Match", "If-None-Match"} & set(request.headers):
            body = b"<Error><Code>NotImplemented</Code></Error>"
            return Reply(501, {"content-type": "application/xml"}, body)
        return None

    line.up = up
    for data in (SMALL, LARGE):
        write(backend(line, FIRST), f"s3://{s3_bucket}/key", data)
        assert content(client, f"s3://{s3_bucket}/key") == data


def test_a_writer_that_may_not_look_writes(line: S3Line, client: S3Client, s3_bucket: str) -> None:
    line.up = lambda request: Reply(403, {}, b"") if request.call == "HeadObject" else None
    write(backend(line, FIRST), f"s3://{s3_bucket}/key", SMALL)
    assert content(client, f"s3://{s3_bucket}/key") == SMALL


def test_a_put_whose_reply_is_lost_is_not_taken_for_anothers(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    left = [1]

    def down(request: Request, reply: Reply) -> None:
        if request.call == "PutObject" and left[0]:
            left[0], reply.lost = 0, True

    line.down = down
    write(backend(line, FIRST), f"s3://{s3_bucket}/key", SMALL)
    assert content(client, f"s3://{s3_bucket}/key") == SMALL


def begun(line: S3Line, claim: Claim, uri: str, logs: str) -> MultipartUpload:
    """An upload whose process dies after its first part."""
    store = backend(line, claim, logs)
    upload = MultipartUpload(store._target(parse(uri), encrypt=False))
    upload.send(1, bytearray(LARGE))
    return upload


def test_the_next_attempt_clears_what_was_left_and_nothing_else(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    logs = f"s3://{s3_bucket}/logs/df-1/Copy/@Copy_2026"
    begun(line, FIRST, f"s3://{s3_bucket}/out/a", logs)
    begun(line, FIRST, f"s3://{s3_bucket}/out/b", logs)
    other = replace(FIRST, instance="@Copy_2027")
    begun(line, other, f"s3://{s3_bucket}/out/a", logs)
    client.create_multipart_upload(Bucket=s3_bucket, Key="out/a")
    assert sorted(uploads(client, s3_bucket)) == ["out/a", "out/a", "out/a", "out/b"]

    write(backend(line, SECOND, logs), f"s3://{s3_bucket}/out/a", LARGE)
    assert uploads(client, s3_bucket) == ["out/a", "out/a"]
    notes = client.list_objects_v2(Bucket=s3_bucket, Prefix="logs/")["Contents"]
    assert [other.owner in note["Key"] for note in notes] == [True]


def test_a_superseded_attempt_clears_nothing_of_a_later_one(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    logs = f"s3://{s3_bucket}/logs"
    later = begun(line, SECOND, f"s3://{s3_bucket}/out", logs)
    write(backend(line, FIRST, logs), f"s3://{s3_bucket}/another", SMALL)
    assert uploads(client, s3_bucket) == ["out"]
    later.complete()
    assert content(client, f"s3://{s3_bucket}/out") == LARGE
    assert "Contents" not in client.list_objects_v2(Bucket=s3_bucket, Prefix="logs/")


@pytest.mark.parametrize("doubt", ["none", "part", "two", "before"])
def test_an_upload_that_never_got_its_name_is_cleared_where_there_is_no_doubt(
    line: S3Line, client: S3Client, s3_bucket: str, doubt: str
) -> None:
    logs = parse(f"s3://{s3_bucket}/logs")
    place: dict[str, Any] = {"Bucket": s3_bucket, "Key": "out"}
    if doubt == "before":
        client.create_multipart_upload(**place)
    UploadNotes(client, FIRST, logs).begin(parse(f"s3://{s3_bucket}/out"))
    if doubt != "before":
        upload = client.create_multipart_upload(**place)["UploadId"]
    if doubt == "part":
        client.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x")
    if doubt == "two":
        client.create_multipart_upload(**place)
    UploadNotes(client, SECOND, logs).sweep()
    left = {"none": 0, "part": 1, "two": 2, "before": 1}[doubt]
    assert len(uploads(client, s3_bucket)) == left


def test_an_upload_that_is_begun_in_the_place_of_another_is_not_left_by_a_kill(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    """A store that does not hold parts against a CRC-32 has a second upload begun for each."""
    logs, begun = f"s3://{s3_bucket}/logs", list[str]()

    def up(request: Request) -> Reply | None:
        if request.call == "CreateMultipartUpload":
            begun.append(request.key)
        is_note = request.call == "PutObject" and "/logs/" in request.path
        # What a process writes that is dead by then.
        return Reply(403, {}, b"") if is_note and len(begun) == 2 else None

    line.up = up
    target = backend(line, FIRST, logs)._target(parse(f"s3://{s3_bucket}/out"), encrypt=False)
    MultipartUpload(target, by_crc32=True)
    assert len(begun) == 2
    assert uploads(client, s3_bucket) == ["out"]
    UploadNotes(client, SECOND, parse(logs)).sweep()
    assert uploads(client, s3_bucket) == []


@pytest.mark.parametrize("lie", ["a part is left out", "another order"])
def test_an_object_that_is_made_of_other_parts_is_taken_back(
    line: S3Line, client: S3Client, s3_bucket: str, lie: str
) -> None:
    def up(request: Request) -> None:
        if request.call == "CompleteMultipartUpload":
            first, *_, last = re.findall(rb"<ETag>.*?</ETag>", request.body)
            if lie == "another order":
                request.body = request.body.replace(last, first)
            else:
                request.body = re.sub(
                    rb"<Part>(?:(?!<Part>).)*</Part>(?=</Comp)", b"", request.body
                )

    line.up = up
    uri = f"s3://{s3_bucket}/out"
    with pytest.raises(TaskError, match=r"cannot write s3://.*/out: "):
        write(backend(line), uri, LARGE)
    assert content(client, uri) is None


def test_notes_that_may_not_be_written_stop_nothing(
    line: S3Line, client: S3Client, s3_bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    denied = b"<Error><Code>AccessDenied</Code></Error>"
    line.up = lambda request: (
        Reply(403, {"content-type": "application/xml"}, denied) if "logs" in request.path else None
    )
    write(backend(line, FIRST, f"s3://{s3_bucket}/logs"), f"s3://{s3_bucket}/out", LARGE)
    assert content(client, f"s3://{s3_bucket}/out") == LARGE
    assert "cannot note it at" in caplog.text


def test_a_write_that_fails_leaves_no_note(line: S3Line, client: S3Client, s3_bucket: str) -> None:
    store = backend(line, FIRST, f"s3://{s3_bucket}/logs")

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(store, f"s3://{s3_bucket}/out", LARGE, fail)
    assert uploads(client, s3_bucket) == []
    assert "Contents" not in client.list_objects_v2(Bucket=s3_bucket)


def test_times_of_uploads_that_begin_much_later_are_anothers(
    line: S3Line, client: S3Client, s3_bucket: str
) -> None:
    logs = parse(f"s3://{s3_bucket}/logs")
    UploadNotes(client, FIRST, logs).begin(parse(f"s3://{s3_bucket}/out"))
    client.create_multipart_upload(Bucket=s3_bucket, Key="out")
    tomorrow = (SystemClock().now() + timedelta(days=1)).isoformat()

    def down(request: Request, reply: Reply) -> None:
        if request.call == "ListMultipartUploads":
            reply.body = reply.body.replace(b"2010-11-10T20:48:33.000", tomorrow[:19].encode())

    line.down = down
    UploadNotes(connected(line.url), SECOND, logs).sweep()
    assert uploads(client, s3_bucket) == ["out"]


def test_parts_that_are_refused_together_are_all_sent_again(
    line: S3Line,
    client: S3Client,
    s3_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second finds the credentials that the first has put there, and none that are newer."""
    keys = tmp_path / "credentials"
    refused = threading.Barrier(2)

    def keep(name: str) -> None:
        lines = ("[default]", f"aws_access_key_id={name}", f"aws_secret_access_key={name}")
        keys.write_text("\n".join([*lines, "aws_session_token=t"]))

    def up(request: Request) -> Reply | None:
        old = "Credential=OLD/" in request.headers["Authorization"]
        if old and "partNumber=" in request.path:
            with suppress(threading.BrokenBarrierError):
                refused.wait(5)
            keep("NEW")
            body = b"<Error><Code>ExpiredToken</Code><Message>too late</Message></Error>"
            return Reply(400, {"content-type": "application/xml"}, body)
        return None

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    keep("OLD")
    line.up = up
    made = create_client(DataSettings(s3_endpoint=line.url))
    store = S3Backend(DataSettings(s3_endpoint=line.url), client=lambda _: made)
    with store.open_write(parse(f"s3://{s3_bucket}/key")) as writer:
        writer.write(LARGE * 2)
    assert content(client, f"s3://{s3_bucket}/key") == LARGE * 2
    made.close()


def test_credentials_that_are_renewed_in_mid_copy_are_taken_up(
    line: S3Line,
    client: S3Client,
    s3_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = tmp_path / "credentials"

    def keep(name: str) -> None:
        lines = ("[default]", f"aws_access_key_id={name}", f"aws_secret_access_key={name}")
        keys.write_text("\n".join([*lines, "aws_session_token=t"]))

    def up(request: Request) -> Reply | None:
        if "Credential=OLD/" in request.headers["Authorization"] and keys_are_old:
            body = b"<Error><Code>ExpiredToken</Code><Message>too late</Message></Error>"
            return Reply(400, {"content-type": "application/xml"}, body)
        return None

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    keep("OLD")
    keys_are_old = False
    line.up = up
    made = create_client(DataSettings(s3_endpoint=line.url))
    store = S3Backend(DataSettings(s3_endpoint=line.url), client=lambda _: made)
    with store.open_write(parse(f"s3://{s3_bucket}/key")) as writer:
        writer.write(LARGE)
        keep("NEW")
        keys_are_old = True
    assert content(client, f"s3://{s3_bucket}/key") == LARGE
    assert "Credential=NEW/" in line.calls[-1].headers["Authorization"]
    # Where there are no newer ones, that is what is told.
    keep("OLD")
    again = create_client(DataSettings(s3_endpoint=line.url))
    with pytest.raises(TaskError, match="ExpiredToken"):
        write(
            S3Backend(DataSettings(s3_endpoint=line.url), client=lambda _: again),
            f"s3://{s3_bucket}/k",
            SMALL,
        )
    made.close()
    again.close()

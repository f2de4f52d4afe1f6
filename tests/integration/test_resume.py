"""A copy that is killed is gone on with, wherever its next attempt runs, and is exact."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
import pytest

from taskrunner.data.both_sides import BothSides, shown
from taskrunner.data.claims import Claim
from taskrunner.data.formats.compression import Compression
from taskrunner.data.formats.delimited import Csv
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.data.transfer import Transfer
from taskrunner.testing.activity_environment import new_object, new_task
from tests.integration.test_databases import run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST = Claim(pipeline="df-1", instance="@Copy_2026", run="r1", attempt=1, handout="h1")
SECOND = replace(FIRST, attempt=2, handout="h2")
ROWS = 120_000
NOTE = "n" * 150


class Killed(BaseException):
    """As kill -9 would: nothing is cleaned up behind it."""


class Monitor:
    """Counts rows; kills the copy at some."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.reports: list[int] = []
        self._kill_at = kill_at

    def progress(self, **fields: str | int) -> None:
        self.reports.append(int(fields.get("rows", 0)))

    def check_canceled(self) -> None:
        if self._kill_at is not None and self.reports and self.reports[-1] >= self._kill_at:
            raise Killed


@pytest.fixture(scope="module")
def client(s3_endpoint: str) -> Iterator[S3Client]:
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    yield client
    client.close()


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_database")
    run(found, "create table orders (id integer primary key, note varchar(200))")
    numbers = {
        "postgresql": f"generate_series(1, {ROWS}) as numbers (n)",
        "mariadb": f"(select cast(seq as signed) as n from seq_1_to_{ROWS}) as numbers",
    }[request.param]
    # Keys with gaps, and below zero.
    run(found, f"insert into orders select n * 3 - 9000, '{NOTE}' from {numbers}")
    return found


def wanted() -> bytes:
    return b"".join(b"%d,%s\n" % (n * 3 - 9000, NOTE.encode()) for n in range(1, ROWS + 1))


def copy(
    url: str,
    endpoint: str,
    bucket: str,
    claim: Claim,
    monitor: Monitor,
    *,
    zipped: bool = False,
    resume: bool = True,
    query: str | None = None,
) -> BothSides:
    """As CopyActivity does it, on a host of its own."""
    settings = DataSettings(
        s3_endpoint=endpoint,
        databases={"Orders": url},
        claim=claim,
        instance_uri=f"s3://{bucket}/logs",
    )
    described = new_object("Orders", "JdbcDatabase", {"connectionString": "jdbc:none://none/"})
    task = new_task("CopyActivity", {}, described)
    source = TableNode(
        id="In",
        database=task.object("Orders"),
        table="orders",
        schema=None,
        select_query=query,
        insert_query=None,
        create_table_sql=None,
    )
    target = FileNode(
        id="Out",
        uri=f"s3://{bucket}/out",
        is_directory=False,
        format=Csv(),
        compression=Compression.GZIP if zipped else Compression.NONE,
    )
    store = open_store(settings)
    transfer = Transfer(store, settings, monitor, file_name="x", resume=resume)
    transfer.copy(source, target)
    return transfer.sides


def kill(
    url: str, endpoint: str, bucket: str, claim: Claim, at: int, *, zipped: bool = False
) -> None:
    with suppress(Killed):
        copy(url, endpoint, bucket, claim, Monitor(at), zipped=zipped)
        raise AssertionError("it was not killed")


def content(client: S3Client, bucket: str) -> bytes:
    return client.get_object(Bucket=bucket, Key="out")["Body"].read()


def open_uploads(client: S3Client, bucket: str) -> int:
    return len(client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))


def test_the_next_attempt_goes_on_at_the_last_checkpoint(
    url: str,
    client: S3Client,
    s3_endpoint: str,
    s3_bucket: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="taskrunner")
    place = (url, s3_endpoint, s3_bucket)
    kill(*place, FIRST, ROWS // 2)
    assert open_uploads(client, s3_bucket) == 1
    kill(*place, SECOND, ROWS * 4 // 5)
    monitor = Monitor()
    sides = copy(*place, replace(FIRST, attempt=3, handout="h3"), monitor)
    found = content(client, s3_bucket)
    assert sorted(found.splitlines()) == sorted(wanted().splitlines())
    # Of what earlier attempts have read, too.
    assert (sides.source_rows, sides.source_checksum) == (ROWS, shown(zlib.crc32(found)))
    assert open_uploads(client, s3_bucket) == 0
    assert "Contents" not in client.list_objects_v2(Bucket=s3_bucket, Prefix="logs")
    taken_over = monitor.reports[0]
    assert taken_over > ROWS * 0.8 * 0.65
    assert monitor.reports[-1] == ROWS
    assert f"{taken_over} rows" in caplog.text


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_gzip_members_are_one_file(
    url: str, client: S3Client, s3_endpoint: str, s3_bucket: str
) -> None:
    # Of rows that do not shrink there is enough for parts.
    run(url, "alter table orders add more varchar(400)")
    noise = "md5(id)" if url.startswith("mysql") else "md5(id::text)"
    run(url, f"update orders set more = concat({noise}, reverse({noise}), md5({noise}), note)")
    place = (url, s3_endpoint, s3_bucket)
    kill(*place, FIRST, ROWS - 1000, zipped=True)
    monitor = Monitor()
    sides = copy(*place, SECOND, monitor, zipped=True)
    assert monitor.reports[0] > 10_000
    text = gzip.decompress(content(client, s3_bucket))
    assert sides.source_checksum == shown(zlib.crc32(text))
    lines = text.splitlines()
    assert len(lines) == len({line.split(b",")[0] for line in lines}) == ROWS


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", ["run", "plan", "resume", "parts", "query"])
def test_what_is_another_copy_begins_anew(
    url: str, client: S3Client, s3_endpoint: str, s3_bucket: str, change: str
) -> None:
    place = (url, s3_endpoint, s3_bucket)
    kill(*place, FIRST, ROWS * 4 // 5)
    claim = replace(SECOND, run="r2") if change == "run" else SECOND
    if change == "parts":
        [upload] = client.list_multipart_uploads(Bucket=s3_bucket)["Uploads"]
        client.abort_multipart_upload(Bucket=s3_bucket, Key="out", UploadId=upload["UploadId"])
    monitor = Monitor()
    query = "select id, note from orders order by id" if change == "query" else None
    copy(*place, claim, monitor, zipped=change == "plan", resume=change != "resume", query=query)
    assert monitor.reports[0] < ROWS // 10
    found = content(client, s3_bucket)
    found = gzip.decompress(found) if change == "plan" else found
    assert sorted(found.splitlines()) == sorted(wanted().splitlines())
    assert open_uploads(client, s3_bucket) == 0


def test_what_one_attempt_reads_is_of_one_moment(
    url: str, client: S3Client, s3_endpoint: str, s3_bucket: str
) -> None:
    class Meanwhile(Monitor):
        done = False

        def progress(self, **fields: str | int) -> None:
            super().progress(**fields)
            if not self.done:
                self.done = True
                run(url, "update orders set note = 'later'")

    copy(url, s3_endpoint, s3_bucket, FIRST, Meanwhile())
    assert b"later" not in content(client, s3_bucket)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_an_object_in_parts_of_any_sizes_can_be_checked(
    url: str, client: S3Client, s3_endpoint: str, s3_bucket: str
) -> None:
    copy(url, s3_endpoint, s3_bucket, FIRST, Monitor())
    with open_store(DataSettings(s3_endpoint=s3_endpoint)).open_read(f"s3://{s3_bucket}/out") as r:
        assert sorted(r.read().splitlines()) == sorted(wanted().splitlines())

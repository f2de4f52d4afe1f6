"""Rows and checksums of both sides, as the attempt of a CopyActivity tells them."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Iterator

import boto3
import pytest

from taskrunner.activities.copy import CopyActivity
from taskrunner.data.settings import DataSettings
from taskrunner.model.document import PipelineObject, Ref
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task
from tests.integration.test_databases import run

DATABASE = new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:none://none/"})
TEXT = b"1,a\n2,\\N\n3,\xc3\xa9\n"
CRC = f"crc32:{zlib.crc32(TEXT):08x}"


@pytest.fixture(params=["postgresql", "mariadb"])
def environment(request: pytest.FixtureRequest, s3_endpoint: str) -> Iterator[ActivityEnvironment]:
    """With a table `orders` of three rows, and `back`, which is empty."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    run(url, "create table orders (n integer, v varchar(9))")
    run(
        url,
        "create table back (n integer, v varchar(9)); create table odd (n integer check (n < 3))",
    )
    run(url, "insert into orders values (1, 'a'), (2, null), (3, 'é')")
    settings = DataSettings(s3_endpoint=s3_endpoint, databases={"Db": url})
    with ActivityEnvironment(data=settings) as environment:
        yield environment


def table(name: str) -> PipelineObject:
    return new_object(f"Table{name}", "SqlDataNode", {"table": name, "database": Ref("Db")})


def file(uri: str, **fields: str) -> PipelineObject:
    place = "directoryPath" if uri.endswith("/") else "filePath"
    return new_object(f"File{uri}", "S3DataNode", {place: uri, **fields})


def copy(
    environment: ActivityEnvironment, source: PipelineObject, target: PipelineObject, **more: str
) -> dict[str, str | int]:
    """What the attempt has told last."""
    nodes: dict[str, str | Ref] = {
        "input": Ref(source.id),
        "output": Ref(target.id),
        **more,
    }
    task = new_task(
        "CopyActivity", nodes, source, target, DATABASE, component_id=f"{source.id}To{target.id}"
    )
    environment.run(CopyActivity(), task)
    return dict(environment.progress_reports[-1])


def etag(endpoint: str, bucket: str, key: str) -> str:
    client = boto3.client("s3", endpoint_url=endpoint)
    try:
        return client.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    finally:
        client.close()


def test_out_of_a_table_and_into_another_one(
    environment: ActivityEnvironment, s3_endpoint: str, s3_bucket: str
) -> None:
    """Both have one checksum for the rows, compressed or not, and the object's own."""
    uri = f"s3://{s3_bucket}/orders.csv.gz"
    out = copy(environment, table("orders"), file(uri, compression="gzip"))
    sides = {"sourceRows": 3, "targetRows": 3}
    of_object = f"etag:{etag(s3_endpoint, s3_bucket, 'orders.csv.gz')}"
    assert out.items() >= {**sides, "sourceChecksum": CRC, "targetChecksum": of_object}.items()
    with environment.objects.open_read(uri) as reader:
        assert gzip.decompress(reader.read()) == TEXT
    back = copy(environment, file(uri, compression="gzip"), table("back"))
    assert back.items() >= {**sides, "sourceChecksum": of_object, "targetChecksum": CRC}.items()
    # Of a table's rows on their way into another one there is no text.
    between = copy(environment, table("orders"), table("back"))
    assert between.items() >= sides.items()
    assert not between.keys() & {"sourceChecksum", "targetChecksum"}


def test_several_files(environment: ActivityEnvironment, s3_endpoint: str, s3_bucket: str) -> None:
    for name, data in (("a", TEXT[:4]), ("b", TEXT[4:])):
        with environment.objects.open_write(f"s3://{s3_bucket}/in/{name}.csv") as writer:
            writer.write(data)
    told = copy(environment, file(f"s3://{s3_bucket}/in/"), table("back"))
    assert told["targetChecksum"] == CRC
    assert str(told["sourceChecksum"]).endswith(" of 2 etags")
    told = copy(environment, file(f"s3://{s3_bucket}/in/"), file(f"s3://{s3_bucket}/one.csv"))
    assert told["targetChecksum"] == f"etag:{etag(s3_endpoint, s3_bucket, 'one.csv')}"
    assert (told["sourceRows"], told["targetRows"]) == (3, 3)


def test_rows_that_are_put_aside_are_the_sources_alone(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    with environment.objects.open_write(f"s3://{s3_bucket}/in.csv") as writer:
        writer.write(b"1\nx\n2\n3\n")
    more = {"onBadRow": "reject", "rejectUri": f"s3://{s3_bucket}/rejected"}
    told = copy(environment, file(f"s3://{s3_bucket}/in.csv"), table("odd"), **more)
    assert (told["sourceRows"], told["targetRows"], told["rejected"]) == (4, 2, 2)


@pytest.mark.parametrize("environment", ["postgresql"], indirect=True)
def test_what_a_trigger_leaves_out_is_told_of(
    environment: ActivityEnvironment,
    s3_bucket: str,
    postgresql_database: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run(
        postgresql_database,
        "create function leave() returns trigger language plpgsql as "
        "$$ begin if new.n = 2 then return null; end if; return new; end $$; "
        "create trigger leaves before insert on back for each row execute function leave()",
    )
    with environment.objects.open_write(f"s3://{s3_bucket}/in.csv") as writer:
        writer.write(TEXT)
    with caplog.at_level(logging.WARNING):
        told = copy(environment, file(f"s3://{s3_bucket}/in.csv"), table("back"))
    assert (told["sourceRows"], told["targetRows"]) == (3, 2)
    assert "3 rows were sent, and the server says that it took 2" in caplog.text

"""The how-to's daily RDS export: its definition, a database for it, and the cloud it names."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import psycopg
import pymysql
import pytest

SEED = Path(__file__).resolve().parents[3] / "shared" / "seed-definitions" / "rds-to-s3.json"
needs_seed = pytest.mark.skipif(
    not SEED.exists(), reason="the seed definitions are not beside the checkout"
)

#: `make chaos` has the how-to's million; a third shows the same in each run of the tests.
ROWS = 1_000_000 if os.environ.get("TASKRUNNER_CHAOS") == "full" else 300_000
#: The rows go round these four days, a second apart: of a million three go through a second.
SPREAD_S = 4 * 86_400
WINDOW_ROWS = (1 + ROWS // SPREAD_S) * 86_400
START, END = "2026-02-13T02:00:00", "2026-02-14T02:00:00"
TOPIC = "arn:aws:sns:us-east-1:123456789012:pipeline-alerts"
FOLDER = "rds-exports/orders/2026-02-13/"
COLUMNS = "id, customer, status, amount, note, updated_at"

Row = tuple[str | None, ...]


def fill_mariadb(url: str) -> None:
    with closing(mysql(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer INT, status VARCHAR(20),"
            " amount DECIMAL(12,2), note TEXT, updated_at DATETIME)"
        )
        cursor.execute(
            "INSERT INTO orders SELECT seq, seq % 9973, ELT(1 + seq % 3, 'new', 'paid', 'sent'),"
            " seq % 100000 / 7, CASE seq % 10 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN"
            " 'a, \"b\"' WHEN 3 THEN 'two\\nlines' WHEN 4 THEN 'back\\\\slash' WHEN 5 THEN"
            " 'caf\u00e9 \U0001f600' ELSE 'plain' END,"
            f" '2026-02-12' + INTERVAL seq % {SPREAD_S} SECOND FROM seq_1_to_{ROWS}"
        )


def window_mariadb(url: str) -> list[Row]:
    with closing(mysql(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {COLUMNS} FROM orders"
            f" WHERE updated_at BETWEEN '{START}' AND '{END}' - INTERVAL 1 SECOND"
        )
        return list(cursor.fetchall())


def mysql(url: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 0,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.lstrip("/"),
        charset="utf8mb4",
        autocommit=True,
        ssl_disabled=True,
        conv={},  # every value as the server's text
    )


def fill_postgresql(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE orders (id bigint PRIMARY KEY, customer int, status text,"
            " amount numeric(12,2), note text, updated_at timestamp)"
        )
        connection.execute(
            "INSERT INTO orders SELECT n, n % 9973, (ARRAY['new', 'paid', 'sent'])[1 + n % 3],"
            " n % 100000 / 7.0, CASE n % 10 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN"
            " 'a, \"b\"' WHEN 3 THEN E'two\\nlines' WHEN 4 THEN E'back\\\\slash' WHEN 5 THEN"
            " 'caf\u00e9 \U0001f600' ELSE 'plain' END,"
            f" timestamp '2026-02-12' + n % {SPREAD_S} * interval '1 second'"
            f" FROM generate_series(1, {ROWS}) AS n"
        )


def window_postgresql(url: str) -> list[Row]:
    texts = ", ".join(f"{column}::text" for column in COLUMNS.split(", "))
    with psycopg.connect(url) as connection:
        return connection.execute(
            f"SELECT {texts} FROM orders"
            f" WHERE updated_at BETWEEN '{START}' AND timestamp '{END}' - interval '1 second'"
        ).fetchall()


FIELD = re.compile(r"((?:[^,\n\\]|\\.)*)([,\n])", re.DOTALL)
ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse(text: str) -> Iterator[Row]:
    """Rows of AWS's CSV: nothing is quoted, a backslash escapes, a lone \\N is NULL."""
    row: list[str | None] = []
    for value, end in FIELD.findall(text):
        row.append(None if value == r"\N" else ESCAPED.sub(r"\1", value))
        if end == "\n":
            yield tuple(row)
            row = []
    assert row == []


class Cloud:
    """The buckets and the topic that the definition names, and what arrived in them."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.s3 = boto3.client("s3", endpoint_url=endpoint)
        for bucket in ("my-data-lake", "my-pipeline-logs"):
            self.s3.create_bucket(Bucket=bucket)
        sns = boto3.client("sns", endpoint_url=endpoint)
        self.sqs = boto3.client("sqs", endpoint_url=endpoint)
        assert sns.create_topic(Name="pipeline-alerts")["TopicArn"] == TOPIC
        self.queue: str = self.sqs.create_queue(QueueName="alerts")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        queue_arn = attributes["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=queue_arn)
        sns.close()

    def close(self) -> None:
        self.s3.close()
        self.sqs.close()

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def read(self, bucket: str, key: str) -> bytes:
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def alarms(self) -> list[tuple[str, str]]:
        reply = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        bodies = [json.loads(message["Body"]) for message in reply.get("Messages", [])]
        return [(body["Subject"], body["Message"]) for body in bodies]

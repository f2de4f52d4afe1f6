"""The test servers themselves: what other tests rely on."""

from __future__ import annotations

from urllib.parse import urlsplit

import boto3
import psycopg
import pymysql
import pytest

pytestmark = pytest.mark.external_service


def test_postgresql_asks_for_the_password(postgresql_database: str) -> None:
    with psycopg.connect(postgresql_database) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname='public'"
        ).fetchone() == (0,)
    wrong = postgresql_database.replace("right-password", "wrong-password")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_mariadb_asks_for_the_password(mariadb_database: str) -> None:
    parts = urlsplit(mariadb_database)

    def connect(password: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
        return pymysql.connect(
            host=parts.hostname,
            port=parts.port or 0,
            user=parts.username,
            password=password,
            database=parts.path.lstrip("/"),
        )

    with connect(parts.password or "") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@character_set_database, @@local_infile")
        assert cursor.fetchone() == ("utf8mb4", 1)
        cursor.execute("SHOW TABLES")
        assert cursor.fetchall() == ()
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        connect("wrong-password")


def test_s3_keeps_objects(s3_endpoint: str, s3_bucket: str) -> None:
    client = boto3.client("s3", endpoint_url=s3_endpoint)
    client.put_object(Bucket=s3_bucket, Key="k", Body=b"v")
    assert client.get_object(Bucket=s3_bucket, Key="k")["Body"].read() == b"v"
    client.close()

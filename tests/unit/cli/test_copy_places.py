from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.cli.copy_places import End, Options, read_end
from taskrunner.errors import ConfigError, UsageError
from taskrunner.model.document import Ref
from taskrunner.secret import is_secret


def read(text: str, name: str = "SOURCE", **environ: str) -> End:
    return read_end(name, text, Options(), environ)


def fields(end: End, number: int = 0) -> dict[str, object]:
    found = end.objects[number].fields
    return {field.key: field.value for field in found if not isinstance(field.value, Ref)}


@pytest.mark.parametrize(
    ("text", "url", "table"),
    [
        ("postgresql://me@h:5433/db/t", "postgresql://me@h:5433/db", "t"),
        ("postgres://h/db?table=s.t", "postgres://h/db", "s.t"),
        ("mysql://h/db/my%2Ft?sslMode=require", "mysql://h/db?sslMode=require", "my/t"),
        ("mariadb://h/db?table=t&useSSL=true", "mariadb://h/db?useSSL=true", "t"),
        ("redshift://h/db/t", "redshift://h/db", "t"),
        ("sqlite:///x/y.db?table=t", "sqlite:///x/y.db", "t"),
        ("sqlite:/x/a%20b.db?table=t", "sqlite:///x/a%2520b.db", "t"),
    ],
)
def test_tables(text: str, url: str, table: str) -> None:
    end = read(text)
    assert (end.url, fields(end)["table"]) == (url, table)
    assert fields(end)["type"] == "SqlDataNode"


def test_queries() -> None:
    end = read("mysql://h/db?query=select%20a%2Bb%20from%20t%20where%20c%3D1")
    assert fields(end)["selectQuery"] == "select a+b from t where c=1"
    assert end.url == "mysql://h/db"
    assert end.shown == "a query in mysql://h/db"


@pytest.mark.parametrize(
    ("name", "kind", "compression"),
    [
        ("/x/y.jsonl", "JsonLines", "none"),
        ("/x/y.ndjson.gz", "JsonLines", "gzip"),
        ("s3://b/y.parquet", "Parquet", "none"),
        ("/x/y.TSV.zst", "TSV", "zstd"),
        ("/x/y", "CSV", "none"),
    ],
)
def test_a_name_says_the_format(name: str, kind: str, compression: str) -> None:
    end = read(name)
    assert (fields(end)["compression"], fields(end, 1)["type"]) == (compression, kind)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b/k?x#y.csv", {"filePath": "s3://b/k?x#y.csv", "compression": "none"}),
        ("s3://b/k/", {"directoryPath": "s3://b/k/", "compression": "none"}),
        ("/x/y.csv.gz", {"filePath": "/x/y.csv.gz", "compression": "gzip"}),
        ("/x/y.csv.zst", {"filePath": "/x/y.csv.zst", "compression": "zstd"}),
        ("file:///x/y.tsv", {"filePath": "file:///x/y.tsv", "compression": "none"}),
        ("-", {"filePath": "/dev/stdin", "compression": "none"}),
    ],
)
def test_files(text: str, expected: dict[str, str]) -> None:
    end = read(text)
    assert fields(end) == {"type": "S3DataNode", **expected}
    assert fields(end, 1)["type"] == ("TSV" if "tsv" in text else "CSV")
    assert end.url is None


def test_a_path_with_a_colon_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fields(read("2026-01-01T02:00.csv"))["filePath"] == f"{tmp_path}/2026-01-01T02:00.csv"


def test_the_environment_has_what_the_address_leaves_out() -> None:
    end = read("postgresql://h/db/t", PGUSER="me", PGPASSWORD="from-the-environment")
    assert fields(end, 1) == {
        "type": "JdbcDatabase",
        "username": "me",
        "*password": "from-the-environment",
    }
    assert all(is_secret(f.key) for f in end.objects[1].fields if "from-the" in str(f.value))
    assert not end.tells_password
    end = read("postgresql://me:told@h/db/t", PGPASSWORD="from-the-environment")
    assert end.tells_password
    assert "*password" not in fields(end, 1)
    assert "told" not in end.shown


def test_a_query_may_stand_beside_the_address() -> None:
    query = "select * from t where a like '%ab%' and b = '+&#'"
    end = read_end("SOURCE", "mysql://h/db", Options(query=query), {})
    assert fields(end)["selectQuery"] == query
    with pytest.raises(UsageError, match="one table or query"):
        read_end("SOURCE", "mysql://h/db?table=t", Options(query=query), {})
    with pytest.raises(UsageError, match="--query is for databases"):
        read_end("SOURCE", "x.csv", Options(query=query), {})


def test_a_percent_sign_does_not_become_something_else() -> None:
    with pytest.raises(UsageError, match="write %25 for a percent sign"):
        read("mysql://h/db?query=select * from t where a like '%ab%'")


def test_wrong_addresses() -> None:
    with pytest.raises(ConfigError, match=r"database 'SOURCE': .*wantAnything"):
        read("mysql://h/db/t?wantAnything=1")

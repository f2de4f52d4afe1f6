"""Copies in formats of taskrunner's own: what arrives is exactly what was there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.activities.copy import CopyActivity
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from taskrunner.model.document import PipelineObject, Ref
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task
from tests.integration.test_databases import rows, run

DATABASE = new_object("Db", "RdsDatabase", {"rdsInstanceId": "orders"})
TABLE = new_object("Table", "SqlDataNode", {"table": "t", "database": Ref("Db")})
QUERY = new_object(
    "Query", "SqlDataNode", {"selectQuery": "select * from t order by id", "database": Ref("Db")}
)


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with an empty table t: id, a, b."""
    found = f"sqlite:///{tmp_path}/orders.db"
    if request.param == "postgresql":
        found = request.getfixturevalue("postgresql_database")
    run(found, "create table t (id integer, a varchar(9), b varchar(9))")
    return found


@pytest.fixture
def environment(url: str, tmp_path: Path) -> Iterator[ActivityEnvironment]:
    settings = DataSettings(s3_root=tmp_path / "s3", databases={"Db": url})
    with ActivityEnvironment(data=settings) as environment:
        yield environment


def file(object_id: str, kind: str = "CSV", **fields: str) -> tuple[PipelineObject, ...]:
    """A data node for s3://bucket/ID, and its format."""
    compression = fields.pop("compression", "none")
    path = {"directoryPath" if object_id.endswith("/") else "filePath": f"s3://bucket/{object_id}"}
    node: dict[str, str | Ref] = {**path, "dataFormat": Ref(f"{object_id} format")}
    return (
        new_object(object_id, "S3DataNode", {**node, "compression": compression}),
        new_object(f"{object_id} format", kind, fields),
    )


def copy(
    environment: ActivityEnvironment,
    source: tuple[PipelineObject, ...],
    target: tuple[PipelineObject, ...],
    attempt: int = 1,
    **fields: str,
) -> None:
    nodes: dict[str, str | Ref] = {
        "@runStartTime": f"2026-01-0{attempt}T00:00:00",
        "input": Ref(source[0].id),
        "output": Ref(target[0].id),
    }
    task = new_task(
        "CopyActivity", {**nodes, **fields}, *source, *target, DATABASE, attempt=attempt
    )
    environment.run(CopyActivity(), task)


ROWS = [["1", "", None], ["2", 'a,"b', "two\nlines"], ["3", "é", "\\N"]]
QUOTED = 'id,a,b\n1,"",\n2,"a,""b","two\nlines"\n3,é,\\N\n'


def test_quotes_and_a_header_both_ways(environment: ActivityEnvironment, url: str) -> None:
    form = {"dialect": "rfc4180", "header": "true"}
    environment.put("s3://bucket/in", QUOTED)
    copy(environment, file("in", **form), (TABLE,))
    assert rows(url, "select * from t order by id") == ROWS
    copy(environment, (QUERY,), file("out", **form))
    assert environment.read("s3://bucket/out").decode() == QUOTED


@pytest.mark.parametrize("dialect", ["aws", "rfc4180"])
def test_a_header_says_which_columns_values_are_for(
    environment: ActivityEnvironment, url: str, dialect: str
) -> None:
    form = {"dialect": dialect, "header": "true"}
    environment.put("s3://bucket/in/1", "b,id\r\nx,1\r\n")
    environment.put("s3://bucket/in/2", "b,id\ny,2")
    copy(environment, file("in/", **form), (TABLE,))
    assert rows(url, "select * from t order by id") == [["1", None, "x"], ["2", None, "y"]]
    environment.put("s3://bucket/in/3", "id,b\n3,z\n")
    with pytest.raises(TaskError, match="bucket/in/3 has the columns id, b, those before b, id"):
        copy(environment, file("in/", **form), (TABLE,), attempt=2)


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-8-sig"])
def test_character_sets_both_ways(environment: ActivityEnvironment, url: str, charset: str) -> None:
    text = "1,é,\\N\n2,a\\,b,\\\\N\n"
    environment.put("s3://bucket/in", text.encode(charset))
    copy(environment, file("in", charset=charset), (TABLE,))
    assert rows(url, "select * from t order by id") == [["1", "é", None], ["2", "a,b", "\\N"]]
    copy(environment, (QUERY,), file("out", charset=charset))
    assert environment.read("s3://bucket/out") == text.encode(charset)


def test_what_a_character_set_has_not_is_told(environment: ActivityEnvironment, url: str) -> None:
    run(url, "insert into t values (1, 'é', null), (2, 'x', '😀')")
    with pytest.raises(TaskError, match=r"out: row 2, column 'b': '😀' has the character '😀'"):
        copy(environment, (QUERY,), file("out", charset="latin-1"))
    environment.put("s3://bucket/in", b"1,a,b\n2,\xe9,c\n")
    with pytest.raises(TaskError, match=r"in: line 2 is not ascii text \(bytes e9\)"):
        copy(environment, file("in", charset="ascii"), (TABLE,))


def test_formats_are_changed_file_by_file(environment: ActivityEnvironment) -> None:
    environment.put("s3://bucket/in/1", "b,id\nx\\,y,1\n")
    environment.put("s3://bucket/in/2", "c,d,e\n\\N,,2\n")
    copy(
        environment,
        file("in/", header="true"),
        file("out/", "TSV", header="true", dialect="rfc4180", charset="utf-16", compression="zstd"),
    )
    copy(
        environment,
        file("out/", "TSV", header="true", dialect="rfc4180", charset="utf-16", compression="zstd"),
        file("back/", header="true"),
    )
    for name in ("1", "2"):
        assert environment.read(f"s3://bucket/back/{name}") == environment.read(
            f"s3://bucket/in/{name}"
        )
    assert environment.read("s3://bucket/out/1.zst").startswith(b"\x28\xb5\x2f\xfd")


KINDS = ["JsonLines", "Parquet"]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_by_their_names_both_ways(
    environment: ActivityEnvironment, url: str, kind: str
) -> None:
    run(url, "create table s (b varchar(9), id integer, a varchar(9))")
    run(url, "insert into s values ('x', 1, ''), ('two\nlines', 2, null), ('\\N', -3, 'é')")
    query: dict[str, str | Ref] = {
        "selectQuery": "select * from s order by id",
        "database": Ref("Db"),
    }
    copy(environment, (new_object("S", "SqlDataNode", query),), file("files/1", kind))
    copy(environment, file("files/", kind), (TABLE,))
    found = [["-3", "é", "\\N"], ["1", "", "x"], ["2", None, "two\nlines"]]
    assert rows(url, "select * from t order by id") == found
    names = {"column": "b STRING, id INT, a STRING"}
    copy(environment, file("files/", kind), file("out", dialect="rfc4180", header="true"))
    assert environment.read("s3://bucket/out").startswith(b"b,id,a\n")
    copy(environment, file("out", dialect="rfc4180", header="true"), file("again", kind, **names))
    copy(environment, file("again", kind), file("last", dialect="rfc4180"))
    assert environment.read("s3://bucket/last") in environment.read("s3://bucket/out")
    wrong = file("wrong", kind, column="id INT, a STRING, b STRING")
    with pytest.raises(TaskError, match="order b, id, a: values would come under the wrong names"):
        copy(environment, file("out", dialect="rfc4180", header="true"), wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_of_named_columns(environment: ActivityEnvironment, url: str, kind: str) -> None:
    copy(environment, (QUERY,), file("none", kind))
    copy(environment, file("none", kind), (TABLE,))
    assert rows(url, "select * from t") == []


def test_a_table_of_sqlite_has_the_types_that_are_declared(
    environment: ActivityEnvironment, url: str
) -> None:
    run(url, "insert into t values (1, '2', null)")
    copy(environment, (TABLE,), file("out", "JsonLines"))
    assert environment.read("s3://bucket/out") == b'{"id":1,"a":"2","b":null}\n'


def test_parquet_is_not_compressed_again(environment: ActivityEnvironment) -> None:
    with pytest.raises(TaskError, match="compression: found 'gzip', wanted none: files of this"):
        copy(environment, (QUERY,), file("out", "Parquet", compression="gzip"))


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_the_table_has_not(
    environment: ActivityEnvironment, url: str, kind: str
) -> None:
    environment.put("s3://bucket/in", "x,y,z\n1,2,3\n")
    copy(environment, file("in", header="true"), file("out", kind))
    with pytest.raises(TaskError, match="x"):
        copy(environment, file("out", kind), (TABLE,))
    assert rows(url, "select * from t") == []


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ('1,"a\n', "in: row 1, column 2, has quotes that are not closed before the file ends"),
        ('1,a,b\n2,"a"b,c\n', "in: row 2, column 2, has text behind a quote that closes its value"),
        ("1,a,b\n2,a\n", "in: row 2 has 2 values, wanted 3"),
        ("1,a,b\n1.5,a,b\n", r"in: row 2, column 'id' \(integer\) of table 't'"),
    ],
)
def test_what_is_wrong_with_quotes_is_told_and_loads_nothing(
    environment: ActivityEnvironment, url: str, data: str, problem: str
) -> None:
    if "1.5" in data and url.startswith("sqlite"):
        data, problem = "1,a,b\nx\n", "in: row 2 has 1 values, wanted 3"
    environment.put("s3://bucket/in", data)
    with pytest.raises(TaskError, match=problem):
        copy(environment, file("in", dialect="rfc4180"), (TABLE,))
    assert rows(url, "select * from t") == []

"""CopyActivity between real servers and S3: what arrives is exactly what was there."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskrunner.activities.copy import CopyActivity
from taskrunner.data.databases.base import Target
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.script import split
from taskrunner.data.objects.s3_parts import PART_SIZE
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, TaskError
from taskrunner.model.document import PipelineObject, Ref
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task

DATABASE = new_object("Db", "RdsDatabase", {"rdsInstanceId": "orders", "databaseName": "x"})
OTHER = new_object("Other", "RdsDatabase", {"rdsInstanceId": "other"})
ROWS: list[list[str | None]] = [
    ["1", "plain", None],
    ["2", "", "NULL"],
    ["3", "a,b", r"\N"],
    ["4", "line\nbreak", "tab\there"],
    ["5", "back\\slash", "é😀"],
    ["6", "return\r", "end\r"],
]
CSV = (
    b"1,plain,\\N\n"
    b"2,,NULL\n"
    b"3,a\\,b,\\\\N\n"
    b"4,line\\\nbreak,tab\there\n"
    b"5,back\\\\slash,\xc3\xa9\xf0\x9f\x98\x80\n"
    b"6,return\r,end\\\r\n"
)
TSV = (
    b"1\tplain\t\\N\n"
    b"2\t\tNULL\n"
    b"3\ta,b\t\\\\N\n"
    b"4\tline\\\nbreak\ttab\\\there\n"
    b"5\tback\\\\slash\t\xc3\xa9\xf0\x9f\x98\x80\n"
    b"6\treturn\r\tend\\\r\n"
)
CREATE = "create table orders (id integer, a varchar(50), b varchar(50))"


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/orders.db"
    found: str = request.getfixturevalue(f"{request.param}_database")
    return found


@pytest.fixture(params=["folder", "server"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> DataSettings:
    """S3 as a folder, and S3 as a server."""
    if request.param == "folder":
        return DataSettings(s3_root=tmp_path / "s3")
    endpoint: str = request.getfixturevalue("s3_endpoint")
    return DataSettings(s3_endpoint=endpoint)


@pytest.fixture
def environment(url: str, storage: DataSettings) -> Iterator[ActivityEnvironment]:
    """An activity's world with a filled table `orders` in the database Db."""
    settings = DataSettings(
        s3_root=storage.s3_root,
        s3_endpoint=storage.s3_endpoint,
        databases={"Db": url, "Other": url},
    )
    run_sql(settings, CREATE)
    load(settings, "orders", ROWS)
    with ActivityEnvironment(data=settings) as environment:
        yield environment


def run_sql(settings: DataSettings, script: str) -> None:
    task = new_task("SqlActivity", {}, DATABASE)
    with open_database(task.object("Db"), settings) as db:
        db.run(split(script, db.dialect), (), lambda *done: None)


def load(settings: DataSettings, table: str, rows: list[list[str | None]]) -> None:
    task = new_task("SqlActivity", {}, DATABASE)
    with open_database(task.object("Db"), settings) as db:
        db.load(Target(table=table), [rows])


def select(settings: DataSettings, query: str) -> list[list[str | None]]:
    task = new_task("SqlActivity", {}, DATABASE)
    with open_database(task.object("Db"), settings) as db, db.stream(query) as result:
        return [list(row) for batch in result.batches for row in batch]


def table(**fields: str) -> PipelineObject:
    known = {"table": "orders", "selectQuery": "select * from orders order by id"}
    return new_object("Table", "SqlDataNode", {**known, **fields, "database": Ref("Db")})


def copy(
    environment: ActivityEnvironment,
    source: PipelineObject,
    target: PipelineObject,
    *others: PipelineObject,
    attempt: int = 1,
    run: str = "2026-01-01T00:00:00",
) -> None:
    nodes = {"input": Ref(source.id), "output": Ref(target.id)}
    objects = (source, target, DATABASE, OTHER, *others)
    task = new_task("CopyActivity", {**nodes, "@runStartTime": run}, *objects, attempt=attempt)
    environment.run(CopyActivity(), task)


def files(object_id: str, **fields: str | Ref) -> PipelineObject:
    return new_object(object_id, "S3DataNode", fields)


def get(environment: ActivityEnvironment, uri: str) -> bytes:
    with environment.objects.open_read(uri) as reader:
        return reader.read()


def put(environment: ActivityEnvironment, uri: str, data: bytes) -> None:
    with environment.objects.open_write(uri) as writer:
        writer.write(data)


def uris(environment: ActivityEnvironment, prefix: str) -> list[str]:
    return [info.uri for info in environment.objects.list(prefix)]


def test_a_query_becomes_one_csv_object(environment: ActivityEnvironment, s3_bucket: str) -> None:
    uri = f"s3://{s3_bucket}/out/orders.csv"
    copy(environment, table(), files("Out", filePath=uri))
    assert get(environment, uri) == CSV
    assert uris(environment, f"s3://{s3_bucket}/") == [uri]
    told = environment.progress_reports[-1]
    # A store that is a server names what it holds.
    assert str(told.pop("targetChecksum", "etag:")).startswith("etag:")
    assert told == {
        "rows": 6,
        "bytes": len(CSV),
        "files": 1,
        "sourceRows": 6,
        "targetRows": 6,
        "sourceChecksum": f"crc32:{zlib.crc32(CSV):08x}",
    }


def test_a_directory_gets_one_object_and_keeps_it_at_a_rerun(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    out = files("Out", directoryPath=f"s3://{s3_bucket}/out")
    for _ in range(2):
        copy(environment, table(), out)
        expected = f"s3://{s3_bucket}/out/Activity_2026-01-01T00-00-00.csv"
        assert uris(environment, f"s3://{s3_bucket}/") == [expected]
        assert get(environment, expected) == CSV


def test_tsv_gzip(environment: ActivityEnvironment, s3_bucket: str) -> None:
    out = files(
        "Out",
        directoryPath=f"s3://{s3_bucket}/out/",
        compression="GZIP",
        dataFormat=Ref("Tabs"),
        s3EncryptionType="none",
    )
    copy(environment, table(), out, new_object("Tabs", "TSV"))
    uri = f"s3://{s3_bucket}/out/Activity_2026-01-01T00-00-00.tsv.gz"
    assert gzip.decompress(get(environment, uri)) == TSV


def test_a_whole_table(environment: ActivityEnvironment, s3_bucket: str) -> None:
    uri = f"s3://{s3_bucket}/orders.csv"
    node = new_object("Table", "SqlDataNode", {"table": "orders", "database": Ref("Db")})
    copy(environment, node, files("Out", filePath=uri))
    assert sorted(get(environment, uri)) == sorted(CSV)


def test_no_rows_are_an_empty_object(environment: ActivityEnvironment, s3_bucket: str) -> None:
    uri = f"s3://{s3_bucket}/orders.csv"
    source = table(selectQuery="select * from orders where id > 100")
    copy(environment, source, files("Out", filePath=uri))
    assert get(environment, uri) == b""
    info = environment.objects.stat(uri)
    assert info is not None
    assert info.size == 0


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_what_was_exported_can_be_loaded(
    environment: ActivityEnvironment, s3_bucket: str, compression: str
) -> None:
    node = files("Files", directoryPath=f"s3://{s3_bucket}/out/", compression=compression)
    copy(environment, table(), node)
    put(environment, f"s3://{s3_bucket}/out/_SUCCESS", b"")
    target = table(table="copied", createTableSql=CREATE.replace("orders", "copied"))
    copy(environment, node, target)
    assert select(environment.data, "select * from copied order by id") == ROWS
    copy(environment, node, target, attempt=2)  # of the same run
    assert select(environment.data, "select count(*) from copied") == [["6"]]
    copy(environment, node, target, attempt=3, run="2026-01-02T00:00:00")  # a rerun
    assert select(environment.data, "select count(*) from copied") == [["12"]]


def test_a_load_by_the_authors_insert(environment: ActivityEnvironment, s3_bucket: str) -> None:
    uri = f"s3://{s3_bucket}/in.csv"
    put(environment, uri, b"x,10\r\n\\N,11\r\n")
    target = table(insertQuery="insert into orders (a, id) values (?, ?)")
    copy(environment, files("In", filePath=uri), target)
    rows = select(environment.data, "select id, a from orders where id > 9 order by id")
    assert rows == [["10", "x"], ["11", None]]


def test_columns_of_the_format_name_those_of_the_table(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    uri = f"s3://{s3_bucket}/in.txt"
    put(environment, uri, b"x|10;y|11;")
    node = files("In", filePath=uri, dataFormat=Ref("Bars"))
    bars = new_object(
        "Bars",
        "Custom",
        {"columnSeparator": "|", "recordSeparator": ";", "column": ["b STRING", "id INT"]},
    )
    copy(environment, node, table(), bars)
    rows = select(environment.data, "select id, a, b from orders where id > 9 order by id")
    assert rows == [["10", None, "x"], ["11", None, "y"]]


def test_a_table_to_a_table(environment: ActivityEnvironment) -> None:
    run_sql(environment.data, CREATE.replace("orders", "copied"))
    # The target's own connection, so that a large answer and a load can run side by side.
    target = new_object("To", "SqlDataNode", {"table": "copied", "database": Ref("Other")})
    if "sqlite" in environment.data.databases["Db"]:
        # One file has one writer, and a reader does not keep it out.
        run_sql(environment.data, "pragma journal_mode = wal")
    copy(environment, table(), target)
    assert select(environment.data, "select * from copied order by id") == ROWS


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"1,a,b\n2,a\n", "in.csv: row 2 has 2 values, wanted 3"),
        (b"1,a,b\n2,a,\xff\n", "in.csv: row 2 is not UTF-8"),
        (gzip.compress(b"1,a,b\n", mtime=0), "in.csv holds gzip data"),
    ],
)
def test_a_bad_file_loads_nothing(
    environment: ActivityEnvironment, s3_bucket: str, data: bytes, words: str
) -> None:
    uri = f"s3://{s3_bucket}/in.csv"
    put(environment, uri, data)
    with pytest.raises(TaskError, match=words):
        copy(environment, files("In", filePath=uri), table())
    assert select(environment.data, "select count(*) from orders") == [["6"]]


def test_a_load_that_is_canceled_loads_nothing(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    uri = f"s3://{s3_bucket}/in.csv"
    put(environment, uri, b"1,a,b\n" * 5000)
    environment.cancel_after = 3
    with pytest.raises(Canceled):
        copy(environment, files("In", filePath=uri), table())
    assert select(environment.data, "select count(*) from orders") == [["6"]]


def test_an_export_that_is_canceled_leaves_no_object(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    rows: list[list[str | None]] = [[str(n), "a", "b"] for n in range(5000)]
    load(environment.data, "orders", rows)
    environment.cancel_after = 3
    with pytest.raises(Canceled):
        copy(environment, table(), files("Out", filePath=f"s3://{s3_bucket}/out.csv"))
    assert uris(environment, f"s3://{s3_bucket}/") == []


def test_a_query_that_fails_leaves_no_object(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    source = table(selectQuery="select * from nothere")
    with pytest.raises(TaskError, match="nothere") as caught:
        copy(environment, source, files("Out", filePath=f"s3://{s3_bucket}/out.csv"))
    assert uris(environment, f"s3://{s3_bucket}/") == []
    if "sqlite" not in environment.data.databases["Db"]:
        assert caught.value.error_id == ErrorId.NOT_FOUND


def test_a_wrong_number_of_columns_is_refused(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    node = files("Out", filePath=f"s3://{s3_bucket}/out.csv", dataFormat=Ref("Two"))
    two = new_object("Two", "CSV", {"column": ["a INT", "b INT"]})
    with pytest.raises(TaskError, match=r"gives 3 columns .* lists 2"):
        copy(environment, table(), node, two)
    assert uris(environment, f"s3://{s3_bucket}/") == []


#: Rows of half a kilobyte, of which 20,000 are two parts of an upload.
WIDE = f"select id, a, b{''.join(f', a as a{n}, b as b{n}' for n in range(5))} from orders"
KILLED = """
import os, signal, sys
from pathlib import Path
from taskrunner.activities.copy import CopyActivity
from taskrunner.data.settings import DataSettings
from taskrunner.testing.activity_environment import ActivityEnvironment
from tests.integration import test_copy as here

class Killed(ActivityEnvironment):
    def progress(self, **fields):
        if fields.get("rows", 0) >= 20_000:
            os.kill(os.getpid(), signal.SIGKILL)

root, endpoint, url, bucket = sys.argv[1:]
settings = DataSettings(
    s3_root=Path(root) if root else None, s3_endpoint=endpoint or None, databases={"Db": url}
)
with Killed(data=settings) as environment:
    out = here.files("Out", directoryPath=f"s3://{bucket}/out/")
    here.copy(environment, here.table(selectQuery=here.WIDE), out)
"""


@pytest.mark.slow
@pytest.mark.no_cover
def test_kill_9_in_mid_copy_leaves_nothing_and_the_next_try_finishes(
    environment: ActivityEnvironment, s3_bucket: str
) -> None:
    data = environment.data
    many: list[list[str | None]] = [[str(n), "x" * 50, "y" * 50] for n in range(24_000)]
    load(data, "orders", many)
    arguments = (str(data.s3_root or ""), data.s3_endpoint or "", data.databases["Db"], s3_bucket)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "TMPDIR": str(environment.work_dir), "COVERAGE_PROCESS_CONFIG": ""},
    )
    assert done.returncode == -signal.SIGKILL
    assert uris(environment, f"s3://{s3_bucket}/") == []
    out = files("Out", directoryPath=f"s3://{s3_bucket}/out/")
    copy(environment, table(selectQuery=WIDE), out)
    [uri] = uris(environment, f"s3://{s3_bucket}/")
    whole = get(environment, uri)
    # One of the rows that there always are has a line break in each `a`.
    assert whole.count(b"\n") == 24_000 + len(ROWS) + 6
    assert len(whole) > 2 * PART_SIZE


Tree = dict[str, bytes]


@pytest.fixture
def bucket(storage: DataSettings, s3_bucket: str) -> Iterator[Callable[..., Tree]]:
    """Copies between files of one bucket: takes the tree, the nodes; gives what is in `out`."""
    with ActivityEnvironment(data=storage) as environment:

        def run(
            tree: Tree, source: PipelineObject, target: PipelineObject, *others: PipelineObject
        ) -> Tree:
            for key, data in tree.items():
                put(environment, f"s3://{s3_bucket}/{key}", data)
            nodes = [at(node, s3_bucket) for node in (source, target)]
            copy(environment, *nodes, *others)
            prefix = f"s3://{s3_bucket}/out"
            return {u.removeprefix(prefix): get(environment, u) for u in uris(environment, prefix)}

        yield run


def at(node: PipelineObject, name: str) -> PipelineObject:
    fields = {
        f.key: f.value.replace("BUCKET", name) if isinstance(f.value, str) else f.value
        for f in node.fields
    }
    fields.pop("type")
    return new_object(node.id, "S3DataNode", fields)


def test_a_file_to_a_file(bucket: Callable[..., Tree]) -> None:
    source = files("In", filePath="s3://BUCKET/in/a.bin")
    raw = bytes(range(256))
    target = files("Out", filePath="s3://BUCKET/out.bin")
    assert bucket({"in/a.bin": raw}, source, target) == {".bin": raw}


def test_a_file_to_a_directory(bucket: Callable[..., Tree]) -> None:
    source = files("In", filePath="s3://BUCKET/in/a.bin")
    target = files("Out", directoryPath="s3://BUCKET/out")
    assert bucket({"in/a.bin": b"\xff"}, source, target) == {"/a.bin": b"\xff"}


def test_a_directory_to_a_directory(bucket: Callable[..., Tree]) -> None:
    tree = {"in/a": b"1", "in/b/c": b"2", "in/_SUCCESS": b"", "in2/d": b"3"}
    source = files("In", directoryPath="s3://BUCKET/in")
    target = files("Out", directoryPath="s3://BUCKET/out")
    assert bucket(tree, source, target) == {"/a": b"1", "/b/c": b"2", "/_SUCCESS": b""}


def test_a_directory_to_a_file_goes_row_by_row(bucket: Callable[..., Tree]) -> None:
    tree = {"in/b": b"3,4", "in/a": b"1,2", "in/_SUCCESS": b"x", "in/.hidden": b"x"}
    source = files("In", directoryPath="s3://BUCKET/in/")
    target = files("Out", filePath="s3://BUCKET/out.csv")
    assert bucket(tree, source, target) == {".csv": b"1,2\n3,4\n"}


def test_other_formats_are_converted_file_by_file(bucket: Callable[..., Tree]) -> None:
    tree = {"in/a.csv": b"a\tb,\\N\n", "in/b.csv": b""}
    source = files("In", directoryPath="s3://BUCKET/in/")
    target = files(
        "Out", directoryPath="s3://BUCKET/out/", dataFormat=Ref("Tabs"), compression="gzip"
    )
    found = bucket(tree, source, target, new_object("Tabs", "TSV"))
    assert {key: gzip.decompress(data) for key, data in found.items()} == {
        "/a.csv.gz": b"a\\\tb\t\\N\n",
        "/b.csv.gz": b"",
    }


def test_no_input_is_an_error(bucket: Callable[..., Tree]) -> None:
    target = files("Out", directoryPath="s3://BUCKET/out/")
    for source in (
        files("In", directoryPath="s3://BUCKET/none/"),
        files("In", filePath="s3://BUCKET/none"),
    ):
        with pytest.raises(TaskError, match="/none") as caught:
            bucket({}, source, target)
        assert caught.value.error_id == ErrorId.NOT_FOUND


def test_rows_of_different_widths_are_not_mixed(bucket: Callable[..., Tree]) -> None:
    source = files("In", directoryPath="s3://BUCKET/in/")
    target = files("Out", filePath="s3://BUCKET/out.csv")
    with pytest.raises(TaskError, match="in/b: rows have 1 values, those before 2"):
        bucket({"in/a": b"1,2\n", "in/b": b"1\n"}, source, target)


def test_a_directory_is_not_copied_into_itself(bucket: Callable[..., Tree]) -> None:
    source = files("In", directoryPath="s3://BUCKET/out/")
    target = files("Out", directoryPath="s3://BUCKET/out/copy/")
    with pytest.raises(TaskError, match="lies inside"):
        bucket({"out/a": b""}, source, target)

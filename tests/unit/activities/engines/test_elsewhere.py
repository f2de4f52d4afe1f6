"""Tables of DynamoDB and of databases in scripts: their rows go to S3 before, and back after."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from taskrunner.activities.engines.elsewhere import PigRows
from taskrunner.activities.hive import HiveActivity
from taskrunner.activities.pig import PigActivity
from taskrunner.data.settings import DataSettings
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.model.document import PipelineObject, Value
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.unit.activities.engines.host import Host
from tests.unit.data.dynamodb.fake import FakeDynamoDB

COPIES = "s3://logs/staging/df-TESTING/Activity_2026-01-01T00-00-00"
#: Copies what the script reads to what it writes, as `INSERT ... SELECT` does; keeps the script.
HIVE = """
cp "${@: -1}" "$(dirname "$CALLS")/script"
mapfile -t places < <(sed -n "s#^LOCATION 's3://\\(.*\\)';#\\1#p" "${@: -1}")
mkdir -p "@S3/${places[0]}"
cp "@S3/${places[1]}"* "@S3/${places[0]}"
"""
PIG = """
cp "${@: -1}" "$(dirname "$CALLS")/script"
mapfile -t places < <(sed -n "s#.*'s3://\\([^']*\\)'.*#\\1#p" "${@: -1}")
mkdir -p "@S3/${places[1]}"
cp "@S3/${places[0]}"* "@S3/${places[1]}"
"""
FORMAT = new_object("F", "DynamoDBDataFormat", {"column": ["id STRING", "n DECIMAL(10,2)"]})


class Scene:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.host = Host(folder, monkeypatch)
        for name, body in (("hive", HIVE), ("pig", PIG)):
            self.host.program(name, body.replace("@S3", str(folder / "s3")))
        self.tables = {"us-east-1": FakeDynamoDB(3), "us-west-2": FakeDynamoDB()}
        self.database = folder / "shop.db"
        self.sql("create table orders (id text, n int)", "create table sums (id text, n int)")
        data = DataSettings(s3_root=folder / "s3", local=LocalFiles(folders=(folder,)))
        self.environment = ActivityEnvironment(data=data)

    def sql(self, *statements: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.database)) as connection, connection:
            return [row for text in statements for row in connection.execute(text)]

    def node(self, name: str, table: str, **more: Value | Sequence[Value]) -> PipelineObject:
        fields = {"database": Ref("Shop"), "table": table, **more}
        return new_object(name, "SqlDataNode", fields)

    @property
    def shop(self) -> PipelineObject:
        fields = {"connectionString": f"jdbc:sqlite:{self.database}", "username": "x"}
        return new_object("Shop", "JdbcDatabase", {**fields, "*password": "x"})

    def run(
        self, kind: type[HiveActivity | PigActivity], script: str, *nodes: PipelineObject
    ) -> None:
        name = "hiveScript" if kind is HiveActivity else "script"
        fields: dict[str, Value | Sequence[Value]] = {
            name: script,
            "input": Ref("In"),
            "output": Ref("Out"),
            "pipelineLogUri": "s3://logs/",
        }
        activity = kind(lambda region, _role: self.tables[region or "us-east-1"])
        objects = (*nodes, FORMAT, self.shop)
        self.environment.run(activity, new_task(kind.type, fields, *objects))

    @property
    def script(self) -> str:
        return (self.folder / "script").read_text()

    @property
    def left(self) -> list[str]:
        return [info.uri for info in self.environment.objects.list("s3://logs/")]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def table_of(name: str, region: str, **more: Value) -> PipelineObject:
    fields: dict[str, Value | Sequence[Value]] = {"tableName": "users", "region": region}
    return new_object(name, "DynamoDBDataNode", {**fields, "dataFormat": Ref("F"), **more})


INSERT = "INSERT OVERWRITE TABLE ${output1} SELECT * FROM ${input1};"


def test_a_table_of_dynamodb_goes_through_a_hive_script_into_another(scene: Scene) -> None:
    east, west = scene.tables["us-east-1"], scene.tables["us-west-2"]
    east.put({"id": {"S": "a, \\b\nc"}})
    with scene.environment:
        nodes = (table_of("In", "us-east-1"), table_of("Out", "us-west-2"))
        scene.run(HiveActivity, INSERT, *nodes)
        assert scene.left == []
    assert west.items == east.items
    assert "(`id` STRING, `n` DECIMAL(10,2))" in scene.script
    assert f"LOCATION '{COPIES}/input1/rows/'" in scene.script


def test_a_query_goes_through_a_hive_script_into_a_table(scene: Scene) -> None:
    scene.sql("insert into orders values ('a,b', 1), (null, 2), ('', null), ('x', 4)")
    query = "select id, n from orders where id is not 'x'"
    with scene.environment:
        nodes = (scene.node("In", "orders", selectQuery=query), scene.node("Out", "sums"))
        scene.run(HiveActivity, INSERT, *nodes)
        assert scene.left == []
    assert scene.sql("select * from sums") == [("a,b", 1), (None, 2), ("", None)]
    assert scene.script.count("(`id` STRING, `n` STRING)") == 2


def test_what_an_earlier_attempt_left_is_not_read(scene: Scene) -> None:
    scene.sql("insert into orders values ('a', 1)")
    with scene.environment:
        scene.environment.put(f"{COPIES}/output1/rows/part-7", "stale,9\n")
        scene.environment.put(f"{COPIES}/input1/rows/part-7", "stale,9\n")
        scene.run(HiveActivity, INSERT, scene.node("In", "orders"), scene.node("Out", "sums"))
    assert scene.sql("select * from sums") == [("a", 1)]


def test_a_table_goes_through_a_pig_script(scene: Scene) -> None:
    scene.sql("insert into orders values ('a,b\\c', 1), (null, 2)")
    insert = "insert into sums (id, n) values (?, ?)"
    with scene.environment:
        nodes = (scene.node("In", "orders"), scene.node("Out", "sums", insertQuery=insert))
        scene.run(PigActivity, "${output1} = FOREACH ${input1} GENERATE id, n;", *nodes)
        assert scene.left == []
    assert scene.sql("select * from sums") == [("a,b\\c", 1), (None, 2)]
    assert "input1 = LOAD" in scene.script
    assert "AS (id:chararray, n:chararray)" in scene.script
    assert "STORE output1 INTO" in scene.script


@pytest.mark.parametrize("region", ["us-west-2", ""])
def test_an_empty_answer_may_be_no_file(scene: Scene, region: str) -> None:
    scene.host.program("hive")
    with scene.environment:
        out = table_of("Out", region) if region else scene.node("Out", "sums")
        scene.run(HiveActivity, INSERT, scene.node("In", "orders"), out)
    assert scene.tables["us-west-2"].items == {}
    assert scene.sql("select * from sums") == []


def test_when_the_script_fails_nothing_is_written(scene: Scene) -> None:
    scene.host.program("hive", "exit 3")
    scene.sql("insert into orders values ('a', 1)")
    with scene.environment, pytest.raises(TaskError):
        scene.run(HiveActivity, INSERT, scene.node("In", "orders"), scene.node("Out", "sums"))
    assert scene.sql("select * from sums") == []


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (
            [new_object("In", "DynamoDBDataNode", {"tableName": "users"})],
            "DynamoDBDataNode 'In': to be staged as a table it needs a DynamoDBDataFormat that",
        ),
        (
            [
                new_object("In", "DynamoDBDataNode", {"tableName": "u", "dataFormat": Ref("M")}),
                new_object("M", "DynamoDBDataFormat", {"column": "m map<string,string>"}),
            ],
            "DynamoDBDataNode 'In': no row of text has the type MAP of 'm'",
        ),
        ([new_object("In", "Ec2Resource")], "Ec2Resource 'In': it cannot be staged as ${input1}"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_runs(
    scene: Scene, nodes: list[PipelineObject], message: str
) -> None:
    with scene.environment, pytest.raises(PermanentTaskError) as caught:
        scene.run(HiveActivity, "SELECT * FROM ${input1}", *nodes)
    assert str(caught.value).startswith(message)
    assert scene.host.calls == []


def test_an_item_of_another_kind_is_told_with_its_line(scene: Scene) -> None:
    scene.tables["us-east-1"].put({"id": {"S": "a"}, "n": {"S": "one"}})
    with scene.environment, pytest.raises(PermanentTaskError) as caught:
        scene.run(HiveActivity, "SELECT * FROM ${input1}", table_of("In", "us-east-1"))
    assert "input1/items/" in str(caught.value)
    assert "attribute 'n': found the kind S, and its column wants N" in str(caught.value)


def test_copies_need_a_place_on_s3(scene: Scene) -> None:
    task = new_task(
        "HiveActivity",
        {"hiveScript": "SELECT ${input1}", "input": Ref("In")},
        *(table_of("In", "us-east-1"), FORMAT),
    )
    with scene.environment, pytest.raises(PermanentTaskError) as caught:
        scene.environment.run(HiveActivity(), task)
    assert "neither generatedScriptsPath nor pipelineLogUri names a place" in str(caught.value)


def test_rows_for_pig_come_back() -> None:
    rows: list[list[str | None]] = [["a,b\\", "1"], [None, "\t"]]
    found = PigRows()
    data = found.encode(rows)
    pieces = [data[:3], data[3:]]
    assert [row for batch in found.decode(pieces, source="x") for row in batch] == rows
    assert [row for batch in found.decode([b"a\x01b"], source="x") for row in batch] == [["a", "b"]]


@pytest.mark.parametrize("text", ["a\nb", "\x01", "\r"])
def test_what_pig_would_cut_is_refused(text: str) -> None:
    with pytest.raises(PermanentTaskError, match="Pig cannot be given the value"):
        PigRows().encode([[text]])

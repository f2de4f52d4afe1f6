"""HiveCopyActivity: between tables and S3, with a filter, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from taskrunner.activities.hive_copy import HiveCopyActivity
from taskrunner.data.dynamodb.calls import Calls
from taskrunner.data.dynamodb.export_files import find_files, lines
from taskrunner.data.dynamodb.items import Item, from_line, to_line
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.document import Ref
from taskrunner.testing import ActivityEnvironment, FakeClock, new_object, new_task
from tests.unit.data.dynamodb.fake import FakeDynamoDB

FOLDER = "s3://backups/users/"


class Scene:
    """Two regions with a table `users` each, and S3."""

    def __init__(self, environment: ActivityEnvironment) -> None:
        self.environment = environment
        self.regions = {"us-east-1": FakeDynamoDB(100), "us-west-2": FakeDynamoDB()}
        self.asked: list[tuple[str | None, str | None]] = []
        self.nodes: dict[str, dict[str, Any]] = {
            "East": {"tableName": "users", "region": "us-east-1"},
            "West": {"tableName": "users", "region": "us-west-2"},
            "S3": {"directoryPath": FOLDER},
        }
        self.formats: dict[str, tuple[str, list[str]]] = {}
        self.configs: dict[str, dict[str, Any]] = {}

    def connect(self, region: str | None, role: str | None) -> Calls:
        self.asked.append((region, role))
        return self.regions[region or "us-east-1"]

    def run(self, source: str, target: str, **fields: Any) -> None:
        objects = [
            new_object(name, "S3DataNode" if name.startswith("S3") else "DynamoDBDataNode", values)
            for name, values in self.nodes.items()
        ]
        objects += [
            new_object(name, kind, {"column": columns} if columns else {})
            for name, (kind, columns) in self.formats.items()
        ]
        objects += [
            new_object(name, "ShellScriptConfig", values) for name, values in self.configs.items()
        ]
        about = {"input": Ref(source), "output": Ref(target), **fields}
        task = new_task("HiveCopyActivity", about, *objects)
        activity = HiveCopyActivity(self.connect, clock=FakeClock())
        self.environment.run(activity, task)

    def exported(self) -> list[Item]:
        objects = self.environment.objects
        files = find_files(objects, FOLDER)
        return [from_line(line) for uri in files for _, line in lines(objects, uri)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with ActivityEnvironment(data=DataSettings(region="us-east-1")) as environment:
        yield Scene(environment)


def test_a_table_to_s3_and_into_a_table_of_another_region(scene: Scene) -> None:
    scene.nodes["S3"]["compression"] = "gzip"
    scene.run("East", "S3")
    assert all(uri.endswith(".gz") for uri in find_files(scene.environment.objects, FOLDER))
    scene.run("S3", "West")
    assert scene.regions["us-west-2"].items == scene.regions["us-east-1"].items
    assert [region for region, _ in scene.asked] == ["us-east-1", "us-west-2"]
    assert all(server.closed for server in scene.regions.values())
    assert "Imported 100 items of 1 file; 100 write units" in scene.environment.messages
    assert scene.environment.progress_reports[-1]["percent"] == 100


def test_a_table_into_another(scene: Scene) -> None:
    scene.run("East", "West", filterSql="n >= 10 AND n < 60")
    numbers = [int(item["n"]["N"]) for item in scene.regions["us-west-2"].items.values()]
    assert sorted(numbers) == list(range(10, 60))


def test_filters_on_the_way_out_and_in(scene: Scene) -> None:
    scene.run("East", "S3", filterSql="n < 20")
    assert len(scene.exported()) == 20
    scene.run("S3", "West", filterSql="n IN (1, 2, 50)")
    assert set(scene.regions["us-west-2"].items) == {"user-00001", "user-00002"}


def test_the_example_of_the_guide(scene: Scene) -> None:
    for name, columns in (("Typed", ["timeStamp BIGINT"]), ("Plain", [])):
        scene.formats[name] = ("DynamoDBExportDataFormat", columns)
    scene.nodes["East"]["dataFormat"] = Ref("Typed")
    scene.nodes["West"] |= {"dataFormat": Ref("Plain"), "region": "us_west_2"}
    for number in range(4):
        stamp = {"N": str(1771210800 + number - 2)}
        scene.regions["us-east-1"].put({"id": {"S": f"t{number}"}, "timeStamp": stamp})
    text = '`timeStamp` > unix_timestamp("2026-02-16T03:00:00", "yyyy-MM-dd\'T\'HH:mm:ss")'
    scene.run("East", "West", filterSql=text)
    assert list(scene.regions["us-west-2"].items) == ["t3"]


def test_a_data_format_says_which_attributes_are_copied(scene: Scene) -> None:
    scene.formats["Ids"] = ("DynamoDBDataFormat", ["id STRING"])
    scene.nodes["East"]["dataFormat"] = Ref("Ids")
    scene.run("East", "S3")
    assert {tuple(item) for item in scene.exported()} == {("id",)}
    scene.run("East", "West")
    assert set(scene.regions["us-west-2"].items["user-00001"]) == {"id"}


def test_attributes_without_the_key_cannot_be_copied(scene: Scene) -> None:
    scene.formats["Numbers"] = ("DynamoDBDataFormat", ["n BIGINT"])
    scene.nodes["East"]["dataFormat"] = Ref("Numbers")
    with pytest.raises(PermanentTaskError, match="it has no attribute 'id', a key of the table"):
        scene.run("East", "West")


def test_another_filter_is_another_export(scene: Scene) -> None:
    scene.run("East", "S3", filterSql="n < 20")
    scene.run("East", "S3", filterSql="n < 30")
    assert len(scene.exported()) == 30


def test_a_table_of_another_account_by_its_arn(scene: Scene) -> None:
    arn = "arn:aws:dynamodb:us-west-2:123456789012:table/users"
    scene.nodes["East"]["tableName"] = arn
    with pytest.raises(TaskError, match=f"there is no table '{arn}' in us-east-1"):
        # The fake knows no ARN, but it is the one of the ARN's region that is asked.
        scene.run("East", "S3")
    assert scene.asked == [("us-west-2", None)]


@pytest.mark.parametrize(
    ("source", "target", "fields", "problem"),
    [
        ("S3", "S3b", {}, "field 'output': found an S3DataNode as input and output"),
        ("East", "S3file", {}, "S3DataNode 'S3file', field 'filePath': items are written into"),
        ("East", "S3", {"filterSql": "n ="}, "field 'filterSql': column 4: found the end"),
        ("East", "S3", {"input": [Ref("East"), Ref("West")]}, "'input': found 2 data nodes"),
        ("East", "Odd", {}, "field 'output': found the SqlDataNode 'Odd', wanted a DynamoDBData"),
    ],
)
def test_what_is_refused(
    scene: Scene, source: str, target: str, fields: dict[str, Any], problem: str
) -> None:
    scene.nodes["S3b"] = {"directoryPath": "s3://backups/b/"}
    scene.nodes["S3file"] = {"filePath": "s3://backups/file"}
    if target == "Odd":
        task = new_task(
            "HiveCopyActivity",
            {"input": Ref("S3"), "output": Ref("Odd")},
            new_object("S3", "S3DataNode", scene.nodes["S3"]),
            new_object("Odd", "SqlDataNode", {"table": "t"}),
        )
        with pytest.raises(PermanentTaskError) as caught:
            scene.environment.run(HiveCopyActivity(scene.connect), task)
    else:
        with pytest.raises(PermanentTaskError) as caught:
            scene.run(source, target, **fields)
    assert problem in str(caught.value)
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert scene.asked == []


def test_scripts_run_before_and_after_the_copy(scene: Scene) -> None:
    for name in ("before", "after"):
        uri = f"s3://backups/{name}.sh"
        scene.environment.put(uri, f'echo "{name} $1"\n')
        scene.configs[name] = {"scriptUri": uri, "scriptArgument": "one"}
    configs = {"preActivityTaskConfig": Ref("before"), "postActivityTaskConfig": Ref("after")}
    scene.run("East", "S3", **configs)
    assert scene.environment.stdout == "before one\nafter one\n"
    assert len(scene.exported()) == 100
    scene.environment.put("s3://backups/before.sh", "exit 3\n")
    with pytest.raises(TaskError, match=r"preActivityTaskConfig .*exited with 3"):
        scene.run("S3", "West", **configs)
    assert scene.regions["us-west-2"].items == {}


def test_a_bad_file_is_told_with_its_line(scene: Scene) -> None:
    good = to_line({"id": {"S": "a"}})
    scene.environment.put(FOLDER + "part", good + b"nonsense\n")
    with pytest.raises(PermanentTaskError, match=r"s3://backups/users/part, line 2: it begins"):
        scene.run("S3", "West")
    assert scene.regions["us-west-2"].items == {}

"""Steps with AWS's DynamoDB export and import."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.dynamodb import region_of_step, run_step
from taskrunner.data.dynamodb.calls import Calls
from taskrunner.data.dynamodb.export_files import find_files, read_manifest
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.document import Ref
from taskrunner.testing import ActivityEnvironment, new_object, new_task
from tests.unit.data.dynamodb.fake import FakeDynamoDB

FOLDER = "s3://my-backups/dynamodb/users/2026-02-16"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a reader of steps gives."""

    is_export: bool
    path: str = FOLDER
    table: str = "users"
    ratio: float | None = None
    segments: int | None = None


class StepActivity(Activity):
    """Runs one step."""

    type = "EmrActivity"

    def __init__(self, step: Step, server: FakeDynamoDB) -> None:
        self.step = step
        self.server = server
        self.region: str | None = None

    def connect(self, region: str | None, role: str | None) -> Calls:
        self.region = region
        return self.server

    def run(self, ctx: Context) -> None:
        run_step(ctx, self.step, field="step", connect=self.connect)


@pytest.fixture
def environment() -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment(data=DataSettings(region="us-east-1")) as made:
        yield made


def test_an_export_and_its_import_give_the_same_table(environment: ActivityEnvironment) -> None:
    full, empty = FakeDynamoDB(500), FakeDynamoDB()
    export = StepActivity(Step(is_export=True, ratio=0.25, segments=3), full)
    environment.run(export, new_task("EmrActivity"))
    assert len(find_files(environment.objects, FOLDER)) == 3
    environment.run(StepActivity(Step(is_export=False, ratio=1.0), empty), new_task("EmrActivity"))
    assert empty.items == full.items
    log = "\n".join(environment.messages)
    assert "in 3 segments, at 25 read units a second (0.25 of 100)" in log
    assert "Exported 500 items in 3 files" in log
    assert export.region == "us-east-1"


def test_half_the_capacity_is_used_where_the_step_says_nothing(
    environment: ActivityEnvironment,
) -> None:
    step = StepActivity(Step(is_export=True), FakeDynamoDB(5))
    environment.run(step, new_task("EmrActivity"))
    assert any("at 50 read units a second" in message for message in environment.messages)


def test_a_table_that_is_not_there_is_told_of_the_step(environment: ActivityEnvironment) -> None:
    step = StepActivity(Step(is_export=True, table="user"), FakeDynamoDB())
    with pytest.raises(TaskError) as caught:
        environment.run(step, new_task("EmrActivity"))
    assert str(caught.value) == (
        "EmrActivity 'Activity', field 'step': there is no table 'user' in us-east-1; "
        "create it, or correct its name or region"
    )
    assert caught.value.error_id == ErrorId.NOT_FOUND
    assert step.server.closed
    assert read_manifest(environment.objects, FOLDER + "/") is None


@pytest.mark.parametrize(
    ("node", "cluster", "table", "region"),
    [
        (
            {"tableName": "users", "region": "eu-west-1"},
            {"region": "us-west-2"},
            "users",
            "eu-west-1",
        ),
        ({"tableName": "users"}, {"region": "us-west-2"}, "users", "us-west-2"),
        ({"tableName": "other", "region": "eu-west-1"}, {}, "users", None),
        (
            {"tableName": "users"},
            {"region": "us-west-2"},
            "arn:aws:dynamodb:eu-west-1:123456789012:table/users",
            "eu-west-1",
        ),
    ],
)
def test_the_region_of_a_step(
    node: dict[str, Any], cluster: dict[str, Any], table: str, region: str | None
) -> None:
    task = new_task(
        "EmrActivity",
        {"input": Ref("Source"), "output": Ref("S3"), "runsOn": Ref("Cluster")},
        new_object("Source", "DynamoDBDataNode", node),
        new_object("S3", "S3DataNode", {"directoryPath": FOLDER}),
        new_object("Cluster", "EmrCluster", cluster),
    )
    assert region_of_step(task.main, Step(is_export=True, table=table)) == region


def test_what_is_wrong_with_the_access_is_told_of_the_step(
    environment: ActivityEnvironment,
) -> None:
    class Closed(StepActivity):
        def connect(self, region: str | None, role: str | None) -> Calls:
            raise TaskError("no usable AWS credentials", error_id=ErrorId.ACCESS_DENIED)

    step = Closed(Step(is_export=True), FakeDynamoDB())
    with pytest.raises(TaskError, match=r"^EmrActivity 'Activity', field 'step': no us") as caught:
        environment.run(step, new_task("EmrActivity"))
    assert caught.value.error_id == ErrorId.ACCESS_DENIED

"""Hive scripts with tables of DynamoDB, run by a spark-sql: items before it, items after it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.engines.base import Engine
from taskrunner.activities.engines.command import CommandEngine
from taskrunner.activities.engines.spark import SparkEngine
from taskrunner.activities.engines.steps import Steps
from taskrunner.data.settings import DataSettings
from taskrunner.errors import PermanentTaskError, TaskError
from taskrunner.model.document import Value
from taskrunner.model.steps.works import RunHive, Step
from taskrunner.testing import ActivityEnvironment, new_task
from tests.unit.activities.engines.host import Host
from tests.unit.activities.engines.test_stored_by import create
from tests.unit.data.dynamodb.fake import FakeDynamoDB

#: Does what INSERT ... SELECT * FROM does with the views of the script; keeps the script.
SPARK = """
cp "${@: -1}" "$(dirname "$CALLS")/script"
mapfile -t places < <(sed -n "s#.*path 's3://\\([^']*\\)'.*#\\1#p" "${@: -1}")
test -e "@S3/${places[1]}_empty" || exit 9
cp "@S3/${places[0]}rows" "@S3/${places[1]}part-0"
"""
COPY = f"{create('source')}{create('target').replace('users', '${TO}')}".replace("id:Id", "id:id")
COPY += "\nINSERT OVERWRITE TABLE target SELECT * FROM source;"


class _Work(Activity):
    type = "HiveActivity"

    def __init__(self, scene: Scene, engine: str, work: RunHive) -> None:
        self._scene, self._engine, self._work = scene, engine, work

    def run(self, ctx: Context) -> None:
        def connect(region: str | None, _role: str | None) -> FakeDynamoDB:
            return self._scene.tables[region or "us-east-1"]

        engine: Engine = CommandEngine(ctx, connect=connect)
        if self._engine == "spark":
            engine = SparkEngine(ctx, master="yarn", connect=connect)
        steps = [Step(jar="command-runner.jar", work=self._work)]
        Steps.prepare(ctx, steps, engines=[engine]).run()


class Scene:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.host = folder, Host(folder, monkeypatch)
        self.host.program("spark-submit")
        self.host.program("spark-sql", SPARK.replace("@S3", str(folder / "s3")))
        self.tables = {"us-east-1": FakeDynamoDB(3), "us-west-2": FakeDynamoDB()}
        self.environment = ActivityEnvironment(data=DataSettings(s3_root=folder / "s3"))

    def run(self, script: str, *, engine: str = "command", logs: str = "s3://logs/x") -> None:
        self.run_work(RunHive(text=script, variables=(("TO", "users"),)), engine, logs)

    def run_work(self, work: RunHive, engine: str, logs: str) -> None:
        fields: dict[str, Value | Sequence[Value]] = {"pipelineLogUri": logs} if logs else {}
        activity = _Work(self, engine, work)
        self.environment.run(activity, new_task("HiveActivity", fields))

    @property
    def left(self) -> list[str]:
        return [info.uri for info in self.environment.objects.list("s3://logs/")]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def fill(table: FakeDynamoDB, *numbers: str) -> None:
    table.items = {}
    for number in numbers:
        table.put({"id": {"S": f'a,"{number}'}, "N": {"N": number}})


TO_WEST = COPY.replace('"${TO}", "dyn', '"${TO}", "dynamodb.region" = "us-west-2", "dyn')


@pytest.mark.parametrize("engine", ["command", "spark"])
def test_items_go_through_the_script_into_another_table(scene: Scene, engine: str) -> None:
    east, west = scene.tables["us-east-1"], scene.tables["us-west-2"]
    fill(east, "1", "-2", "30000000000")
    fill(west)
    with scene.environment:
        scene.run(TO_WEST, engine=engine)
        assert scene.left == []
    assert west.items == east.items
    script = (scene.folder / "script").read_text()
    copies = "s3://logs/x/staging/df-TESTING/Activity_2026-01-01T00-00-00"
    assert f"path '{copies}/source/rows/'" in script
    assert "INSERT INTO TABLE `taskrunner_insert1` SELECT * FROM source;" in script


def test_a_number_that_its_column_does_not_hold_ends_it_before_spark(scene: Scene) -> None:
    fill(scene.tables["us-east-1"], "1.5")
    with scene.environment, pytest.raises(PermanentTaskError) as caught:
        scene.run(TO_WEST)
    assert "the table source of DynamoDB, s3://logs/x/staging" in str(caught.value)
    assert "line 1: attribute 'N': found 1.5, which the column 'n' of type BIGINT" in str(
        caught.value
    )
    assert scene.host.calls == []


def test_a_row_that_is_no_item_leaves_the_table_as_it_was(scene: Scene) -> None:
    scene.host.program(
        "spark-sql",
        f"""
        for place in $(sed -n "s#.*path 's3://\\([^']*insert[^']*\\)'.*#\\1#p" "${{@: -1}}"); do
          case "$place" in *insert1*) n=1;; *) n='"NaN"';; esac
          printf '{{"id":"%s","n":%s}}\\n' a 1 b "$n" > "{scene.folder}/s3/${{place}}part-0"
        done
        """,
    )
    west = scene.tables["us-west-2"]
    fill(scene.tables["us-east-1"], "1")
    fill(west)
    script = f"{TO_WEST}INSERT INTO target SELECT 'b', 2;"
    with scene.environment:
        with pytest.raises(PermanentTaskError, match="insert2/rows/part-0, line 2: the attribute"):
            scene.run(script)
        assert west.calls == []


def test_what_a_failed_attempt_left_is_not_read(scene: Scene) -> None:
    copies = "s3://logs/x/staging/df-TESTING/Activity_2026-01-01T00-00-00"
    east, west = scene.tables["us-east-1"], scene.tables["us-west-2"]
    fill(east, "1")
    fill(west)
    with scene.environment:
        for view in ("source", "taskrunner_insert1"):
            scene.environment.put(f"{copies}/{view}/rows/part-9", '{"id":"old","n":1}\n')
        scene.run(TO_WEST)
    assert west.items == east.items


def test_without_a_place_for_copies_nothing_starts(scene: Scene) -> None:
    with scene.environment, pytest.raises(PermanentTaskError) as caught:
        scene.run(COPY, logs="")
    assert str(caught.value).startswith(
        "HiveActivity 'Activity' cannot run here: engine command, Hive script: the table source is "
        "copied to S3 for the script, and neither generatedScriptsPath nor pipelineLogUri names"
    )


def test_a_table_that_is_not_there_is_named_as_the_script_has_it(scene: Scene) -> None:
    with scene.environment, pytest.raises(TaskError) as caught:
        scene.run(COPY.replace('"users"', '"people"'))
    assert (
        "HiveActivity 'Activity', table source of its script, field 'dynamodb.table.name': there "
        "is no table 'people' in us-east-1"
    ) in str(caught.value)


def test_a_step_with_the_script_on_s3_is_the_same(scene: Scene) -> None:
    fill(scene.tables["us-east-1"], "7")
    fill(scene.tables["us-west-2"])
    with scene.environment:
        scene.environment.put("s3://code/x.q", TO_WEST)
        work = RunHive(script="s3://code/x.q", variables=(("TO", "users"),))
        scene.run_work(work, "command", "s3://logs/x")
    assert len(scene.tables["us-west-2"].items) == 1

"""Spark's work on a master of one's own, by programs that write down how they were called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.emr import EmrActivity
from taskrunner.activities.engines.spark import SparkEngine
from taskrunner.activities.engines.steps import Steps
from taskrunner.errors import PermanentTaskError
from taskrunner.model.steps.reader import read_step
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from taskrunner.testing.activity_environment import Values
from tests.unit.activities.engines.host import Host, environment

SUBMIT = "command-runner.jar,spark-submit,--master,yarn,--deploy-mode,cluster,--queue,q"
HIVE = "command-runner.jar,hive-script,--run-hive-script,--args,-f,s3://b/x.q,-d,A=1"


class _Work(Activity):
    type = "EmrActivity"

    def __init__(self, master: str, steps: Sequence[str], queue: str | None = None) -> None:
        self._master, self._queue = master, queue
        self._steps = [read_step(text) for text in steps]

    def run(self, ctx: Context) -> None:
        engine = SparkEngine(ctx, master=self._master, spark_home=lambda: None)
        Steps.prepare(ctx, self._steps, queue=self._queue, engines=[engine]).run()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def run(found: ActivityEnvironment, master: str, *steps: str, queue: str | None = None) -> None:
    found.run(_Work(master, steps, queue), new_task("EmrActivity"))


@pytest.mark.parametrize(
    ("master", "queue", "said"),
    [
        # A standalone cluster knows no queues, and runs no driver of a Python program.
        ("spark://h:7077", None, ["--conf", "spark.x=1"]),
        ("spark://h:7077", "own", ["--conf", "spark.x=1"]),
        ("yarn", None, ["--deploy-mode", "cluster", "--queue", "q", "--conf", "spark.x=1"]),
        ("yarn", "own", ["--queue", "own", "--deploy-mode", "cluster", "--conf", "spark.x=1"]),
        ("k8s://https://h:6443", None, ["--deploy-mode", "cluster", "--conf", "spark.x=1"]),
    ],
)
def test_the_master_is_the_operators_whatever_a_step_says(
    host: Host, master: str, queue: str | None, said: list[str]
) -> None:
    host.program("spark-submit")
    step = f"{SUBMIT},--conf,spark.master=local,--conf,spark.x=1,s3://b/x.py,a"
    with environment() as found:
        run(found, master, step, queue=queue)
    assert host.calls == [["spark-submit", "--master", master, *said, "s3://b/x.py", "a"]]


def test_hive_scripts_run_by_spark_sql_on_the_master(host: Host) -> None:
    host.program("spark-submit")
    host.program("spark-sql")
    host.program("hive")
    with environment() as found:
        found.put("s3://b/x.q", "SELECT '${A}';")
        run(found, "spark://h:7077", HIVE)
        script = f"{found.work_dir}/step1/x.q"
    assert host.calls == [
        ["spark-sql", "--master", "spark://h:7077", "--hivevar", "A=1", "-f", script]
    ]


def test_what_is_no_work_for_spark_is_refused_before_anything_starts(host: Host) -> None:
    for name in ("spark-submit", "hadoop", "pig"):
        host.program(name)
    submit = f"{SUBMIT},s3://b/x.py"
    with environment() as found:
        for step in (
            "s3://b/x.jar,Main",
            "command-runner.jar,pig-script,--run-pig-script,--args,-f,s3://b/x.pig",
        ):
            with pytest.raises(PermanentTaskError, match="k8s://h runs Spark and Hive scripts on"):
                run(found, "k8s://h", submit, step)
    assert host.calls == []


def test_where_yarn_is_the_master_this_hosts_hadoop_does_the_rest(host: Host) -> None:
    host.program("hadoop", 'cat "$2"')
    with environment() as found:
        found.put("s3://b/x.jar", "the jar")
        run(found, "yarn", "s3://b/x.jar,com.example.Main")
        assert found.stdout == "the jar"


def test_a_host_without_spark_is_told_what_is_missing(host: Host) -> None:
    with environment() as found, pytest.raises(PermanentTaskError) as caught:
        run(found, "spark://h:7077", f"{SUBMIT},s3://b/x.py")
    assert "no spark-submit is on the PATH of this host, and pyspark is not installed" in str(
        caught.value
    )
    assert host.bin.is_dir()


def test_a_table_that_spark_cannot_read_is_refused(host: Host) -> None:
    host.program("spark-submit")
    host.program("spark-sql")
    with environment() as found:
        found.put("s3://b/x.q", "CREATE EXTERNAL TABLE t (a INT) STORED BY 'org.x.DynamoDBSH';")
        with pytest.raises(PermanentTaskError, match="STORED BY DynamoDBSH, which spark-sql"):
            run(found, "spark://h:7077", HIVE)
    assert host.calls == []


def test_the_resource_says_which_master_it_is(host: Host) -> None:
    host.program("spark-submit")
    for handle in ("spark:k8s://h:6443@process:17", "spark:k8s://h:6443#group:a"):
        resource = new_object("@R_1", "EmrCluster", {"@resourceId": handle})
        fields: Values = {"runsOn": Ref("@R_1"), "step": f"{SUBMIT},s3://b/x.py"}
        with environment() as found:
            found.run(EmrActivity(), new_task("EmrActivity", fields, resource))
    assert {call[2] for call in host.calls} == {"k8s://h:6443"}

"""The engine `local` with the real Spark: each run takes half a minute of CPU.

`make test` has none of them (see tests/integration/test_emr_local.py).
"""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.emr import EmrActivity
from taskrunner.activities.engines.local import LocalEngine, spark_folder
from taskrunner.activities.engines.steps import Steps
from taskrunner.activities.hive import HiveActivity
from taskrunner.errors import TaskError
from taskrunner.model.document import PipelineObject, Value
from taskrunner.model.steps.works import RunHive, Step
from taskrunner.model.task import Task
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.chaos.scale import is_full
from tests.integration.agent_harness import wait_for
from tests.spark_host import QUICK_JAVA, local_environment, needs_spark
from tests.unit.activities.engines.test_stored_by import create
from tests.unit.data.dynamodb.fake import FakeDynamoDB

pytestmark = [
    needs_spark,
    pytest.mark.skipif(not is_full(), reason="half a minute of CPU each: for `make chaos`"),
    pytest.mark.xdist_group("spark"),
]


@pytest.fixture
def staged() -> Iterator[ActivityEnvironment]:
    """S3 is brought to the programs, and taken back."""
    with local_environment(staged=True) as found:
        yield found


def _hive(script: str, **fields: Value | Sequence[Value]) -> Task:
    nodes = (
        new_object("C", "CSV", {"column": ["id INT", "name STRING"]}),
        new_object("T", "TSV", {"column": ["id INT", "name STRING"]}),
        new_object("In", "S3DataNode", {"directoryPath": "s3://in/x", "dataFormat": Ref("C")}),
        new_object(
            "Out",
            "S3DataNode",
            {"directoryPath": "s3://out/y", "dataFormat": Ref("T"), "compression": "gzip"},
        ),
    )
    given: dict[str, Value | Sequence[Value]] = {
        "hiveScript": script,
        "input": Ref("In"),
        "output": Ref("Out"),
        **fields,
    }
    return new_task("HiveActivity", given, *nodes)


_COPY = "INSERT OVERWRITE TABLE ${output1} SELECT id, concat(name, '${MARK}') FROM ${input1}"


@pytest.mark.parametrize("is_staged", [False, True], ids=["folder", "staged"])
def test_a_hive_script_reads_and_writes_its_data_nodes(is_staged: bool) -> None:
    with local_environment(staged=is_staged) as environment:
        _check_hive(environment)


def _check_hive(environment: ActivityEnvironment) -> None:
    environment.put("s3://in/x/a.csv", "1,ann\n2,\\N\n3,b\\,c\n")
    environment.put("s3://in/x/b.csv.gz", gzip.compress("4,d\\\\e é\n".encode()))
    environment.put("s3://out/y/old", "replaced")
    script = f"{_COPY} WHERE id > ${{LEAST}};"
    environment.run(HiveActivity(), _hive(script, scriptVariable=["MARK=;", "LEAST=1"]))
    rows = b"".join(
        gzip.decompress(environment.read(info.uri))
        for info in environment.objects.list("s3://out/y/")
    )
    assert sorted(rows.decode().splitlines()) == ["2\t\\N", "3\tb,c;", "4\td\\\\e é;"]


def test_tables_of_dynamodb_are_views_of_copies(staged: ActivityEnvironment) -> None:
    server = FakeDynamoDB()
    server.put({"id": {"S": 'a, "\\b\n'}, "N": {"N": "9007199254740993"}})
    server.put({"id": {"S": ""}})
    script = f"{create('t')}\nINSERT OVERWRITE TABLE t SELECT concat(id, '!'), n + 1 FROM t;"
    # What only the connector would take is refused by Spark: no NULL is made of it.
    bad = f"{create('t')}\nINSERT INTO t SELECT 'x', 'no number';"
    task = new_task("HiveActivity", {"hiveScript": "", "pipelineLogUri": "s3://logs/x"})

    class Work(Activity):
        type = "HiveActivity"

        def run(self, ctx: Context) -> None:
            engine = LocalEngine(ctx, connect=lambda *_: server)
            works = [RunHive(text=text.replace("id:Id", "id:id")) for text in (script, bad)]
            steps = [Step(jar="command-runner.jar", work=work) for work in works]
            Steps.prepare(ctx, steps, engines=[engine]).run()

    with pytest.raises(TaskError, match=r"CAST_INVALID_INPUT|INCOMPATIBLE_DATA"):
        staged.run(Work(), task)
    assert server.items == {
        'a, "\\b\n': {"id": {"S": 'a, "\\b\n'}, "N": {"N": "9007199254740993"}},
        "": {"id": {"S": ""}},
        'a, "\\b\n!': {"id": {"S": 'a, "\\b\n!'}, "N": {"N": "9007199254740994"}},
        "!": {"id": {"S": "!"}},
    }


def test_a_script_that_fails_says_why(staged: ActivityEnvironment) -> None:
    staged.put("s3://in/x/a.csv", "1,ann\n")
    with pytest.raises(TaskError, match=r"exited with 1: \[UNRESOLVED_COLUMN") as caught:
        staged.run(HiveActivity(), _hive("SELECT missing FROM ${input1}"))
    assert "`missing`" in str(caught.value)


def test_a_spark_program_runs_here_whatever_it_was_meant_for(
    staged: ActivityEnvironment,
) -> None:
    staged.put(
        "s3://code/job.py",
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "spark.read.text('s3://in/x').write.text('s3://out/y')\n",
    )
    staged.put("s3://in/x/a", "one\ntwo\n")
    step = "command-runner.jar,spark-submit,--master,yarn,--deploy-mode,cluster,s3://code/job.py"
    staged.run(EmrActivity(), new_task("EmrActivity", {"step": step}))
    rows = [staged.read(info.uri) for info in staged.objects.list("s3://out/y/part")]
    assert sorted(b"".join(rows).split()) == [b"one", b"two"]
    assert staged.objects.stat("s3://out/y/_SUCCESS") is not None


@contextmanager
def _standalone(folder: Path) -> Iterator[str]:
    """A master of Spark's with one worker, on this host; yields its URL."""
    home = spark_folder()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [f"{home}/bin/spark-class"]
    url = f"spark://127.0.0.1:{port}"
    master = [*command, "org.apache.spark.deploy.master.Master", "--host", "127.0.0.1"]
    worker = [*command, "org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1"]
    env = {**os.environ, "JAVA_TOOL_OPTIONS": QUICK_JAVA, "SPARK_LOCAL_DIRS": str(folder)}
    worker += ["--cores", "1", "--memory", "1g", "--webui-port", "0"]
    calls = [
        [*master, "--port", str(port), "--webui-port", "0"],
        [*worker, "--work-dir", str(folder / "work"), url],
    ]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "standalone.log").open("w"))
        for call in calls:
            process = subprocess.Popen(call, env=env, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        wait_for("a worker", lambda: "registered with master" in _text(folder).lower())
        yield url


def _text(folder: Path) -> str:
    return (folder / "standalone.log").read_text()


def test_a_spark_cluster_of_ones_own_does_the_work(tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_text(
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "print('master', spark.sparkContext.master, spark.range(100).count())\n"
    )
    submit = "command-runner.jar,spark-submit,--master,yarn,--deploy-mode,cluster"
    steps = [f"{submit},{program}"]
    with _standalone(tmp_path) as url, local_environment(staged=False) as environment:
        environment.env["SPARK_LOCAL_IP"] = "127.0.0.1"
        resource = new_object("@R", "EmrCluster", {"@resourceId": f"spark:{url}#group"})
        fields: dict[str, Value | Sequence[Value]] = {"runsOn": Ref("@R"), "step": steps}
        environment.run(EmrActivity(), new_task("EmrActivity", fields, resource))
        assert f"master {url} 100" in environment.stdout
        _check_hive_on(environment, resource)


def _check_hive_on(environment: ActivityEnvironment, resource: PipelineObject) -> None:
    script = "SELECT concat('it is ', '${WORD}', count(*)) FROM (SELECT explode(array(1, 2))) t"
    fields: dict[str, Value | Sequence[Value]] = {
        "runsOn": Ref("@R"),
        "hiveScript": script,
        "scriptVariable": "WORD=w",
        "stage": "false",
    }
    environment.run(HiveActivity(), new_task("HiveActivity", fields, resource))
    assert "it is w2" in environment.stdout

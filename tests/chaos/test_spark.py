"""The engine `local` with the real Spark: each run takes half a minute of CPU.

`make test` has none of them (see tests/integration/test_emr_local.py).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence

import pytest

from taskrunner.activities.emr import EmrActivity
from taskrunner.activities.hive import HiveActivity
from taskrunner.errors import TaskError
from taskrunner.model.document import Value
from taskrunner.model.task import Task
from taskrunner.testing import ActivityEnvironment, Ref, new_object, new_task
from tests.chaos.scale import is_full
from tests.spark_host import local_environment, needs_spark

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

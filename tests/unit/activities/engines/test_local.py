from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.activities.engines.base import Call
from taskrunner.activities.engines.local import LocalEngine, local_arguments, spark_folder
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.steps.reader import read_step
from taskrunner.model.steps.works import RunHive, Step
from taskrunner.testing import ActivityEnvironment
from tests.unit.activities.engines.host import Host, environment

_CONF = 'cat "$HADOOP_CONF_DIR/core-site.xml"; echo "$SPARK_HOME"'


class _Spark:
    """A host on which Java and Spark are little scripts."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, body: str = _CONF) -> None:
        self.host = Host(folder, monkeypatch)
        self.home = folder / "spark"
        self.java = self.host.program("java", body)
        for name in ("spark-submit", "spark-sql"):
            self.host.program(name, body, folder=self.home / "bin")

    def engine(self, found: ActivityEnvironment) -> LocalEngine:
        return LocalEngine(found, spark_home=lambda: self.home)


def test_a_jar_runs_by_hadoops_own_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = _Spark(tmp_path, monkeypatch)
    with environment("local") as found:
        found.put("s3://b/x.jar", "jar")
        engine = spark.engine(found)
        step = read_step("s3://b/x.jar,com.example.Main,s3://in/x,s3://out/y")
        assert engine.objection(step.work) is None
        engine.run(Call(step=step, queue="q"))
        conf, jar = found.work_dir / "step1" / "conf", found.work_dir / "step1" / "x.jar"
        assert spark.host.calls == [
            [
                *("java", "-cp", f"{conf}:{spark.home}/jars/*"),
                f"-Djava.io.tmpdir={found.work_dir}/step1/scratch",
                *(
                    "org.apache.hadoop.util.RunJar",
                    str(jar),
                    "com.example.Main",
                    "s3://in/x",
                    "s3://out/y",
                ),
            ]
        ]
        for bucket in ("b", "in", "out"):
            assert f"fs.viewfs.mounttable.{bucket}.linkFallback" in found.stdout
        assert "No queue is set: there is none on this host" in found.messages


def test_spark_stays_on_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = _Spark(tmp_path, monkeypatch)
    with environment("local") as found:
        step = read_step(
            "command-runner.jar,spark-submit,--deploy-mode,cluster,--master=yarn,--name,n,"
            "s3://code/x.py,--master,mine"
        )
        found.put("s3://code/x.py", "spark.read.text('s3://in/x')")
        spark.engine(found).run(Call(step=step))
        assert found.stdout.endswith(f"{spark.home}\n")
        assert "mounttable.code." in found.stdout
        assert "mounttable.in." in found.stdout
        temporary = f'-Djava.io.tmpdir="{found.work_dir}/step1/scratch"'
    assert spark.host.calls == [
        [
            *("spark-submit", "--master", "local[*]", "--conf", "spark.ui.enabled=false"),
            *("--driver-java-options", temporary),
            *("--name", "n", "s3://code/x.py", "--master", "mine"),
        ]
    ]


def test_a_hive_script_runs_by_spark_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = _Spark(tmp_path, monkeypatch)
    text = "CREATE EXTERNAL TABLE t (a INT) LOCATION 's3://${B}/x';"
    work = RunHive(text=text, variables=(("B", "out"),), properties=(("p", "v"),))
    with environment("local") as found:
        spark.engine(found).run(Call(step=Step(jar="command-runner.jar", work=work)))
        assert "mounttable.out." in found.stdout
        assert (found.work_dir / "step1/script.q").read_text() == text
        [call] = spark.host.calls
        assert call[-6:] == [
            *("--conf", "spark.hadoop.p=v", "--hivevar", "B=out"),
            *("-f", f"{found.work_dir}/step1/script.q"),
        ]


def test_without_a_folder_for_s3_the_data_is_brought_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spark = _Spark(
        tmp_path,
        monkeypatch,
        'cd "$HADOOP_CONF_DIR/../s3/in/d" && cat x && rm x && echo made > y && exit "$(cat code)"',
    )
    with environment("local") as found:
        found.put("s3://in/d/x", "data")
        found.put("s3://in/d/code", "3")
        found.data = replace(found.data, s3_root=None)
        step = read_step("/x.jar,s3://in/d")
        with pytest.raises(TaskError, match="exited with 3"):
            spark.engine(found).run(Call(step=step))
        assert found.objects.stat("s3://in/d/y") is None
        found.put("s3://in/d/code", "0")
        spark.engine(found).run(Call(step=step, number=2))
        assert found.stdout == "datadata"
        assert found.read("s3://in/d/y") == b"made\n"
        assert found.objects.stat("s3://in/d/x") is None


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Host(tmp_path, monkeypatch)
    work = read_step("/x.jar").work
    with environment("local") as found:
        without_java = LocalEngine(found, which=lambda _: None, spark_home=lambda: tmp_path)
        assert without_java.objection(work) == (
            "no java is on the PATH of this host, nor is there a JAVA_HOME"
        )
        without_spark = LocalEngine(found, which=lambda name: name, spark_home=lambda: None)
        assert without_spark.objection(work) == (
            "pyspark is not installed (pip install 'taskrunner-agent[spark]')"
        )
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
        assert "no java" in str(without_java.objection(work))
        (tmp_path / "java/bin").mkdir(parents=True)
        (tmp_path / "java/bin/java").touch()
        assert without_java.objection(work) is None


def test_a_failure_is_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = _Spark(tmp_path, monkeypatch, "echo boom >&2; exit 1")
    with environment("local") as found:
        with pytest.raises(TaskError, match="command exited with 1: boom") as caught:
            spark.engine(found).run(Call(step=read_step("/x.jar")))
        assert caught.value.error_id == ErrorId.COMMAND_FAILED


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["x.py", "--master", "a"], ["x.py", "--master", "a"]),
        (["--verbose", "--queue", "q", "x.py"], ["--verbose", "x.py"]),
        (["--conf", "spark.master=yarn", "--conf", "a=b", "x"], ["--conf", "a=b", "x"]),
        (["--conf=spark.yarn.queue=q", "--class=C", "x"], ["--class", "C", "x"]),
        (["--class"], []),
        ([], []),
    ],
)
def test_only_what_says_where_the_work_runs_is_left_out(
    arguments: list[str], kept: list[str]
) -> None:
    assert list(local_arguments(arguments)) == kept


def test_looking_for_spark_does_not_load_it() -> None:
    spark_folder()
    assert "pyspark" not in sys.modules

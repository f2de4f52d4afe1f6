from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.activities.emr import EmrActivity
from taskrunner.activities.hadoop import HadoopActivity
from taskrunner.activities.hive import HiveActivity
from taskrunner.activities.pig import PigActivity
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.testing import ActivityEnvironment, new_task
from tests.unit.activities.engines.host import Host, environment


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def _emr(found: ActivityEnvironment, *steps: str) -> None:
    found.run(EmrActivity(), new_task("EmrActivity", {"step": list(steps)}))


def test_a_jar_from_s3_runs_with_its_class_and_arguments(host: Host) -> None:
    host.program("hadoop", 'cat "$2"')
    with environment("command") as found:
        found.put("s3://b/jobs/x.jar", "the jar")
        _emr(found, "s3://b/jobs/x.jar,com.example.Main,s3://b/in,a\\\\,b")
        jar = str(found.work_dir / "step1" / "x.jar")
        assert host.calls == [["hadoop", "jar", jar, "com.example.Main", "s3://b/in", "a,b"]]
        assert found.stdout == "the jar"


def test_each_kind_of_step_has_its_program(host: Host) -> None:
    for name in ("hadoop", "hive", "pig", "spark-submit", "s3-dist-cp"):
        host.program(name)
    jar = host.program("hadoop-streaming.jar", folder=host.bin.parent / "lib/hadoop-mapreduce")
    streaming = "-input,s3://b/in,-output,s3://b/out,-mapper,cat"
    with environment("command") as found:
        found.put("s3://b/x.q", "SELECT 1;")
        found.put("s3://b/x.pig", "A = LOAD 'x';")
        found.put("s3://b/x.sh", "#!/bin/bash\necho script $1\n")
        _emr(
            found,
            f"/home/hadoop/contrib/streaming/hadoop-streaming.jar,{streaming}",
            "command-runner.jar,hive-script,--run-hive-script,--args,-f,s3://b/x.q,-d,A=1",
            "command-runner.jar,pig-script,--run-pig-script,--args,-f,s3://b/x.pig,-p,A=1",
            "command-runner.jar,spark-submit,--class,C,s3://b/x.jar",
            "command-runner.jar,s3-dist-cp,--src=a",
            "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar,s3://b/x.sh,arg",
            "command-runner.jar,pig-script,--install-pig",
        )
        root = found.work_dir
        assert host.calls == [
            ["hadoop", "jar", str(jar), *streaming.split(",")],
            ["hive", "--hivevar", "A=1", "-f", f"{root}/step2/x.q"],
            ["pig", "-p", "A=1", "-f", f"{root}/step3/x.pig"],
            ["spark-submit", "--class", "C", "s3://b/x.jar"],
            ["s3-dist-cp", "--src=a"],
        ]
        assert found.stdout == "script arg\n"
        assert "Nothing to do: installation of Pig" in found.messages
        told = found.progress_reports
        assert [report["step"] for report in told] == [1, 2, 3, 4, 5, 6, 7, 7]
        assert told[-1] == {"step": 7, "steps": 7, "percent": 100}


def test_where_there_is_yarn_a_guard_stands_around_the_command(host: Host) -> None:
    host.program("yarn")
    host.program("hadoop", "echo job_1700000000000_0001 failed >&2; exit 4")
    with environment("command") as found:
        with pytest.raises(TaskError, match="command exited with 4: job_1700000000000_0001"):
            _emr(found, "/x.jar,a b")
        assert "Running hadoop jar /x.jar a b" in found.messages
        assert "Applications and jobs: job_1700000000000_0001" in found.messages
    assert host.calls == [["hadoop", "jar", "/x.jar", "a b"]]


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        (["com.example.Main", "x"], ["com.example.Main", "-Dmapreduce.job.queuename=q", "x"]),
        (["teragen", "10"], ["teragen", "-Dmapreduce.job.queuename=q", "10"]),
        (["s3://b/in"], ["-Dmapreduce.job.queuename=q", "s3://b/in"]),
    ],
)
def test_a_queue_stands_where_hadoops_tools_look_for_it(
    host: Host, arguments: list[str], called: list[str]
) -> None:
    host.program("hadoop")
    fields = {"jarUri": "/opt/x.jar", "argument": arguments, "hadoopQueue": "q"}
    with environment("command") as found:
        found.run(HadoopActivity(), new_task("HadoopActivity", fields))
    assert host.calls == [["hadoop", "jar", "/opt/x.jar", *called]]


@pytest.mark.parametrize(
    ("program", "called"),
    [
        (
            "hive",
            [
                *("hive", "--hiveconf", "mapreduce.job.queuename=q"),
                *("--hiveconf", "tez.queue.name=q", "--hivevar", "A=b=c", "-f"),
            ],
        ),
        (
            "beeline",
            [
                *("beeline", "--hiveconf", "mapreduce.job.queuename=q"),
                *("--hiveconf", "tez.queue.name=q", "--hivevar", "A=b=c", "-f"),
            ],
        ),
        ("spark-sql", ["spark-sql", "--queue", "q", "--hivevar", "A=b=c", "-f"]),
    ],
)
def test_a_hive_script_runs_by_what_there_is(host: Host, program: str, called: list[str]) -> None:
    host.program(program, 'cat "${@: -1}"')
    fields = {"hiveScript": "SELECT '${A}';", "scriptVariable": "A=b=c", "hadoopQueue": "q"}
    with environment() as found:
        found.run(HiveActivity(), new_task("HiveActivity", fields))
        assert host.calls == [[*called, f"{found.work_dir}/step1/script.q"]]
        assert found.stdout == "SELECT '${A}';"


def test_a_pig_script_runs_where_pig_is(host: Host) -> None:
    host.program("pig", 'cat "${@: -1}"')
    fields = {"scriptUri": "s3://b/x.pig", "scriptVariable": "A=1"}
    with environment("command") as found:
        found.put("s3://b/x.pig", "A = LOAD '$A';")
        found.run(PigActivity(), new_task("PigActivity", fields))
        assert host.calls == [["pig", "-p", "A=1", "-f", f"{found.work_dir}/step1/script.pig"]]
        assert found.stdout == "A = LOAD '$A';"


def test_a_step_that_fails_ends_the_activity_and_is_named(host: Host) -> None:
    host.program("spark-submit", "echo no such class >&2; exit 7")
    host.program("hadoop")
    with environment("command") as found:
        with pytest.raises(TaskError) as caught:
            _emr(found, "command-runner.jar,spark-submit,x.py", "/x.jar")
        message = "step 1 of 2 (spark-submit): command exited with 7: no such class"
        assert str(caught.value) == message
        assert caught.value.error_id == ErrorId.COMMAND_FAILED
    assert [call[0] for call in host.calls] == ["spark-submit"]


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("/x.jar", "no hadoop is on the PATH"),
        ("command-runner.jar,spark-submit,x", "no spark-submit is on the PATH"),
        ("command-runner.jar,nothing-of-that-name", "no nothing-of-that-name is on the PATH"),
        ("command-runner.jar,/no/such/program", "there is no /no/such/program"),
        ("command-runner.jar,hive,-f,s3://b/x.q", "no hive or beeline or spark-sql is on the PATH"),
        ("command-runner.jar,pig,-f,s3://b/x.pig", "no pig is on the PATH"),
    ],
)
def test_what_is_not_on_the_host_is_said_before_anything_starts(
    host: Host, step: str, reason: str
) -> None:
    with environment("command") as found:
        with pytest.raises(PermanentTaskError, match=reason) as caught:
            _emr(found, "command-runner.jar,true", step)
        assert caught.value.error_id == ErrorId.UNSUPPORTED_TYPE
        assert str(caught.value).startswith("EmrActivity 'Activity' cannot run here: engine comm")
        assert found.messages == []


def test_a_streaming_jar_that_is_nowhere_is_said(host: Host) -> None:
    host.program("hadoop")
    step = "/home/hadoop/contrib/streaming/hadoop-streaming.jar,-input,a,-output,b,-mapper,c"
    with environment("command") as found, pytest.raises(TaskError, match="nor is a streaming jar"):
        _emr(found, step)


def test_a_storage_handler_needs_hive(host: Host) -> None:
    host.program("spark-sql")
    fields = {"hiveScript": "CREATE TABLE t (a INT) STORED BY 'org.x.HBaseStorageHandler';"}
    with environment("command") as found:
        with pytest.raises(PermanentTaskError, match="STORED BY HBaseStorageHandler, which spark"):
            found.run(HiveActivity(), new_task("HiveActivity", fields))
        found.put("s3://b/x.q", fields["hiveScript"])
        with pytest.raises(PermanentTaskError, match="STORED BY HBaseStorageHandler"):
            _emr(found, "command-runner.jar,hive,-f,s3://b/x.q")
        assert host.calls == []
        host.program("hive")
        found.run(HiveActivity(), new_task("HiveActivity", fields))
    assert [call[0] for call in host.calls] == ["hive"]


def test_commands_are_not_told_that_a_folder_stands_for_s3(host: Host) -> None:
    host.program("hadoop")
    with environment("command") as found:
        _emr(found, "/x.jar")
        assert any("Commands of this host reach s3://" in message for message in found.messages)

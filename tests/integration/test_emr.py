"""Steps on a cluster by EMR's API, against an EMR that really runs them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskrunner.activities.base import Activity, Context
from taskrunner.activities.engines.emr import EmrEngine
from taskrunner.activities.engines.steps import Steps
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, TaskError
from taskrunner.model.steps.reader import read_step
from taskrunner.model.steps.works import Step
from taskrunner.testing import ActivityEnvironment, new_task
from taskrunner.testing.emr import EmrInProcess

_SCRIPT = "s3://us-east-1.elasticmapreduce/libs/script-runner/script-runner.jar,s3://code"


class _Work(Activity):
    """Steps on the cluster, looked after often."""

    type = "EmrActivity"

    def __init__(self, cluster: str, steps: list[Step]) -> None:
        self._cluster, self._steps = cluster, steps

    def run(self, ctx: Context) -> None:
        engine = EmrEngine(ctx, cluster=self._cluster, first_look_s=0.02)
        Steps.prepare(ctx, self._steps, engines=[engine]).run()


@pytest.fixture
def emr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmrInProcess]:
    with EmrInProcess(s3_root=tmp_path / "s3") as found:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", found.url)
        yield found


@pytest.fixture
def environment(tmp_path: Path, emr: EmrInProcess) -> Iterator[ActivityEnvironment]:
    data = DataSettings(s3_root=tmp_path / "s3", region="us-east-1")
    with ActivityEnvironment(data=data) as found:
        yield found


def _run(environment: ActivityEnvironment, cluster: str, *texts: str) -> None:
    work = _Work(cluster, [read_step(text) for text in texts])
    environment.run(work, new_task("EmrActivity"))


def test_steps_run_in_order_and_their_logs_are_told(
    emr: EmrInProcess, environment: ActivityEnvironment
) -> None:
    cluster = emr.add_cluster(log_uri="s3://logs/emr/")
    environment.put("s3://code/x.sh", "#!/bin/sh\necho script $1\n")
    environment.put("s3://in/x", "b\na\n")
    emr.lose_answers("AddJobFlowSteps")
    emr.throttle(2)
    _run(
        environment,
        cluster,
        f"{_SCRIPT}/x.sh,one",
        "command-runner.jar,hadoop-streaming,-input,s3://in/x,-output,s3://out/r,-mapper,cat",
    )
    first, second = emr.clusters[cluster].steps
    assert [first.state, second.state] == ["COMPLETED", "COMPLETED"]
    assert environment.read("s3://out/r/part-00000") == b"a\t\nb\t\n"
    log = f"s3://logs/emr/{cluster}/steps/{first.id}/"
    assert f"Step log: {log}" in environment.messages
    jobs = f"s3://logs/emr/{cluster}/containers/"
    assert {"emrStepLog": log, "hadoopJobLog": jobs} in environment.progress_reports
    assert gzip.decompress(environment.read(f"{log}stdout.gz")) == b"script one\n"
    assert " step 1 of 2 [" in first.name
    assert environment.progress_reports[-1] == {"step": 2, "steps": 2, "percent": 100}


def test_a_step_that_fails_is_told_with_its_reason_and_log(
    emr: EmrInProcess, environment: ActivityEnvironment
) -> None:
    cluster = emr.add_cluster(log_uri="s3://logs/emr/")
    environment.put("s3://code/x.sh", "echo out of luck >&2; exit 3\n")
    with pytest.raises(TaskError) as caught:
        _run(environment, cluster, f"{_SCRIPT}/x.sh", "command-runner.jar,true")
    [step] = emr.clusters[cluster].steps
    message = str(caught.value)
    assert message.startswith(f"step 1 of 2 (script s3://code/x.sh): the step {step.id} is FAILED")
    assert "command exited with 3: out of luck" in message
    assert message.endswith(f"its log is in s3://logs/emr/{cluster}/steps/{step.id}/stderr.gz")
    assert caught.value.error_id == ErrorId.COMMAND_FAILED


def test_a_cancellation_ends_the_step(emr: EmrInProcess, environment: ActivityEnvironment) -> None:
    cluster = emr.add_cluster()
    environment.cancel_after = 4
    with pytest.raises(Canceled):
        _run(environment, cluster, "command-runner.jar,sleep,600")
    [step] = emr.clusters[cluster].steps
    assert step.state == "CANCELLED"


def test_what_an_earlier_attempt_left_is_canceled_first(
    emr: EmrInProcess, environment: ActivityEnvironment
) -> None:
    cluster = emr.add_cluster()
    _run(environment, cluster, "command-runner.jar,true")
    [old] = emr.clusters[cluster].steps
    mark = old.name.partition("[")[2].partition(".")[0]
    jar = {"Jar": "command-runner.jar", "Args": ["sleep", "600"]}
    names = {"left": f"x step 1 of 1 [{mark}.0123456789abcdef.1]", "other": "x [beef.0123.1]"}
    for name in names.values():
        step = {"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
        emr._answer("AddJobFlowSteps", {"JobFlowId": cluster, "Steps": [step]})
    _, left, other = emr.clusters[cluster].steps
    other.state = "COMPLETED"
    _run(environment, cluster, "command-runner.jar,true")
    assert left.state == "CANCELLED"
    assert other.state == "COMPLETED"
    assert f"Canceling {left.id} of an earlier attempt" in environment.messages


def test_a_cluster_that_dies_ends_the_work(
    emr: EmrInProcess, environment: ActivityEnvironment
) -> None:
    cluster = emr.add_cluster()
    emr.kill(cluster, "The disk is broken")
    with pytest.raises(TaskError) as caught:
        _run(environment, cluster, "command-runner.jar,true")
    assert str(caught.value) == (
        f"true: the EMR cluster {cluster} is TERMINATED_WITH_ERRORS (The disk is broken): "
        "it takes no steps"
    )
    assert caught.value.error_id == ErrorId.RESOURCE_FAILED


def test_a_cluster_that_dies_under_a_step_is_the_reason(
    emr: EmrInProcess, environment: ActivityEnvironment
) -> None:
    cluster = emr.add_cluster()

    def progress(**fields: str | int) -> None:
        if fields.get("state") == "RUNNING":
            emr.kill(cluster, "The disk is broken")

    environment.progress = progress  # type: ignore[method-assign]
    with pytest.raises(TaskError) as caught:
        _run(environment, cluster, "command-runner.jar,sleep,600")
    assert str(caught.value) == (
        f"sleep 600: the EMR cluster {cluster} is TERMINATED_WITH_ERRORS (The disk is broken), "
        "and with it its step"
    )


def test_an_unknown_cluster_is_refused(emr: EmrInProcess, environment: ActivityEnvironment) -> None:
    with pytest.raises(TaskError, match="EMR refused: Cluster id 'j-NONE' is not valid"):
        _run(environment, "j-NONE", "command-runner.jar,true")

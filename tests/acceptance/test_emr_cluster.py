"""The example with an EmrCluster, worked off by a service that makes the cluster for it.

EMR is the small server of `taskrunner.testing`, which runs the steps; the agent is a real one, of
the service's host or of a worker group.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from taskrunner.testing.emr import EmrInProcess
from tests.acceptance.running import Service, taskrunner, until
from tests.acceptance.served_process import served

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "emr-cluster" / "pipeline.json"


@pytest.fixture
def emr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmrInProcess]:
    with EmrInProcess(s3_root=tmp_path / "s3") as found:
        found.account.roles |= {"DataPipelineDefaultRole", "DataPipelineDefaultResourceRole"}
        monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", found.url)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("TASKRUNNER_ALLOW_ROOT", "true")
        yield found


@pytest.mark.parametrize("whose", ["the service's", "a group's"])
def test_the_example_runs_on_a_cluster_of_its_own(
    emr: EmrInProcess, tmp_path: Path, whose: str
) -> None:
    s3 = str(tmp_path / "s3")
    options = ["--no-auth", "--work-dir", str(tmp_path / "work"), "--resources"]
    with ExitStack() as stack:
        if whose == "a group's":
            rules = tmp_path / "rules.toml"
            rules.write_text('[[resources]]\nrun = "emr"\nagents = "hadoop"\n')
            running = stack.enter_context(served(tmp_path, *options, str(rules)))
            agent = ("agent", "--worker-group", "hadoop", "--endpoint", running.url)
            work = ("--work-dir", str(tmp_path / "agent"), "--s3-root", s3)
            stack.enter_context(taskrunner(tmp_path / "agent.log", *agent, *work))
        else:
            running = stack.enter_context(served(tmp_path, *options, "emr", "--s3-root", s3))
        service = stack.enter_context(closing(Service(running.url)))
        pipeline = _put(service)
        until("the end", lambda: _field(service, pipeline, "@pipelineState") == "FINISHED")
        (cluster,) = emr.clusters.values()
        assert cluster.state == "TERMINATING"
        (step,) = cluster.steps
        log = _attempt(service, pipeline, "CountWords")
    counts = (tmp_path / "s3/emr-cluster-example/counts/part-00000").read_text().split()
    assert counts == ["3", "a", "2", "is", "3", "rose"]
    logs = f"s3://emr-cluster-example/logs/{cluster.id}"
    assert log["emrStepLog"] == f"{logs}/steps/{step.id}/"
    assert log["hadoopJobLog"] == f"{logs}/containers/"
    assert cluster.request["Configurations"][0]["Classification"] == "spark-defaults"


def _put(service: Service) -> str:
    made: str = service.client.create_pipeline(name="emr", uniqueId="1")["pipelineId"]
    answer = service.aws(
        *("put-pipeline-definition", "--pipeline-id", made),
        *("--pipeline-definition", f"file://{EXAMPLE}"),
    )
    assert answer["errored"] is False, answer
    service.client.activate_pipeline(pipelineId=made)
    return made


def _field(service: Service, pipeline: str, key: str) -> Any:
    reply = service.client.describe_pipelines(pipelineIds=[pipeline])
    fields = reply["pipelineDescriptionList"][0]["fields"]
    return next(field["stringValue"] for field in fields if field["key"] == key)


def _attempt(service: Service, pipeline: str, component: str) -> dict[str, str]:
    """What is shown of a component's last attempt."""
    found = service.client.query_objects(pipelineId=pipeline, sphere="ATTEMPT")["ids"]
    (wanted,) = [each for each in found if each.startswith(f"@{component}_")]
    reply = service.client.describe_objects(pipelineId=pipeline, objectIds=[wanted])
    fields = reply["pipelineObjects"][0]["fields"]
    return {field["key"]: field.get("stringValue", "") for field in fields}

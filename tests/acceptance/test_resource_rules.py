"""Definitions with runsOn, put by the AWS CLI, worked off by plain agents as the rules say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.running import Service, taskrunner, until
from tests.acceptance.served_process import served

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "resources.toml"
START = "2026-01-05T00:00:00"
#: As published definitions are: everything hangs on a machine that is made for it.
OBJECTS = [
    {
        "id": "Default",
        "name": "Default",
        "scheduleType": "cron",
        "schedule": {"ref": "DefaultSchedule"},
        "failureAndRerunMode": "CASCADE",
        "role": "DataPipelineDefaultRole",
        "resourceRole": "DataPipelineDefaultResourceRole",
        "pipelineLogUri": "s3://example-logs/pipelines/",
    },
    {
        "id": "DefaultSchedule",
        "name": "Every day",
        "type": "Schedule",
        "period": "1 Day",
        "startDateTime": START,
        "occurrences": "1",
    },
    {
        "id": "Ec2Instance",
        "name": "Ec2Instance",
        "type": "Ec2Resource",
        "instanceType": "t1.micro",
        "imageId": "ami-0123abcd",
        "subnetId": "subnet-0123abcd",
        "securityGroupIds": ["sg-0123abcd"],
        "keyPair": "operators",
        "associatePublicIpAddress": "true",
        "actionOnTaskFailure": "terminate",
        "terminateAfter": "1 Hour",
    },
    {
        "id": "Cluster",
        "name": "Cluster",
        "type": "EmrCluster",
        "releaseLabel": "emr-5.36.0",
        "masterInstanceType": "m4.large",
        "coreInstanceType": "m4.large",
        "coreInstanceCount": "2",
        "terminateAfter": "2 Hours",
    },
    {
        "id": "Ready",
        "name": "Ready",
        "type": "S3KeyExists",
        "s3Key": "s3://example-in/ready",
        "role": "DataPipelineDefaultRole",
    },
    {
        "id": "Input",
        "name": "Input",
        "type": "S3DataNode",
        "filePath": "s3://example-in/words.csv",
        "precondition": {"ref": "Ready"},
    },
    {
        "id": "Copied",
        "name": "Copied",
        "type": "S3DataNode",
        "filePath": "s3://example-out/#{format(@scheduledStartTime, 'YYYY-MM-dd')}/words.csv",
    },
    {
        "id": "Counted",
        "name": "Counted",
        "type": "S3DataNode",
        "directoryPath": "s3://example-out/counts",
    },
    {
        "id": "Copy",
        "name": "Copy",
        "type": "CopyActivity",
        "input": {"ref": "Input"},
        "output": {"ref": "Copied"},
        "runsOn": {"ref": "Ec2Instance"},
    },
    {
        "id": "Count",
        "name": "Count",
        "type": "ShellCommandActivity",
        "command": "wc -l < ${INPUT1_STAGING_DIR}/words.csv > ${OUTPUT1_STAGING_DIR}/lines",
        "stage": "true",
        "input": {"ref": "Copied"},
        "output": {"ref": "Counted"},
        "runsOn": {"ref": "Cluster"},
    },
]
GROUPS = {"Copy": "prod", "Count": "hadoop"}
INSTANCES = [f"@{name}_{START}" for name in ("Copy", "Count", "Ec2Instance", "Cluster")]


@contextmanager
def service(folder: Path, *options: str) -> Iterator[Service]:
    with (
        served(folder, "--no-auth", *options) as running,
        closing(Service(running.url)) as asked,
    ):
        yield asked


def put(service: Service, folder: Path, name: str) -> tuple[str, dict[str, Any]]:
    """Put the definition by the AWS CLI; returns the pipeline's id and what the put said."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"objects": OBJECTS}))
    made = service.aws("create-pipeline", "--name", name, "--unique-id", name)["pipelineId"]
    answer = service.aws(
        *("put-pipeline-definition", "--pipeline-id", made),
        *("--pipeline-definition", f"file://{file}"),
    )
    assert answer["errored"] is False, answer
    return made, answer


def described(service: Service, pipeline: str, object_id: str) -> dict[str, str]:
    answer = service.aws("describe-objects", "--pipeline-id", pipeline, "--object-ids", object_id)
    (found,) = answer["pipelineObjects"]
    return {
        field["key"]: field.get("stringValue") or field["refValue"] for field in found["fields"]
    }


@contextmanager
def agent(folder: Path, url: str, group: str) -> Iterator[None]:
    with taskrunner(
        folder / f"{group}.log",
        *("--worker-group", group, "--endpoint", url),
        *("--work-dir", str(folder / f"agent-{group}"), "--s3-root", str(folder / "s3")),
    ):
        yield


def warned_of(answer: dict[str, Any]) -> set[str]:
    """The objects that are said to run nowhere."""
    return {
        found["id"]
        for found in answer["validationWarnings"]
        if any("says where" in text for text in found["warnings"])
    }


def furnish(folder: Path) -> Path:
    source = folder / "s3" / "example-in"
    source.mkdir(parents=True)
    (source / "words.csv").write_text("one\ntwo\nthree\n")
    (source / "ready").touch()
    return folder / "s3"


def test_a_definition_with_runs_on_is_worked_off_by_plain_agents(tmp_path: Path) -> None:
    s3 = furnish(tmp_path)
    with service(tmp_path, "--resources", str(EXAMPLE)) as served_here:
        pipeline, answer = put(served_here, tmp_path, "words")
        assert warned_of(answer) == set()
        served_here.aws("activate-pipeline", "--pipeline-id", pipeline)
        with (
            agent(tmp_path, served_here.url, "prod"),
            agent(tmp_path, served_here.url, "hadoop"),
        ):
            until(
                "everything is done",
                lambda: all(served_here.status(pipeline, i) == "FINISHED" for i in INSTANCES),
            )
        for name, group in GROUPS.items():
            found = described(served_here, pipeline, f"@{name}_{START}")
            assert (found["@status"], found["@attemptCount"]) == ("FINISHED", "1")
            # Whoever did it is an agent of the group that the rule names.
            logs = [*(tmp_path / f"agent-{group}" / "output" / "logs").rglob(f"*{name}*")]
            assert logs, f"{name} by {group}"
        resource = described(served_here, pipeline, f"@Ec2Instance_{START}")
        assert "@actualStartTime" in resource
        assert "@actualEndTime" in resource
    assert (s3 / "example-out" / "2026-01-05" / "words.csv").read_text() == "one\ntwo\nthree\n"
    assert (s3 / "example-out" / "counts" / "lines").read_text().strip() == "3"


def test_without_a_rule_everything_says_so_and_a_restart_with_one_helps(tmp_path: Path) -> None:
    furnish(tmp_path)
    with service(tmp_path) as without:
        pipeline, answer = put(without, tmp_path, "words")
        assert warned_of(answer) == {"Ec2Instance", "Cluster"}
        without.aws("activate-pipeline", "--pipeline-id", pipeline)
        resource, copy = f"@Ec2Instance_{START}", f"@Copy_{START}"
        until("the resource waits", lambda: without.status(pipeline, resource) == "CREATING")
        until(
            "it says for what",
            lambda: "--resources" in described(without, pipeline, resource).get("errorMessage", ""),
        )
        check = f"@Ready_{START}"
        assert without.status(pipeline, check) == "WAITING_FOR_RUNNER"
        assert without.status(pipeline, copy) == "WAITING_ON_DEPENDENCIES"
    log = (tmp_path / "serve.log").read_text()
    assert log.count("a resource runs nowhere") == 2
    with (
        service(tmp_path, "--resources", "group=prod") as ruled,
        agent(tmp_path, ruled.url, "prod"),
    ):
        until(
            "everything is done",
            lambda: all(ruled.status(pipeline, i) == "FINISHED" for i in INSTANCES),
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[[resources]]\nrun = "emr-serverless"\n',
            ":2: run: found 'emr-serverless', wanted emr-serverless=ID",
        ),
        (
            '[[resources]]\ntype = "Ec2"\nrun = "local"\n',
            ":2: type: found 'Ec2', wanted Ec2Resource",
        ),
    ],
)
def test_a_wrong_file_stops_the_service_at_its_start(tmp_path: Path, text: str, said: str) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(text)
    serve = ("serve", "--listen", "127.0.0.1:0", "--no-auth", "--resources", str(rules))
    store = ("--database-url", f"sqlite:///{tmp_path / 'service.db'}")
    with taskrunner(tmp_path / "serve.log", *serve, *store) as process:
        assert process.wait(60) == 2
    assert f"{rules}{said}" in (tmp_path / "serve.log").read_text()

"""boto3, unchanged, against a service that runs."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.served_process import Served, served

if TYPE_CHECKING:
    from mypy_boto3_datapipeline import DataPipelineClient
    from mypy_boto3_datapipeline.type_defs import OperatorTypeDef, PipelineObjectTypeDef

DEFINITION: list[PipelineObjectTypeDef] = [
    {
        "id": "Default",
        "name": "Default",
        "fields": [
            {"key": "scheduleType", "stringValue": "ondemand"},
            {"key": "workerGroup", "stringValue": "g"},
        ],
    },
    {
        "id": "Say",
        "name": "say it",
        "fields": [
            {"key": "type", "stringValue": "ShellCommandActivity"},
            {"key": "command", "stringValue": "echo #{myWord}"},
        ],
    },
]


@contextmanager
def client_of(
    url: str, *, key: str = "testing", secret: str = "testing", region: str = "us-east-1"
) -> Iterator[DataPipelineClient]:
    client = boto3.client(
        "datapipeline",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 0}, read_timeout=100),
    )
    with closing(client):
        yield client


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), "--no-auth") as running:
        yield running


@pytest.fixture
def client(service: Served) -> Iterator[DataPipelineClient]:
    with client_of(service.url) as made:
        yield made


@pytest.fixture
def pipeline_id(client: DataPipelineClient, request: pytest.FixtureRequest) -> str:
    return client.create_pipeline(name=request.node.name, uniqueId="1")["pipelineId"]


def put(client: DataPipelineClient, pipeline_id: str) -> None:
    reply = client.put_pipeline_definition(
        pipelineId=pipeline_id,
        pipelineObjects=DEFINITION,
        parameterObjects=[
            {"id": "myWord", "attributes": [{"key": "type", "stringValue": "String"}]}
        ],
        parameterValues=[{"id": "myWord", "stringValue": "hello"}],
    )
    assert reply["errored"] is False, reply


def test_a_pipeline_from_its_making_to_its_end(
    client: DataPipelineClient, pipeline_id: str
) -> None:
    put(client, pipeline_id)
    got = client.get_pipeline_definition(pipelineId=pipeline_id)
    assert got["pipelineObjects"] == DEFINITION
    client.activate_pipeline(pipelineId=pipeline_id)

    task = client.poll_for_task(workerGroup="g", hostname="h")["taskObject"]
    command = task["objects"][task["attemptId"]]["fields"]
    assert {"key": "command", "stringValue": "echo hello"} in command
    report = client.report_task_progress(
        taskId=task["taskId"], fields=[{"key": "step", "stringValue": "1"}]
    )
    assert report["canceled"] is False
    client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")

    paginator = client.get_paginator("query_objects")
    pages = paginator.paginate(pipelineId=pipeline_id, sphere="ATTEMPT")
    attempts = [object_id for page in pages for object_id in page["ids"]]
    assert attempts == [task["attemptId"]]
    shown = client.describe_objects(pipelineId=pipeline_id, objectIds=attempts)
    fields = shown["pipelineObjects"][0]["fields"]
    assert {"key": "@status", "stringValue": "FINISHED"} in fields

    client.delete_pipeline(pipelineId=pipeline_id)
    listed = client.get_paginator("list_pipelines").paginate().build_full_result()
    assert pipeline_id not in [item["id"] for item in listed["pipelineIdList"]]
    with pytest.raises(client.exceptions.PipelineDeletedException):
        client.describe_pipelines(pipelineIds=[pipeline_id])


def test_runs_are_found_by_what_is_shown_of_them(
    client: DataPipelineClient, pipeline_id: str
) -> None:
    put(client, pipeline_id)
    client.activate_pipeline(pipelineId=pipeline_id)
    task = client.poll_for_task(workerGroup="g", hostname="h")["taskObject"]
    client.report_task_progress(taskId=task["taskId"])
    client.set_task_status(
        taskId=task["taskId"], taskStatus="FAILED", errorId="X", errorMessage="broken"
    )

    for sphere in ("COMPONENT", "INSTANCE", "ATTEMPT"):
        everything = client.query_objects(pipelineId=pipeline_id, sphere=sphere)["ids"]
        shown = client.describe_objects(pipelineId=pipeline_id, objectIds=everything)
        assert shown["pipelineObjects"]
        for item in shown["pipelineObjects"]:
            for field in item["fields"]:
                if field["key"] == "@waitingOn" and "stringValue" in field:
                    continue  # a sentence about now, made where it is shown
                operator: OperatorTypeDef = (
                    {"type": "REF_EQ", "values": [field["refValue"]]}
                    if "refValue" in field
                    else {"type": "EQ", "values": [field["stringValue"]]}
                )
                found = client.query_objects(
                    pipelineId=pipeline_id,
                    sphere=sphere,
                    query={"selectors": [{"fieldName": field["key"], "operator": operator}]},
                )
                assert item["id"] in found["ids"], field


def test_tags_and_heartbeats(client: DataPipelineClient, pipeline_id: str) -> None:
    client.add_tags(pipelineId=pipeline_id, tags=[{"key": "team", "value": "data"}])

    described = client.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"]

    assert described[0]["tags"] == [{"key": "team", "value": "data"}]
    client.remove_tags(pipelineId=pipeline_id, tagKeys=["team"])
    beat = client.report_task_runner_heartbeat(taskrunnerId="r", workerGroup="g", hostname="h")
    assert beat["terminate"] is False


def test_errors_are_boto3s_own_exceptions(client: DataPipelineClient, pipeline_id: str) -> None:
    with pytest.raises(client.exceptions.PipelineNotFoundException, match="df-none"):
        client.describe_pipelines(pipelineIds=["df-none"])
    with pytest.raises(client.exceptions.TaskNotFoundException):
        client.report_task_progress(taskId="none")
    with pytest.raises(client.exceptions.InvalidRequestException, match="latest or active"):
        client.get_pipeline_definition(pipelineId=pipeline_id, version="x")
    with pytest.raises(
        client.exceptions.InvalidRequestException, match="regular expression"
    ) as caught:
        client.create_pipeline(name="bad\x00name", uniqueId="1")
    assert caught.value.response["ResponseMetadata"]["RequestId"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_definition_of_more_than_a_megabyte_is_taken(
    client: DataPipelineClient, pipeline_id: str
) -> None:
    objects: list[PipelineObjectTypeDef] = [
        {
            "id": f"O{number}",
            "name": "x",
            "fields": [{"key": "myNote", "stringValue": "x" * 10_000}],
        }
        for number in range(120)
    ]

    reply = client.validate_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)

    assert "validationErrors" in reply


def test_the_store_outlives_the_process_and_a_waiting_poll_is_let_go(tmp_path: Path) -> None:
    with served(tmp_path, "--no-auth") as first, client_of(first.url) as client:
        made = client.create_pipeline(name="n", uniqueId="1")["pipelineId"]
        put(client, made)
        with ThreadPoolExecutor(1) as pool:
            poll = pool.submit(client.poll_for_task, workerGroup="idle")
            # The poll is on its way once the service has answered a call made after it.
            threading.Event().wait(0.3)
            client.list_pipelines()
            assert first.stop() == 0
            assert "taskObject" not in poll.result(10)

    with served(tmp_path, "--no-auth") as second, client_of(second.url) as client:
        assert client.create_pipeline(name="n", uniqueId="1")["pipelineId"] == made
        assert client.get_pipeline_definition(pipelineId=made)["pipelineObjects"] == DEFINITION


def test_a_second_service_on_the_port_is_told_so(service: Served) -> None:
    address = service.url.removeprefix("http://")
    argv = [sys.executable, "-m", "taskrunner", "serve", "--no-auth", "--listen", address]

    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert done.stderr.strip().startswith(f"taskrunner: cannot listen on {address}: the port is in")
    assert len(done.stderr.splitlines()) == 1


KEYS = """
[[keys]]
id = "AKRUNNER"
secret = "runner-secret-runner-secret"
role = "runner"
worker_groups = ["g"]

[[keys]]
id = "AKAUTHOR"
secret = "author-secret-author-secret"
role = "author"
"""


def test_signed_calls_may_do_what_their_key_may(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.touch(0o600)
    keys.write_text(KEYS)
    with (
        served(tmp_path, "--credentials-file", str(keys)) as running,
        client_of(running.url, key="AKAUTHOR", secret="author-secret-author-secret") as author,
        client_of(running.url, key="AKRUNNER", secret="runner-secret-runner-secret") as runner,
        client_of(running.url, key="AKAUTHOR", secret="guessed") as thief,
        client_of(
            running.url, key="AKAUTHOR", secret="author-secret-author-secret", region="x-1"
        ) as lost,
    ):
        made = author.create_pipeline(name="é n", uniqueId="1")["pipelineId"]
        put(author, made)
        author.activate_pipeline(pipelineId=made)

        assert runner.poll_for_task(workerGroup="g")["taskObject"]["pipelineId"] == made
        refused: list[tuple[Callable[[], object], str]] = [
            (lambda: runner.poll_for_task(workerGroup="other"), "AccessDeniedException"),
            (lambda: runner.delete_pipeline(pipelineId=made), "AccessDeniedException"),
            (lambda: author.poll_for_task(workerGroup="g"), "AccessDeniedException"),
            (thief.list_pipelines, "InvalidSignatureException"),
            (lost.list_pipelines, "InvalidSignatureException"),
        ]
        for call, code in refused:
            with pytest.raises(ClientError) as caught:
                call()
            assert caught.value.response["Error"]["Code"] == code

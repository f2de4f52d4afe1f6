"""What moto, the usual stand-in for AWS in tests, says of Data Pipeline: over HTTP, by boto3.

Whoever has tested against moto finds the same here, but for what contradicts AWS: docs/protocol.md
names that. Where TASKRUNNER_MOTO_SOURCE names a source tree of moto's (its package has no tests),
moto's own tests run, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.acceptance.served_process import Served, served

if TYPE_CHECKING:
    from mypy_boto3_datapipeline import DataPipelineClient
    from mypy_boto3_datapipeline.type_defs import FieldTypeDef, PipelineObjectTypeDef

REGION = "us-west-2"
SOURCE = "TASKRUNNER_MOTO_SOURCE"
#: Those of moto's tests that contradict AWS, as docs/protocol.md says.
CONTRADICTS = {
    "test_describing_pipeline_objects",
    "test_activate_pipeline",
}
WORKER_GROUP: FieldTypeDef = {"key": "workerGroup", "stringValue": "workers"}
OBJECTS: list[PipelineObjectTypeDef] = [
    {"id": "Default", "name": "Default", "fields": [WORKER_GROUP]},
    {
        "id": "Hourly",
        "name": "Every hour",
        "fields": [
            {"key": "type", "stringValue": "Schedule"},
            {"key": "period", "stringValue": "1 hour"},
            {"key": "startDateTime", "stringValue": "2020-02-13T00:00:00"},
            {"key": "endDateTime", "stringValue": "2020-02-14T00:00:00"},
        ],
    },
    {
        "id": "Greet",
        "name": "Greet",
        "fields": [
            {"key": "type", "stringValue": "ShellCommandActivity"},
            {"key": "command", "stringValue": "echo good day"},
            {"key": "parent", "refValue": "Default"},
            {"key": "schedule", "refValue": "Hourly"},
        ],
    },
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), "--no-auth", "--region", REGION) as running:
        yield running


@pytest.fixture
def client(service: Served) -> Iterator[DataPipelineClient]:
    client = boto3.client(
        "datapipeline",
        endpoint_url=service.url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 0}),
    )
    with closing(client):
        for found in listed(client):
            client.delete_pipeline(pipelineId=found)
        yield client


def listed(client: DataPipelineClient) -> list[str]:
    pages = client.get_paginator("list_pipelines").paginate()
    return [found["id"] for page in pages for found in page["pipelineIdList"]]


def created(client: DataPipelineClient, name: str = "p") -> str:
    return client.create_pipeline(name=name, uniqueId=f"token-{name}")["pipelineId"]


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


# -- the same as moto -------------------------------------------------------------------------


def test_a_new_pipeline_is_described_as_pending(client: DataPipelineClient) -> None:
    pipeline_id = created(client, "mine")
    (found,) = client.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"]
    assert (found["pipelineId"], found["name"]) == (pipeline_id, "mine")
    fields = {field["key"]: field.get("stringValue") for field in found["fields"]}
    assert fields["@pipelineState"] == "PENDING"
    assert fields["uniqueId"] == "token-mine"


def test_a_definition_comes_back_as_it_was_put(client: DataPipelineClient) -> None:
    pipeline_id = created(client)
    reply = client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=OBJECTS)
    assert reply["errored"] is False
    found = client.get_pipeline_definition(pipelineId=pipeline_id)
    assert found["pipelineObjects"] == OBJECTS
    assert found["pipelineObjects"][0]["fields"] == [WORKER_GROUP]


def test_objects_are_described_by_their_ids(client: DataPipelineClient) -> None:
    pipeline_id = created(client)
    client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=OBJECTS)
    found = client.describe_objects(pipelineId=pipeline_id, objectIds=["Hourly", "Default"])
    assert [of["id"] for of in found["pipelineObjects"]] == ["Hourly", "Default"]
    default = found["pipelineObjects"][1]
    assert default["name"] == "Default"
    assert WORKER_GROUP in default["fields"]


def test_an_activated_pipeline_is_scheduled(client: DataPipelineClient) -> None:
    pipeline_id = created(client)
    client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=OBJECTS)
    client.activate_pipeline(pipelineId=pipeline_id)
    (found,) = client.describe_pipelines(pipelineIds=[pipeline_id])["pipelineDescriptionList"]
    assert {"key": "@pipelineState", "stringValue": "SCHEDULED"} in found["fields"]


def test_a_deleted_pipeline_is_not_listed(client: DataPipelineClient) -> None:
    client.delete_pipeline(pipelineId=created(client))
    assert client.list_pipelines()["pipelineIdList"] == []


def test_few_pipelines_are_listed_in_one_page(client: DataPipelineClient) -> None:
    names = {created(client, name): name for name in ("one", "two")}
    reply = client.list_pipelines()
    assert reply["hasMoreResults"] is False
    assert "marker" not in set(reply)
    assert {of["id"]: of["name"] for of in reply["pipelineIdList"]} == names


def test_many_pipelines_are_listed_in_several_pages(client: DataPipelineClient) -> None:
    made = {created(client, f"p{number}") for number in range(51)}
    first = client.list_pipelines()
    assert first["hasMoreResults"] is True
    assert first["marker"] == first["pipelineIdList"][-1]["id"]
    assert len(first["pipelineIdList"]) == 50
    rest = client.list_pipelines(marker=first["marker"])
    assert rest["hasMoreResults"] is False
    pages = (first["pipelineIdList"], rest["pipelineIdList"])
    assert [of["id"] for page in pages for of in page] == sorted(made)


# -- as AWS, and not as moto ------------------------------------------------------------------


def test_objects_are_described_with_their_runtime_fields(client: DataPipelineClient) -> None:
    pipeline_id = created(client)
    client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=OBJECTS)
    found = client.describe_objects(pipelineId=pipeline_id, objectIds=["Greet"])
    (greet,) = found["pipelineObjects"]
    assert {"key": "@sphere", "stringValue": "COMPONENT"} in greet["fields"]


def test_nothing_is_activated_without_a_definition(client: DataPipelineClient) -> None:
    pipeline_id = created(client)
    with pytest.raises(ClientError, match="has no definition yet") as error:
        client.activate_pipeline(pipelineId=pipeline_id)
    assert code_of(error) == "InvalidRequestException"


def test_a_pipeline_that_is_not_there_is_not_found(client: DataPipelineClient) -> None:
    with pytest.raises(ClientError) as error:
        client.describe_pipelines(pipelineIds=["df-00000000000000000000"])
    assert code_of(error) == "PipelineNotFoundException"


def test_a_body_that_is_no_json_is_refused(service: Served) -> None:
    request = urllib.request.Request(
        service.url,
        data=b"pipelineIds=ASdf",
        headers={
            "X-Amz-Target": "DataPipeline.DescribePipelines",
            "Content-Type": "application/x-amz-json-1.1",
        },
    )
    with pytest.raises(urllib.error.HTTPError) as error, closing(urllib.request.urlopen(request)):
        pass
    with error.value:
        assert error.value.code == 400
        assert b"SerializationException" in error.value.read()


# -- moto's own tests -------------------------------------------------------------------------


def test_motos_own_tests_pass_but_for_what_contradicts_aws(service: Served, tmp_path: Path) -> None:
    tree = os.environ.get(SOURCE)
    if not tree:
        pytest.skip(f"{SOURCE} names no source tree of moto's")
    # Out of the tree, whose packages have the names of ours. Its other two modules ask moto's
    # own server and CloudFormation.
    module = Path(tree) / "tests" / "test_datapipeline" / "test_datapipeline.py"
    shutil.copy(module, tmp_path)
    report = tmp_path / "report.xml"
    argv = ["-p", "moto_plugin", "-p", "no:cacheprovider", f"--junitxml={report}", module.name]
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parent),
        "AWS_ENDPOINT_URL_DATA_PIPELINE": service.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, f"--rootdir={tmp_path}", *argv],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    cases = list(ET.parse(report).iter("testcase"))
    failed = {case.attrib["name"] for case in cases if case.find("failure") is not None}
    broken = {case.attrib["name"] for case in cases if case.find("error") is not None}
    assert len(cases) >= 8
    assert (failed, broken) == (CONTRADICTS, set()), done.stdout

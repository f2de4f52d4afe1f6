"""Logs and staging over a real S3 API, whose library is loaded where it is needed only."""

from __future__ import annotations

import gzip
from pathlib import Path

import boto3
import psutil
import pytest

from tests.integration.agent_harness import FakeService, running_agent, task_json


@pytest.mark.external_service
def test_logs_and_staged_files_go_through_s3(
    service: FakeService, tmp_path: Path, s3_endpoint: str
) -> None:
    s3 = boto3.client("s3", endpoint_url=s3_endpoint)
    s3.create_bucket(Bucket="agent-logs")
    s3.put_object(Bucket="agent-logs", Key="in/part1", Body=b"42\n")
    fields = {
        "pipelineLogUri": "s3://agent-logs/logs",
        "stage": "true",
        "input": {"ref": "@In"},
        "output": {"ref": "@Out"},
    }
    nodes = {
        "@In": {"type": "S3DataNode", "directoryPath": "s3://agent-logs/in"},
        "@Out": {"type": "S3DataNode", "directoryPath": "s3://agent-logs/out"},
    }
    command = "tee ${OUTPUT1_STAGING_DIR}/copy < ${INPUT1_STAGING_DIR}/part1"
    options = ["--s3-endpoint", s3_endpoint, "--region", "us-east-1"]
    with running_agent(service, tmp_path, *options, s3_root=False) as agent:
        service.tasks.put(task_json("t1", command, fields=fields, objects=nodes))
        verdict = service.verdict("t1")
        process = psutil.Process(agent.process.pid)
        own = process.memory_info().rss + process.children()[0].memory_info().rss
    assert verdict["taskStatus"] == "FINISHED", verdict
    listed = s3.list_objects_v2(Bucket="agent-logs")["Contents"]
    keys = {item["Key"].rpartition("/")[2]: item["Key"] for item in listed}
    assert set(keys) == {"part1", "copy", "Activity.log.gz", "StdOutput.gz"}
    body = s3.get_object(Bucket="agent-logs", Key=keys["StdOutput.gz"])["Body"].read()
    assert gzip.decompress(body) == b"42\n"
    assert own < 70 * 2**20

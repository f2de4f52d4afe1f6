"""Runs inside the machine under test: puts a one-command pipeline, or tells how it stands.

systemd_client.py submit NAME COMMAND [GROUP]   prints the pipeline's id
systemd_client.py states ID                prints STATUS@ATTEMPTS of the command's instance
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import boto3


def client() -> Any:
    key = tomllib.loads(Path("/etc/taskrunner/keys.toml").read_text())["keys"][0]
    return boto3.client(
        "datapipeline",
        endpoint_url="http://127.0.0.1:8484",
        region_name="us-east-1",
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
    )


def submit(name: str, command: str, group: str = "wg") -> str:
    api = client()
    pipeline: str = api.create_pipeline(name=name, uniqueId=name)["pipelineId"]
    values = {"type": "ShellCommandActivity", "command": command, "workerGroup": group}
    fields = [{"key": key, "stringValue": value} for key, value in values.items()]
    on_demand = [{"key": "scheduleType", "stringValue": "ondemand"}]
    put = api.put_pipeline_definition(
        pipelineId=pipeline,
        pipelineObjects=[
            {"id": "Default", "name": "Default", "fields": on_demand},
            {"id": "Work", "name": "Work", "fields": fields},
        ],
    )
    assert not put["errored"], put
    api.activate_pipeline(pipelineId=pipeline)
    return pipeline


def states(pipeline: str) -> str:
    api = client()
    ids = api.query_objects(pipelineId=pipeline, sphere="INSTANCE")["ids"]
    found = api.describe_objects(pipelineId=pipeline, objectIds=ids)["pipelineObjects"]
    fields = {f["key"]: f.get("stringValue") for item in found for f in item["fields"]}
    attempts = api.query_objects(pipelineId=pipeline, sphere="ATTEMPT")["ids"]
    return f"{fields.get('@status')}@{len(attempts)}"


if __name__ == "__main__":
    print(submit(*sys.argv[2:]) if sys.argv[1] == "submit" else states(*sys.argv[2:]))

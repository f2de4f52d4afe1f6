"""The how-to's weekly backup of a DynamoDB table, unchanged, and its import again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests import servers
from tests.chaos.scale import is_full
from tests.local_runs import run_here
from tests.server_process import ServerMissing

SEED = Path(__file__).resolve().parents[3] / "shared" / "seed-definitions" / "dynamodb-to-s3.json"
FOLDER = "dynamodb/users/2026-02-16"
#: `make chaos` has the number that counts.
COUNT = 100_000 if is_full() else 150


@pytest.fixture
def endpoint(s3_endpoint: str) -> Iterator[str]:
    """A DynamoDB; for 100,000 items one that counts units, and whose scans do not slow down."""
    if not is_full():
        yield s3_endpoint
        return
    try:
        with servers.dynalite() as url:
            yield url
    except ServerMissing as missing:
        pytest.skip(str(missing))


def run(tmp_path: Path, definition: Path, *options: str) -> None:
    began = time.monotonic()
    done = run_here(
        tmp_path,
        *(str(definition), "--format", "json"),
        *("--s3-root", str(tmp_path / "s3"), "--work-dir", str(tmp_path / "work"), *options),
        patience_s=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["status"] == "FINISHED"
    print(f"{definition.name}: {COUNT} items in {time.monotonic() - began:.1f} s")


def fill(client: Any, name: str) -> None:
    for first in range(0, COUNT, 25):
        requests = [
            {
                "PutRequest": {
                    "Item": {"id": {"S": f"user-{n}"}, "n": {"N": str(n)}, "b": {"B": b"\\x00"}}
                }
            }
            for n in range(first, min(first + 25, COUNT))
        ]
        assert not client.batch_write_item(RequestItems={name: requests})["UnprocessedItems"]


def table(client: Any, name: str) -> dict[str, Any]:
    pages = client.get_paginator("scan").paginate(TableName=name)
    return {item["id"]["S"]: item for page in pages for item in page["Items"]}


@pytest.mark.skipif(not SEED.exists(), reason="the seed definitions are not beside the checkout")
def test_a_backup_and_its_import_give_the_same_table(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "AWS_REGION" not in os.environ
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
    client = boto3.client("dynamodb", region_name="us-east-1")
    # As the seed names it: no other test has a table of this name in this region.
    names = ("users", "users-restored")
    try:
        for name in names:
            client.create_table(
                TableName=name,
                AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                ProvisionedThroughput={"ReadCapacityUnits": 1000, "WriteCapacityUnits": 1000},
            )
        fill(client, "users")
        run(tmp_path, SEED, "--at", "2026-02-16T03:00:00")

        folder = tmp_path / "s3" / "my-backups" / FOLDER
        manifest = json.loads((folder / "manifest").read_text())
        urls = [entry["url"] for entry in manifest["entries"]]
        files = [folder / url.removeprefix(f"s3://my-backups/{FOLDER}/") for url in urls]
        assert {path.name for path in folder.iterdir()} == {
            *(path.name for path in files),
            *("manifest", "_SUCCESS"),
        }
        lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        assert len(lines) == COUNT
        assert {next(iter(line["n"])) for line in lines} == {"n"}

        jar = "s3://dynamodb-dpl-us-east-1/emr-ddb-storage-handler/4.14.0/emr-dynamodb-tools.jar"
        step = f"org.apache.hadoop.dynamodb.tools.DynamoDbImport,s3://my-backups/{FOLDER}"
        restore = tmp_path / "restore.json"
        activity = {
            "id": "Restore",
            "type": "EmrActivity",
            "runsOn": {"ref": "Cluster"},
            "step": f"{jar},{step},users-restored,1.0",
        }
        cluster = {"id": "Cluster", "type": "EmrCluster", "region": "us-east-1"}
        default = {"id": "Default", "scheduleType": "ondemand"}
        restore.write_text(json.dumps({"objects": [default, cluster, activity]}))
        run(tmp_path, restore)
        assert table(client, "users-restored") == table(client, "users")
    finally:
        for name in names:
            client.delete_table(TableName=name)
        client.close()

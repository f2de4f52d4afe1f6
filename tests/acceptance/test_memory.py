"""How much memory an agent and its children hold: idle, and while a million rows are copied."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance import seed
from tests.acceptance.running import Peak, Service, taskrunner, until

if TYPE_CHECKING:
    from mypy_boto3_datapipeline.type_defs import OperatorTypeDef

pytestmark = [pytest.mark.external_service, pytest.mark.slow]

#: Of all processes together, with what they share counted once.
IDLE, COPYING = 42, 125

DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "memory"},
        {
            "id": "Database",
            "type": "JdbcDatabase",
            "connectionString": "jdbc:mysql://nowhere/nothing",
            "jdbcDriverClass": "any",
            "username": "nobody",
            "*password": "none",
        },
        {
            "id": "Orders",
            "type": "SqlDataNode",
            "database": {"ref": "Database"},
            "table": "orders",
        },
        {"id": "Export", "type": "S3DataNode", "directoryPath": "s3://my-data-lake/all/"},
        {
            "id": "Copy",
            "type": "CopyActivity",
            "input": {"ref": "Orders"},
            "output": {"ref": "Export"},
        },
    ]
}


@pytest.mark.parametrize(
    ("database_fixture", "fill"),
    [
        pytest.param("mariadb_database", seed.fill_mariadb, id="mariadb"),
        pytest.param("postgresql_database", seed.fill_postgresql, id="postgresql"),
    ],
)
def test_a_million_rows_are_copied_in_little_memory(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    service: Service,
    cloud: seed.Cloud,
    monkeypatch: pytest.MonkeyPatch,
    database_fixture: str,
    fill: Callable[[str], None],
) -> None:
    url: str = request.getfixturevalue(database_fixture)
    fill(url)
    file = tmp_path / "all.json"
    file.write_text(json.dumps(DEFINITION))
    # In the environment a password shows in no process list.
    monkeypatch.setitem(os.environ, "TASKRUNNER_DATABASES", json.dumps({"Database": url}))
    created = service.aws("create-pipeline", "--name", "memory", "--unique-id", "1")
    pipeline = created["pipelineId"]
    service.aws(
        *("put-pipeline-definition", "--pipeline-id", pipeline),
        *("--pipeline-definition", f"file://{file}"),
    )
    flags = ("--worker-group", "memory", "--endpoint", service.url)
    data = ("--s3-endpoint", cloud.endpoint, "--work-dir", str(tmp_path / "worker"))
    log = tmp_path / "worker.log"
    with taskrunner(log, *flags, *data) as process:
        until("the agent polls", lambda: log.exists() and "agent started" in log.read_text(), 20)
        idle = Peak(process)
        idle.look()
        assert len(process.children()) == 1
        service.aws("activate-pipeline", "--pipeline-id", pipeline)
        peak = Peak(process)

        def done() -> bool:
            peak.look()
            runs = service.client.query_objects(
                pipelineId=pipeline,
                sphere="INSTANCE",
                query={
                    "selectors": [
                        {"fieldName": "@componentParent", "operator": op("Copy")},
                        {"fieldName": "@status", "operator": op("FINISHED")},
                    ]
                },
            )
            return bool(runs["ids"])

        until("the copy is done", done)
    (key,) = cloud.keys("my-data-lake")
    assert cloud.read("my-data-lake", key).count(b"\n") >= seed.ROWS
    print(f"idle {idle.megabytes:.0f} MB, copying {peak.megabytes:.0f} MB")
    assert idle.megabytes < IDLE
    assert peak.megabytes < COPYING


def op(value: str) -> OperatorTypeDef:
    return {"type": "EQ", "values": [value]}

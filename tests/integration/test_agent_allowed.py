"""What an operator does not allow is refused by the agent before anything of it is done."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent_harness import FakeService, running_agent, task_json


@pytest.fixture
def service() -> Iterator[FakeService]:
    service = FakeService()
    yield service
    service.close()


def test_types_and_log_places_that_are_not_allowed(service: FakeService, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    options = ["--allow-types", "ShellCommandActivity", "--allow-log-uris", "s3://good/logs"]
    staged = {"stage": "true", "input": {"ref": "In"}, "pipelineLogUri": "s3://good/logs"}
    node = {"In": {"type": "S3DataNode", "filePath": "s3://nobody/asks"}}
    with running_agent(service, tmp_path, *options) as agent:
        service.tasks.put(
            task_json("typed", f"touch {mark}", kind="CopyActivity", fields=staged, objects=node)
        )
        for name, uri in (
            ("evil", "s3://good/logs-evil"),
            ("up", "s3://good/logs/../x"),
            ("elsewhere", str(tmp_path / "elsewhere")),
        ):
            service.tasks.put(task_json(name, f"touch {mark}", fields={"pipelineLogUri": uri}))
        service.tasks.put(
            task_json("right", "echo fine", fields={"pipelineLogUri": "s3://good/logs/a"})
        )
        for name in ("typed", "evil", "up", "elsewhere"):
            told = service.verdict(name)
            assert (told["taskStatus"], told["errorId"]) == ("FAILED", "NotAllowed"), told
            assert "allow_" in told["errorMessage"]
        assert service.verdict("right")["taskStatus"] == "FINISHED"
    assert not mark.exists()
    assert not (tmp_path / "elsewhere").exists()
    pushed = [path for path in agent.s3.rglob("*") if path.is_file()]
    assert pushed
    assert all(os.fspath(path).startswith(f"{agent.s3}/good/logs/a/") for path in pushed)
    assert "task refused" in agent.log

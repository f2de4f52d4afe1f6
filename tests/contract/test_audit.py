"""Who did what is noted with the change itself, and nothing that a definition says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from taskrunner.cli import main
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.cleaner import ROUND_S
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.store import audit
from taskrunner.service.store.audit import AuditRow
from taskrunner.testing import ServiceInProcess
from tests.unit.service.asgi import ask

SECRET = "c4n4ry-in-a-coal-mine"
OBJECTS = [
    ("Default", {"scheduleType": "ondemand", "workerGroup": "wg"}),
    ("A", {"type": "ShellCommandActivity", "command": "true", "*myPassword": SECRET}),
    ("B", {"type": "ShellCommandActivity", "command": "true"}),
]


@pytest.fixture
def world(database_url: str) -> Iterator[ServiceInProcess]:
    with ServiceInProcess(database_url=database_url) as world:
        yield world


def app_of(world: ServiceInProcess) -> Starlette:
    return create_app(
        world.service,
        handlers=HANDLERS,
        authenticator=NoAuthenticator(),
        settings=EdgeSettings(clock=world.clock),
    )


def entries(world: ServiceInProcess, **wanted: Any) -> list[AuditRow]:
    with world.service.store.read() as conn:
        return audit.find(conn, limit=100, **wanted)


def put(pipeline: str) -> dict[str, Any]:
    objects = [
        {"id": i, "name": i, "fields": [{"key": k, "stringValue": v} for k, v in fields.items()]}
        for i, fields in OBJECTS
    ]
    return {"pipelineId": pipeline, "pipelineObjects": objects}


def test_each_change_has_its_entry_and_no_secret(world: ServiceInProcess) -> None:
    app = app_of(world)

    def done(operation: str, **body: Any) -> Any:
        world.clock.advance(1)
        answer = ask(app, operation, body)
        assert answer.status == 200, answer.body
        return json.loads(answer.body or b"{}")

    made = done("CreatePipeline", name="p", uniqueId="1")["pipelineId"]
    done("CreatePipeline", name="p", uniqueId="1")  # found: nothing is changed
    done("AddTags", pipelineId=made, tags=[{"key": "k", "value": "v"}])
    done("PutPipelineDefinition", **put(made))
    done("ActivatePipeline", pipelineId=made)
    world.settle()
    instance = next(key for key in world.instances(made) if key.startswith("@A"))
    done("SetStatus", pipelineId=made, objectIds=[instance], status="CANCEL")
    done("DeactivatePipeline", pipelineId=made)
    done("DeletePipeline", pipelineId=made)
    found = entries(world, subject=made)
    assert [(row.operation, row.objects, row.before, row.after) for row in reversed(found)] == [
        ("CreatePipeline", None, None, "p"),
        ("AddTags", None, "", "k=v"),
        ("PutPipelineDefinition", None, None, "version 1"),
        ("ActivatePipeline", None, "PENDING", "active, version 1"),
        ("SetStatus", instance, None, "CANCEL"),
        ("DeactivatePipeline", None, "SCHEDULED", "stops with what runs"),
        ("DeletePipeline", None, "p (INACTIVE)", "deleted"),
    ]
    assert {(row.user_id, row.address, row.key_id) for row in found} == {
        ("anonymous", "127.0.0.1", None)
    }
    assert SECRET not in str(found)


def test_what_is_refused_or_undone_has_none(world: ServiceInProcess) -> None:
    app = app_of(world)
    pipeline = world.put([{"id": "A", "type": "ShellCommandActivity", "command": "true"}])
    for operation, body in (
        ("SetStatus", {"objectIds": ["@none"], "status": "CANCEL"}),
        ("AddTags", {"tags": [{"key": str(n), "value": "v"} for n in range(11)]}),
        ("ActivatePipeline", {}),
    ):
        assert ask(app, operation, {"pipelineId": pipeline, **body}).status == 400
    assert entries(world) == []


def test_what_the_service_does_by_itself_has_none(world: ServiceInProcess) -> None:
    world.run([{"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}, OBJECT])
    world.work_off()
    assert entries(world) == []


OBJECT = {"id": "A", "type": "ShellCommandActivity", "command": "true"}


def test_entries_go_after_the_retention(world: ServiceInProcess) -> None:
    ask(app_of(world), "CreatePipeline", {"name": "p", "uniqueId": "1"})
    assert len(entries(world, user="anonymous")) == 1
    assert entries(world, since=world.now + timedelta(seconds=1)) == []
    world.clock.advance(timedelta(days=31))
    while world.service.cleaner.step(world.now) != ROUND_S:
        pass
    assert entries(world) == []


def test_they_are_listed_and_commands_are_among_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}"
    options = ("--database-url", url)
    with ServiceInProcess(database_url=url) as world:
        ask(app_of(world), "CreatePipeline", {"name": "p", "uniqueId": "1"})
        assert main(["keys", "create", "--role", "viewer", "--id", "VIEW", *options]) == 0
        assert main(["keys", "revoke", "VIEW", *options]) == 0
        capsys.readouterr()
        assert main(["audit", "--subject", "VIEW", "--format", "json", *options]) == 0
        listed = json.loads(capsys.readouterr().out)["audit"]
        assert [(row["operation"], row["after"]) for row in listed] == [
            ("keys revoke", "revoked"),
            ("keys create", "viewer"),
        ]
        assert main(["audit", "--user", "anonymous", *options]) == 0
        head, line = capsys.readouterr().out.splitlines()
        assert head.split()[:4] == ["AT", "USER", "ADDRESS", "OPERATION"]
        assert "CreatePipeline" in line

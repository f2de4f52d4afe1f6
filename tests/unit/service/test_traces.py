"""What a service tells of its work as spans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from taskrunner.clock import SystemClock
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import NoAuthenticator
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.settings import ServiceSettings
from taskrunner.testing import ServiceInProcess
from taskrunner.tracing import Kind
from tests.unit.service import asgi
from tests.unit.service.worlds import ON_DEMAND, T, schedule, scheduled, shell
from tests.unit.tracing.spans import Told


class World:
    """A service whose edge and scheduler are traced."""

    def __init__(self, service: ServiceInProcess, told: Told) -> None:
        self.service, self.told = service, told

    def app(self, handlers: Any = HANDLERS) -> Starlette:
        return create_app(
            self.service.service,
            handlers=handlers,
            authenticator=NoAuthenticator(),
            settings=EdgeSettings(
                threads=1, poll_hold_s=0.01, tracing=self.told.tracing(SystemClock())
            ),
        )

    def ask(self, operation: str, **body: Any) -> Any:
        return asgi.ask(self.app(), operation, body).json


@pytest.fixture
def world() -> Iterator[World]:
    told = Told()
    settings = ServiceSettings(database_url="", tracing=told.tracing(SystemClock()))
    with ServiceInProcess(settings=settings) as service:
        yield World(service, told)


def test_a_hand_out_begins_the_trace_in_which_its_calls_are(world: World) -> None:
    pipeline = world.service.run([ON_DEMAND, shell("A")])
    task = world.ask("PollForTask", workerGroup="wg", hostname="host-a")["taskObject"]
    (handed,) = world.told.named("hand out")
    assert (handed.task_id, handed.is_hand_out) == (task["taskId"], True)
    assert handed.kind is Kind.PRODUCER
    assert handed.attributes == {
        "taskrunner.pipeline_id": pipeline,
        "taskrunner.attempt_id": f"@A_{T}_Attempt=1",
        "taskrunner.worker_group": "wg",
        "taskrunner.runner_host": "host-a",
    }
    assert world.told.named("PollForTask") == []
    world.ask("SetTaskStatus", taskId=task["taskId"], taskStatus="FINISHED")
    (call,) = world.told.named("SetTaskStatus")
    assert (call.task_id, call.is_hand_out, call.error) == (task["taskId"], False, None)
    assert call.attributes["rpc.method"] == "SetTaskStatus"


def test_a_poll_that_finds_nothing_is_not_told(world: World) -> None:
    assert world.ask("PollForTask", workerGroup="nobody") == {}
    assert world.told.spans == []


def test_planning_is_told_where_there_was_any(world: World) -> None:
    # By a schedule: about a run on demand is decided where it is activated.
    world.service.run([scheduled(), schedule(occurrences="1"), shell("A"), shell("B")])
    decided = world.told.named("decide about instances")
    assert sum(cast(int, span.attributes["taskrunner.instances"]) for span in decided) >= 2
    before = len(world.told.spans)
    world.service.settle()
    assert len(world.told.spans) == before


def test_a_refusal_is_no_error_of_the_service(world: World) -> None:
    world.ask("GetPipelineDefinition", pipelineId="df-NONE")
    (refused,) = world.told.spans
    assert refused.attributes["error.type"] == "PipelineNotFoundException"
    assert (refused.name, refused.error) == ("GetPipelineDefinition", None)


def test_a_failure_of_the_service_is_one(world: World) -> None:
    def broken(_service: Service, _caller: Caller, _request: object) -> object:
        raise RuntimeError("s3cret")

    app = world.app({**HANDLERS, "ListPipelines": broken})
    with capture_logs():
        asgi.ask(app, "ListPipelines", {})
    (failed,) = world.told.spans
    assert failed.error == failed.attributes["error.type"] == "InternalServiceError"
    assert "s3cret" not in repr(failed)


def test_calls_of_operators_are_told_by_their_names(world: World) -> None:
    pipeline = world.service.run([ON_DEMAND, shell("A")])
    world.told.spans.clear()
    assert asgi.get(world.app(), f"/v1/pipelines/{pipeline}/runs").status == 200
    assert asgi.get(world.app(), "/v1/nothing").status == 404
    known, unknown = world.told.spans
    assert known.name == "list_runs"
    assert known.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/pipelines/{pipeline_id}/runs",
        "taskrunner.pipeline_id": pipeline,
    }
    assert (unknown.name, unknown.error) == ("other", None)

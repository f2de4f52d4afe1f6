from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import cast

import botocore.session
import pytest
from starlette.applications import Starlette
from structlog.testing import capture_logs

from taskrunner.clock import SystemClock
from taskrunner.errors import (
    DefinitionError,
    PipelineNotFound,
    StoreError,
    StoreTrouble,
    TaskNotFound,
    UsageError,
)
from taskrunner.model.task import Task
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import NoAuthenticator, Permit
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.engine import Service
from taskrunner.service.handler import Handler
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.meters import Meters
from taskrunner.service.roster import Roster
from taskrunner.service.store.database import Store
from taskrunner.service.store.runners import load_refused, load_runners
from taskrunner.service.wakeups import WorkReady
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.inputs import CreatePipelineInput
from taskrunner.wire.outputs import CreatePipelineOutput
from taskrunner.wire.runner_messages import PollForTaskInput, PollForTaskOutput
from taskrunner.wire.user_agent import RunnerFacts
from tests.unit.service import asgi

TASK = Task(task_id="t", pipeline_id="df-1", attempt_id="a", objects={})


class Nothing:
    """A service with nothing but the announcements."""

    def __init__(self) -> None:
        self.store = cast(Store, None)
        self.meters = Meters()
        self.work_ready = WorkReady()
        self.roster = Roster(cast(Store, None), SystemClock())
        self.given_back: list[tuple[str, Caller]] = []
        self.orders = self

    def takes_no_work(self, _account: str, _runner_id: str) -> bool:
        return False

    def stuck(self, _longest_s: float) -> list[str]:
        return []

    def give_back(self, task: Task, caller: Caller) -> None:
        self.given_back.append((task.task_id, caller))


class Restricted(NoAuthenticator):
    """Lets one action through, for one worker group."""

    def authenticate(self, request: HttpRequest) -> Permit:
        return Permit(
            caller=Caller(account="1", user="runner-1", worker_groups=frozenset({"mine"})),
            actions=frozenset({"PollForTask"}),
        )


def app_of(
    handlers: Mapping[str, Handler],
    *,
    service: Nothing | None = None,
    settings: EdgeSettings | None = None,
    restricted: bool = False,
) -> Starlette:
    return create_app(
        cast(Service, service or Nothing()),
        handlers=handlers,
        authenticator=Restricted() if restricted else NoAuthenticator(),
        settings=settings,
    )


def failing(error: Exception) -> Starlette:
    def handler(_service: Service, _caller: Caller, _request: object) -> object:
        raise error

    return app_of({"DeletePipeline": handler})


def create(_service: Service, caller: Caller, request: CreatePipelineInput) -> CreatePipelineOutput:
    assert caller == ANONYMOUS
    return CreatePipelineOutput(pipeline_id=f"df-{request.name}")


def test_every_operation_of_the_model_has_a_handler() -> None:
    model = botocore.session.get_session().get_service_model("datapipeline")

    assert set(HANDLERS) == set(model.operation_names)
    assert len(HANDLERS) == 19


def test_a_call_goes_to_the_handler_and_its_reply_back() -> None:
    answer = asgi.ask(
        app_of({"CreatePipeline": create}), "CreatePipeline", {"name": "n", "uniqueId": "u"}
    )

    assert answer.status == 200
    assert answer.json == {"pipelineId": "df-n"}
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert len(answer.headers["x-amzn-requestid"]) == 36


def test_the_guides_spelling_of_the_target_works_too() -> None:
    app = app_of({"CreatePipeline": create})
    headers = {"x-amz-target": "DataPipeline_20121129.CreatePipeline"}

    assert asgi.ask(app, "x", {"name": "n", "uniqueId": "u"}, **headers).status == 200


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PipelineNotFound("none"), 400, "PipelineNotFoundException"),
        (TaskNotFound("none"), 400, "TaskNotFoundException"),
        (DefinitionError("bad"), 400, "InvalidRequestException"),
        (UsageError("bad"), 400, "InvalidRequestException"),
    ],
)
def test_faults_are_codes_and_messages(error: Exception, status: int, code: str) -> None:
    answer = asgi.ask(failing(error), "DeletePipeline", {"pipelineId": "p"})

    assert answer.status == status
    assert answer.json == {"__type": code, "message": str(error)}


@pytest.mark.parametrize("trouble", StoreTrouble)
def test_what_is_wrong_with_the_store_is_said_to_callers_in_general(trouble: StoreTrouble) -> None:
    """The store has it logged, with path or host, once for all callers."""
    error = StoreError("/secret/path is full", trouble=trouble)
    with capture_logs() as log:
        answer = asgi.ask(failing(error), "DeletePipeline", {"pipelineId": "p"})

    assert answer.status == 500
    assert answer.json == {"__type": "InternalServiceError", "message": str(trouble)}
    assert log == []


def test_our_own_failures_are_logged_and_not_shown() -> None:
    error = RuntimeError("a defect")
    with capture_logs() as log:
        answer = asgi.ask(failing(error), "DeletePipeline", {"pipelineId": "p"})

    assert answer.status == 500
    assert answer.json["__type"] == "InternalServiceError"
    assert str(error) not in answer.body.decode()
    assert answer.headers["x-amzn-requestid"] in answer.json["message"]
    (told,) = log
    assert (told["event"], told["op"]) == ("call failed", "DeletePipeline")
    assert told["request_id"] == answer.headers["x-amzn-requestid"]
    assert told["exc_info"] is True


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-target": "DataPipeline.MakeTea"}, "UnknownOperationException"),
        ({"x-amz-target": "DynamoDB.DeletePipeline"}, "UnknownOperationException"),
        ({"x-amz-target": ""}, "UnknownOperationException"),
        ({"content-type": "text/plain"}, "SerializationException"),
        ({"content-length": "2000000"}, "RequestEntityTooLargeException"),
    ],
)
def test_what_cannot_be_a_call_is_refused(headers: dict[str, str], code: str) -> None:
    app = failing(AssertionError("not to be called"))

    answer = asgi.ask(app, "DeletePipeline", {"pipelineId": "p"}, **headers)

    assert answer.json["__type"] == code
    assert 400 <= answer.status < 500


def test_a_body_over_the_limit_is_refused_while_it_arrives() -> None:
    app = app_of({"CreatePipeline": create})

    answer = asgi.ask(app, "CreatePipeline", b" " * (1024 * 1024 + 1))

    assert answer.status == 413


def test_a_definition_may_be_larger_than_other_bodies() -> None:
    def put(_service: Service, _caller: Caller, _request: object) -> object:
        raise PipelineNotFound("arrived")

    app = app_of({"PutPipelineDefinition": put})
    body = b" " * (2 * 1024 * 1024) + b'{"pipelineId":"p","pipelineObjects":[]}'

    assert asgi.ask(app, "PutPipelineDefinition", body).json["message"] == "arrived"


def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    app = app_of({"CreatePipeline": create}, settings=EdgeSettings(body_timeout_s=0.01))

    async def main() -> asgi.Answer | None:
        async with asgi.started(app):
            return await asgi.Caller(app).ask(headers=asgi.wire_headers("CreatePipeline"), parts=())

    answer = asyncio.run(main())

    assert answer is not None
    assert (answer.status, answer.json["__type"]) == (408, "RequestTimeoutException")


@pytest.mark.parametrize("path", ["/livez", "/ping"])
def test_health_is_a_plain_get(path: str) -> None:
    answer = asgi.get(app_of({}), path)

    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("OPTIONS", "/"), ("GET", "/x")])
def test_there_is_nothing_else(method: str, path: str) -> None:
    assert asgi.get(app_of({}), path, method=method).status in {404, 405}


@pytest.mark.parametrize("path", ["/", "/livez", "/ping", "/nothing"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "a:b"])
def test_no_route_answers_to_a_foreign_name(path: str, host: str) -> None:
    answer = asgi.get(app_of({}), path, host=host)

    assert (answer.status, answer.json["__type"]) == (421, "MisdirectedRequestException")


def test_polls_make_runners_known_and_refused_ones_are_noted(tmp_path: Path) -> None:
    def poll(_service: Service, _caller: Caller, _request: PollForTaskInput) -> PollForTaskOutput:
        return PollForTaskOutput(task_object=TASK)

    def app(service: Nothing) -> Starlette:
        return app_of({"PollForTask": poll}, service=service, restricted=True)

    store = Store(f"sqlite:///{tmp_path / 'service.db'}")
    service = Nothing()
    service.roster = Roster(store, SystemClock())
    agent = {"user-agent": RunnerFacts(runner_id="4f", slots=2, busy=1).header()}
    asgi.ask(app(service), "PollForTask", {"workerGroup": "mine", "hostname": "h"}, **agent)
    asgi.ask(app(service), "PollForTask", {"workerGroup": "theirs", "hostname": "h"}, **agent)
    service.roster.save(SystemClock().now())

    since = SystemClock().now() - timedelta(hours=1)
    with store.read() as conn:
        (runner,) = load_runners(conn, "1", since=since)
        (refused,) = load_refused(conn, "1", since=since)
    store.close()
    assert (runner.runner_id, runner.hostname, runner.slots) == ("4f", "h", 2)
    assert (refused.worker_group, refused.code) == ("theirs", "AccessDeniedException")


def test_a_key_may_only_do_what_it_was_given() -> None:
    def poll(_service: Service, caller: Caller, _request: PollForTaskInput) -> PollForTaskOutput:
        assert caller.user == "runner-1"
        return PollForTaskOutput(task_object=TASK)

    def app() -> Starlette:
        return app_of({"PollForTask": poll, "CreatePipeline": create}, restricted=True)

    assert asgi.ask(app(), "PollForTask", {"workerGroup": "mine"}).status == 200
    for operation, body in (
        ("PollForTask", {"workerGroup": "theirs"}),
        ("CreatePipeline", {"name": "n", "uniqueId": "u"}),
    ):
        assert asgi.ask(app(), operation, body).json["__type"] == "AccessDeniedException"


class OneTask:
    """A poll handler with a task once there is one."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.calls = 0

    def __call__(
        self, _service: Service, _caller: Caller, _request: PollForTaskInput
    ) -> PollForTaskOutput:
        reply = PollForTaskOutput(task_object=self.tasks.pop() if self.tasks else None)
        self.calls += 1
        return reply


async def held(app: Starlette, handler: OneTask) -> None:
    """Return once a poll waits that has found nothing."""
    while app.state.waiting_polls() == 0 or handler.calls == 0:
        await asyncio.sleep(0)


def test_a_waiting_poll_is_answered_when_work_appears() -> None:
    service, handler = Nothing(), OneTask()
    app = app_of({"PollForTask": handler}, service=service)

    async def main() -> asgi.Answer | None:
        async with asgi.started(app):
            poll = asyncio.ensure_future(
                asgi.Caller(app).ask(
                    headers=asgi.wire_headers("PollForTask"), parts=[b'{"workerGroup":"g"}']
                )
            )
            await held(app, handler)
            handler.tasks.append(TASK)
            service.work_ready.announce(["g"])
            return await poll

    answer = asyncio.run(main())

    assert answer is not None
    assert answer.json["taskObject"]["taskId"] == "t"


def test_waiting_polls_are_answered_empty_at_once_when_the_service_stops() -> None:
    handler = OneTask()
    app = app_of({"PollForTask": handler})

    async def main() -> asgi.Answer | None:
        async with asgi.started(app):
            poll = asyncio.ensure_future(
                asgi.Caller(app).ask(
                    headers=asgi.wire_headers("PollForTask"), parts=[b'{"workerGroup":"g"}']
                )
            )
            await held(app, handler)
            app.state.stop()
            return await poll

    answer = asyncio.run(main())

    assert answer is not None
    assert (answer.status, answer.json) == (200, {})


def test_a_poll_whose_client_left_is_given_up() -> None:
    service, handler = Nothing(), OneTask()
    app = app_of({"PollForTask": handler}, service=service)

    async def main() -> asgi.Answer | None:
        async with asgi.started(app):
            caller = asgi.Caller(app)
            poll = asyncio.ensure_future(
                caller.ask(headers=asgi.wire_headers("PollForTask"), parts=[b'{"workerGroup":"g"}'])
            )
            await held(app, handler)
            caller.gone.set()
            answer = await poll
            handler.tasks.append(TASK)
            service.work_ready.announce(["g"])
            return answer

    assert asyncio.run(main()) is None
    assert handler.tasks == [TASK]
    assert app.state.waiting_polls() == 0


@pytest.mark.parametrize("first", ["the client leaves", "the task comes"])
def test_a_task_that_was_claimed_for_a_client_that_left_is_given_back(first: str) -> None:
    service = Nothing()
    claiming, go_on = threading.Event(), threading.Event()

    def poll(_service: Service, _caller: Caller, _request: PollForTaskInput) -> PollForTaskOutput:
        claiming.set()
        assert go_on.wait(20)
        return PollForTaskOutput(task_object=TASK)

    app = app_of({"PollForTask": poll}, service=service)

    async def main() -> asgi.Answer | None:
        async with asgi.started(app):
            caller = asgi.Caller(app)
            asking = asyncio.ensure_future(
                caller.ask(headers=asgi.wire_headers("PollForTask"), parts=[b'{"workerGroup":"g"}'])
            )
            while not claiming.is_set():
                await asyncio.sleep(0)
            caller.gone.set()
            if first == "the task comes":
                # Both are seen in the same turn of the loop: the thread has ended by then.
                go_on.set()
                threading.Event().wait(0.2)
            answer = await asking
            go_on.set()
            return answer

    assert asyncio.run(main()) is None
    assert service.given_back == [("t", ANONYMOUS)]

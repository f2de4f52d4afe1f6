"""What docs/protocol.md says of the service, row by row, over its application and SigV4."""

from __future__ import annotations

import asyncio
import json
import resource
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from taskrunner.clock import SystemClock
from taskrunner.errors import StoreError
from taskrunner.service.app import (
    COSTLY,
    COSTLY_AT_ONCE,
    COSTLY_OF_KEY,
    COSTLY_WAITING,
    EdgeSettings,
    create_app,
)
from taskrunner.service.auth import SigV4Authenticator
from taskrunner.service.auth_keys import ROLES, Key
from taskrunner.service.bodies import BODY_TIMEOUT_S, BodyRoom, body_limit
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.connections import most_connections
from taskrunner.service.handler import Handler
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.http_protocol import Patience
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.machine_keys import PATH
from taskrunner.wire.operations import OPERATIONS
from tests.protocol_document import codes_in, table
from tests.unit.service import asgi

MINUTE = timedelta(minutes=1)
OBJECTS = [
    {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
    {"id": "A", "type": "ShellCommandActivity", "command": "true", "maximumRetries": "0"},
]


def key(name: str, role: str, **more: Any) -> Key:
    given = {"user": name, "account": ANONYMOUS.account, "actions": ROLES[role], **more}
    return Key(id=f"AK{name.upper()}", secret=f"{name}-of-16-letters-and-more", **given)


KEYS = {
    **{role: key(role, role) for role in ROLES},
    "other runner": key("other", "runner"),
    "second key": key("rotated", "runner", user="runner"),
    "other account": key("foreign", "runner", account="111111111111", user="runner"),
    "one group": key("bound", "runner", worker_groups=frozenset({"mine"})),
}


class SkewedClock(SystemClock):
    """A service whose clock is ahead."""

    def __init__(self, by: timedelta) -> None:
        self.by = by

    def now(self) -> Any:
        return super().now() + self.by


@dataclass
class Desk:
    """A service with keys, asked as over HTTP."""

    world: ServiceInProcess

    def ask(
        self,
        operation: str,
        body: object = None,
        *,
        by: str | Key | None = "admin",
        headers: Mapping[str, str] | None = None,
        parts: Sequence[bytes] | None = None,
        handlers: Mapping[str, Handler] | None = None,
        settings: EdgeSettings | None = None,
        ahead: timedelta = timedelta(0),
        region: str = "us-east-1",
        host: str = asgi.HOST,
        stall: bool = False,
    ) -> asgi.Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        sent = {"host": host, **asgi.wire_headers(operation)}
        who = KEYS[by] if isinstance(by, str) else by
        auth = signature(who, sent, raw, region) if who else {}
        signed = {**sent, **auth, **(headers or {})}
        app = create_app(
            self.world.service,
            handlers=handlers or HANDLERS,
            authenticator=SigV4Authenticator(
                {k.id: k for k in KEYS.values()}, region="us-east-1", clock=SkewedClock(ahead)
            ),
            settings=settings,
        )

        async def main() -> asgi.Answer | None:
            async with asgi.started(app):
                caller = asgi.Caller(app)
                pieces = [raw] if parts is None else parts
                return await caller.ask(headers=signed, parts=() if stall else pieces)

        answer = asyncio.run(main())
        assert answer is not None
        return answer

    def run(self) -> str:
        return self.world.run(OBJECTS)

    def poll(self, by: str = "runner") -> str:
        """Take a task; returns its id."""
        answer = self.ask("PollForTask", {"workerGroup": "wg", "hostname": "h"}, by=by)
        task_id: str = answer.json["taskObject"]["taskId"]
        return task_id

    def ask_empty(self) -> bool:
        """Whether there is no task now."""
        settings = EdgeSettings(poll_hold_s=0.01)
        body = {"workerGroup": "wg"}
        return bool(self.ask("PollForTask", body, by="runner", settings=settings).json == {})

    def report(self, task_id: str, by: str = "runner") -> asgi.Answer:
        return self.ask("ReportTaskProgress", {"taskId": task_id}, by=by)

    def conclude(
        self, task_id: str, status: str = "FINISHED", by: str = "runner", **more: str
    ) -> asgi.Answer:
        body = {"taskId": task_id, "taskStatus": status, **more}
        answer = self.ask("SetTaskStatus", body, by=by)
        self.world.settle()
        return answer

    def taken(self) -> str:
        """A task that the runner has acknowledged."""
        self.run()
        task_id = self.poll()
        assert self.report(task_id).json == {"canceled": False}
        self.world.settle()
        return task_id

    def canceled(self) -> str:
        task_id = self.taken()
        (pipeline,) = [p.pipeline_id for p in self.world.service.pipelines(ANONYMOUS, None, 9)[0]]
        (instance,) = self.world.instances(pipeline)
        body = {"pipelineId": pipeline, "objectIds": [instance], "status": "CANCEL"}
        assert self.ask("SetStatus", body).status == 200
        self.world.settle()
        return task_id

    def handed_on(self) -> str:
        """A task that another runner has by now."""
        task_id = self.taken()
        self.world.advance(6 * MINUTE)
        assert self.poll("other runner") != task_id
        return task_id


def signature(who: Key, headers: Mapping[str, str], body: bytes, region: str) -> dict[str, str]:
    request = AWSRequest(
        method="POST",
        url=f"http://{headers['host']}/",
        headers={
            "Host": headers["host"],
            "X-Amz-Target": headers["x-amz-target"],
            # Minutes of the service's clock pass within a second here: this tells calls apart.
            "Amz-Sdk-Invocation-Id": str(uuid.uuid4()),
        },
        data=body,
    )
    SigV4Auth(Credentials(who.id, who.secret), "datapipeline", region).add_auth(request)
    return {
        name.lower(): value
        for name, value in request.headers.items()
        if name.lower() in {"authorization", "x-amz-date", "amz-sdk-invocation-id"}
    }


@pytest.fixture
def desk() -> Iterator[Desk]:
    with ServiceInProcess() as world:
        yield Desk(world)


Check = Callable[[Desk], None]


def fault(answer: asgi.Answer, code: str, status: int = 400) -> None:
    assert (answer.status, answer.json["__type"]) == (status, code), answer.json
    assert answer.json["message"]


# -- What the service says to a runner -------------------------------------------------------


def progress_of_ones_own(desk: Desk) -> None:
    task_id = desk.taken()
    for _ in range(3):
        desk.world.advance(4 * MINUTE)  # the lease is 5
        answer = desk.report(task_id)
        assert (answer.status, answer.json) == (200, {"canceled": False})


def progress_of_what_is_over(desk: Desk) -> None:
    for over in (desk.canceled, desk.handed_on):
        answer = desk.report(over())
        assert (answer.status, answer.json) == (200, {"canceled": True})
        desk.world.reset()


def progress_of_nothing(desk: Desk) -> None:
    same_answer(desk, desk.report)


def same_answer(desk: Desk, call: Callable[[str, str], asgi.Answer]) -> None:
    """Another user's task and one that never was: nothing tells one from the other."""
    task_id = desk.taken()
    for by in ("other runner", "other account", "admin"):
        answers = [call(asked, by) for asked in (task_id, "x" * len(task_id))]
        fault(answers[0], "TaskNotFoundException")
        assert answers[0].body == answers[1].body
        heads = [{k: v for k, v in a.headers.items() if "requestid" not in k} for a in answers]
        assert heads[0] == heads[1]
    assert desk.report(task_id, "second key").json == {"canceled": False}
    assert desk.conclude(task_id).status == 200


def verdict_of_ones_own(desk: Desk) -> None:
    task_id = desk.taken()
    answer = desk.conclude(task_id)
    assert (answer.status, answer.json) == (200, {})
    (pipeline,) = desk.world.service.pipelines(ANONYMOUS, None, 9)[0]
    assert list(desk.world.statuses(pipeline.pipeline_id).values()) == ["FINISHED"]


def verdict_again(desk: Desk) -> None:
    task_id = desk.taken()
    desk.conclude(task_id, "FAILED", errorId="E", errorMessage="why")
    (pipeline,) = desk.world.service.pipelines(ANONYMOUS, None, 9)[0]
    before = desk.world.attempts(pipeline.pipeline_id), desk.world.instances(pipeline.pipeline_id)
    desk.world.advance(MINUTE)
    again = desk.conclude(task_id, "FAILED", errorId="E", errorMessage="why")
    assert (again.status, again.json) == (200, {})
    after = desk.world.attempts(pipeline.pipeline_id), desk.world.instances(pipeline.pipeline_id)
    assert after == before


def verdict_changed(desk: Desk) -> None:
    task_id = desk.taken()
    desk.conclude(task_id)
    fault(desk.conclude(task_id, "FAILED", errorId="E"), "InvalidRequestException")


def verdict_of_what_is_over(desk: Desk) -> None:
    for over in (desk.canceled, desk.handed_on):
        fault(desk.conclude(over()), "TaskNotFoundException")
        desk.world.reset()
    same_answer(desk, lambda task_id, by: desk.conclude(task_id, "FAILED", by, errorId="E"))


TO_A_RUNNER: Mapping[tuple[str, str], Check] = {
    ("ReportTaskProgress", "is the runner's"): progress_of_ones_own,
    (
        "ReportTaskProgress",
        "was canceled, or handed out to another runner since",
    ): progress_of_what_is_over,
    ("ReportTaskProgress", "never was, or is another user's"): progress_of_nothing,
    ("SetTaskStatus", "is the runner's"): verdict_of_ones_own,
    ("SetTaskStatus", "was concluded with the same verdict"): verdict_again,
    ("SetTaskStatus", "was concluded with another verdict"): verdict_changed,
    (
        "SetTaskStatus",
        "was canceled, or handed out to another runner since, or never was, or is another user's",
    ): verdict_of_what_is_over,
}


@pytest.mark.parametrize("row", table("What the service says to a runner"), ids=" ".join)
def test_a_runner_is_told(desk: Desk, row: tuple[str, str, str]) -> None:
    TO_A_RUNNER[row[:2]](desk)


def test_hand_outs_that_nobody_keeps_are_handed_out_again_under_other_ids(desk: Desk) -> None:
    """The paragraph below the table: 2 minutes to acknowledge, 5 between reports."""
    desk.run()
    ids = [desk.poll()]
    desk.world.advance(1.9 * MINUTE)
    assert desk.ask_empty()
    desk.world.advance(0.2 * MINUTE)
    ids.append(desk.poll())
    assert desk.report(ids[0]).json == {"canceled": True}
    assert desk.report(ids[1]).json == {"canceled": False}
    desk.world.advance(4.9 * MINUTE)
    assert desk.ask_empty()
    desk.world.advance(0.2 * MINUTE)
    ids.append(desk.poll())
    assert len(set(ids)) == 3
    assert min(map(len, ids)) >= 22  # 128 bits in base64


def test_an_interrupted_verdict_costs_no_try(desk: Desk) -> None:
    """maximumRetries is 0: any other failure would be the end."""
    task_id = desk.taken()
    for _ in range(5):
        desk.conclude(task_id, "FAILED", errorId="TaskRunner.Interrupted")
        task_id = desk.poll()
        desk.report(task_id)
    desk.conclude(task_id)
    (pipeline,) = desk.world.service.pipelines(ANONYMOUS, None, 9)[0]
    assert list(desk.world.statuses(pipeline.pipeline_id).values()) == ["FINISHED"]


# -- Errors that any call may give ------------------------------------------------------------


def invalid(desk: Desk) -> None:
    fault(desk.ask("CreatePipeline", {"uniqueId": "u"}), "InvalidRequestException")
    pipeline = desk.world.put(OBJECTS)
    fault(desk.ask("DeactivatePipeline", {"pipelineId": pipeline}), "InvalidRequestException")


def no_such_pipeline(desk: Desk) -> None:
    pipeline = desk.world.put(OBJECTS)
    body = {"pipelineId": pipeline}
    foreign = replace(KEYS["other account"], actions=ROLES["admin"])
    KEYS["foreign admin"] = foreign = replace(foreign, id="AKFOREIGNADMIN")
    fault(desk.ask("GetPipelineDefinition", body, by=foreign), "PipelineNotFoundException")
    body = {"pipelineId": "df-NEVER"}
    fault(desk.ask("GetPipelineDefinition", body), "PipelineNotFoundException")
    desk.ask("DeletePipeline", {"pipelineId": pipeline})
    body = {"pipelineId": pipeline}
    fault(desk.ask("GetPipelineDefinition", body), "PipelineDeletedException")


def no_such_task(desk: Desk) -> None:
    fault(desk.report("never"), "TaskNotFoundException")
    fault(desk.conclude(desk.handed_on()), "TaskNotFoundException")


def not_the_json(desk: Desk) -> None:
    for body in (b"{", b"[]", b"\xff", b'{"name": 1, "uniqueId": "u"}'):
        fault(desk.ask("CreatePipeline", body), "SerializationException")
    html = {"content-type": "text/html"}
    fault(desk.ask("ListPipelines", headers=html), "SerializationException")


def no_operation(desk: Desk) -> None:
    for target in ("DataPipeline.Nope", "DynamoDB_20120810.ListTables", ""):
        answer = desk.ask("ListPipelines", headers={"x-amz-target": target})
        fault(answer, "UnknownOperationException")


def not_signed(desk: Desk) -> None:
    answer = desk.ask("ListPipelines", by=None)
    fault(answer, "MissingAuthenticationTokenException")
    for header in ("Bearer x", "AWS4-HMAC-SHA256 Credential=x"):
        answer = desk.ask("ListPipelines", headers={"authorization": header})
        fault(answer, "IncompleteSignatureException")


def badly_signed(desk: Desk) -> None:
    unknown = replace(KEYS["admin"], id="AKNOBODY")
    wrong = replace(KEYS["admin"], secret="wrong-but-long-enough")
    answers = [desk.ask("ListPipelines", by=who) for who in (unknown, wrong)]
    assert answers[0].json["message"] == answers[1].json["message"]
    fault(answers.pop(0), "UnrecognizedClientException")
    answers.append(desk.ask("ListPipelines", parts=[b'{"marker": "x"}']))
    answers.append(desk.ask("ListPipelines", ahead=6 * MINUTE))
    answers.append(desk.ask("ListPipelines", ahead=-6 * MINUTE))
    answers.append(desk.ask("ListPipelines", region="eu-west-1"))
    for answer in answers:
        fault(answer, "InvalidSignatureException")
    assert desk.ask("ListPipelines", ahead=4 * MINUTE).status == 200


def not_allowed(desk: Desk) -> None:
    fault(desk.ask("CreatePipeline", by="runner"), "AccessDeniedException")
    answer = desk.ask("PollForTask", {"workerGroup": "theirs"}, by="one group")
    fault(answer, "AccessDeniedException")


@pytest.mark.parametrize(
    ("who", "ahead", "code"),
    [
        (replace(KEYS["admin"], id="AKNOBODY"), 0 * MINUTE, "UnrecognizedClientException"),
        (KEYS["admin"], 6 * MINUTE, "InvalidSignatureException"),
        (None, 0 * MINUTE, "MissingAuthenticationTokenException"),
    ],
)
def test_nobody_is_waited_for_whose_headers_cannot_be_right(
    desk: Desk, who: Key | None, ahead: timedelta, code: str
) -> None:
    answer = desk.ask("PutPipelineDefinition", by=who, ahead=ahead, stall=True)
    fault(answer, code)
    assert answer.headers["connection"] == "close"
    # A known key and a signature that may be right are waited for.
    settings = EdgeSettings(body_timeout_s=0.05)
    fault(desk.ask("ListPipelines", stall=True, settings=settings), "RequestTimeoutException", 408)


def too_many_polls(desk: Desk) -> None:
    """One connection may hold no poll, nor two; four are enough for two."""
    body = {"workerGroup": "wg"}
    settings = EdgeSettings(poll_hold_s=0.01, connections=1)
    fault(desk.ask("PollForTask", body, settings=settings), "ThrottlingException")
    settings = EdgeSettings(poll_hold_s=0.01, connections=4)
    assert desk.ask("PollForTask", body, settings=settings).json == {}


def our_own_failure(desk: Desk) -> None:
    for error in (RuntimeError("secret detail"), StoreError("the disk is full")):

        def broken(*_: object, error: Exception = error) -> object:
            raise error

        answer = desk.ask("ListPipelines", handlers={"ListPipelines": broken})
        fault(answer, "InternalServiceError", 500)
        assert str(error) not in answer.json["message"]


ERRORS: Mapping[str, Check] = {
    "InvalidRequestException": invalid,
    "PipelineNotFoundException": no_such_pipeline,
    "PipelineDeletedException": no_such_pipeline,
    "TaskNotFoundException": no_such_task,
    "SerializationException": not_the_json,
    "UnknownOperationException": no_operation,
    "MissingAuthenticationTokenException": not_signed,
    "IncompleteSignatureException": not_signed,
    "UnrecognizedClientException": badly_signed,
    "InvalidSignatureException": badly_signed,
    "AccessDeniedException": not_allowed,
    "ThrottlingException": too_many_polls,
    "InternalServiceError": our_own_failure,
}
ERROR_ROWS = [
    (code, row[1]) for row in table("Errors that any call may give") for code in codes_in(row[0])
]


@pytest.mark.parametrize(("code", "status"), ERROR_ROWS)
def test_errors_are_as_listed(desk: Desk, code: str, status: str) -> None:
    assert status == ("500" if code == "InternalServiceError" else "400")
    ERRORS[code](desk)


def test_every_error_that_is_tested_is_listed() -> None:
    assert {code for code, _ in ERROR_ROWS} == ERRORS.keys()


# -- On the wire: shape and limits ------------------------------------------------------------


def request_shape(desk: Desk) -> None:
    assert desk.ask("ListPipelines").status == 200


def reply_shape(desk: Desk) -> None:
    pipeline = desk.run()
    assert desk.ask("ListPipelines").json["pipelineIdList"]
    instance = next(iter(desk.world.instances(pipeline)))
    body = {"pipelineId": pipeline, "objectIds": [instance], "status": "CANCEL"}
    for operation in ("SetStatus", "DeletePipeline"):
        answer = desk.ask(operation, body)
        assert (answer.status, answer.body) == (200, b"")


def error_shape(desk: Desk) -> None:
    invalid(desk)
    our_own_failure(desk)


def request_id(desk: Desk) -> None:
    answers = [desk.ask("ListPipelines"), desk.ask("Nope"), desk.ask("ListPipelines", by="runner")]
    ids = {answer.headers["x-amzn-requestid"] for answer in answers}
    assert len(ids) == 3


def health(desk: Desk) -> None:
    app = create_app(
        desk.world.service,
        handlers=HANDLERS,
        authenticator=SigV4Authenticator({}, region="us-east-1", clock=SystemClock()),
    )
    for path in ("/livez", "/ping"):
        answer = asgi.get(app, path)
        assert (answer.status, answer.body.strip()) == (200, b"ok")


def keys_of_instances(desk: Desk) -> None:
    """Here no rule makes instances: nobody can ask for a key. With one: test_machine_keys.py."""
    app = create_app(
        desk.world.service,
        handlers=HANDLERS,
        authenticator=SigV4Authenticator({}, region="us-east-1", clock=SystemClock()),
    )
    assert asgi.get(app, PATH, method="POST").status == 404


WIRE: Mapping[str, Check] = {
    "Request": request_shape,
    "Reply": reply_shape,
    "Error": error_shape,
    "Every reply": request_id,
    "Health": health,
    "Keys of instances": keys_of_instances,
}


@pytest.mark.parametrize("row", [row[0] for row in table("On the wire", 1)])
def test_the_wire_is_as_described(desk: Desk, row: str) -> None:
    WIRE[row](desk)


def long_bodies(desk: Desk) -> None:
    for operation in ("PutPipelineDefinition", "ValidatePipelineDefinition"):
        assert body_limit(operation) == 5 * 1024 * 1024
        fault(too_long(desk, operation), "RequestEntityTooLargeException", 413)


def expressions(desk: Desk) -> None:
    assert body_limit("EvaluateExpression") == 64 * 1024
    fault(too_long(desk, "EvaluateExpression"), "RequestEntityTooLargeException", 413)


def other_bodies(desk: Desk) -> None:
    long = {"PutPipelineDefinition", "ValidatePipelineDefinition", "EvaluateExpression"}
    for operation in OPERATIONS.keys() - long:
        assert body_limit(operation) == 1024 * 1024
    fault(too_long(desk, "SetTaskStatus"), "RequestEntityTooLargeException", 413)


def too_long(desk: Desk, operation: str) -> asgi.Answer:
    # Just the limit is read, and refused only for what it says.
    limit = body_limit(operation)
    assert desk.ask(operation, b" " * limit).json["__type"] == "SerializationException"
    return desk.ask(operation, b" " * (limit + 1))


def slow_bodies(desk: Desk) -> None:
    assert BODY_TIMEOUT_S == 30
    settings = EdgeSettings(body_timeout_s=0.05)
    answer = desk.ask("ListPipelines", stall=True, settings=settings)
    fault(answer, "RequestTimeoutException", 408)


def many_expressions(desk: Desk) -> None:
    pipeline = desk.world.put(OBJECTS)
    text = "plain #{" + "+".join(["1"] * 5_000) + "}"
    fields = [{"key": f"x{number}", "stringValue": text} for number in range(51)]
    objects = [{"id": "A", "name": "A", "fields": fields}]
    body = {"pipelineId": pipeline, "pipelineObjects": objects}
    for operation in ("PutPipelineDefinition", "ValidatePipelineDefinition"):
        answer = desk.ask(operation, body)
        fault(answer, "InvalidRequestException")
        assert "500000" in answer.json["message"]


def many_bodies(desk: Desk) -> None:
    """That the slowest goes is tested beside the module."""
    room = BodyRoom()
    body = room.enter("a")
    room.take(body, 32 * 1024 * 1024)
    assert not body.crowded_out


def patience(desk: Desk) -> None:
    """That connections are closed is tested with real ones."""
    assert Patience() == Patience(headers_s=10, reply_s=30)


def connections(desk: Desk) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most_connections() == min(10_000, limit - max(128, limit // 8))


def costly_calls(desk: Desk) -> None:
    """How many wait of one key and of all is tested beside the module."""
    assert sorted(COSTLY) == ["EvaluateExpression", "ValidatePipelineDefinition"]
    assert [COSTLY_AT_ONCE, COSTLY_OF_KEY, COSTLY_WAITING] == [2, 8, 32]


def shares(desk: Desk) -> None:
    too_many_polls(desk)


def poll_hold(desk: Desk) -> None:
    assert EdgeSettings().poll_hold_s == 85
    settings = EdgeSettings(poll_hold_s=0.05)
    answer = desk.ask("PollForTask", {"workerGroup": "wg"}, settings=settings)
    assert (answer.status, answer.json) == (200, {})


def host_header(desk: Desk) -> None:
    for host in ("localhost", "127.0.0.1:1", "[::1]:8", "10.1.2.3", "known.example"):
        settings = EdgeSettings(host_names=("known.example",))
        assert desk.ask("ListPipelines", host=host, settings=settings).status == 200
    answer = desk.ask("ListPipelines", host="evil.example")
    fault(answer, "MisdirectedRequestException", 421)


LIMITS: Mapping[str, Check] = {
    "Body of PutPipelineDefinition, ValidatePipelineDefinition": long_bodies,
    "Body of EvaluateExpression": expressions,
    "Body of any other call": other_bodies,
    "Expressions of a definition that is put or validated": many_expressions,
    "Time for headers to arrive": patience,
    "Time for a body to arrive": slow_bodies,
    "Bodies that are on their way in or not authenticated yet": many_bodies,
    "Time for a reply to be taken": patience,
    "Connections": connections,
    "Hold of PollForTask": poll_hold,
    "Polls held of one key; of all keys": shares,
    "EvaluateExpression, ValidatePipelineDefinition": costly_calls,
    "`Host` header": host_header,
}


@pytest.mark.parametrize("row", [row[0] for row in table("On the wire", 2)])
def test_limits_are_as_listed(desk: Desk, row: str) -> None:
    LIMITS[row](desk)


# -- Who may call ------------------------------------------------------------------------------

#: What the words of the table stand for.
WORDS: Mapping[str, set[str]] = {
    "poll": {"PollForTask"},
    "report": {"ReportTaskProgress", "ReportTaskRunnerHeartbeat"},
    "conclude": {"SetTaskStatus"},
    "look at objects": {"DescribeObjects", "QueryObjects"},
    "evaluate expressions": {"EvaluateExpression"},
    "list": {"ListPipelines"},
    "describe": {"DescribePipelines", "DescribeObjects"},
    "query": {"QueryObjects"},
    "get": {"GetPipelineDefinition"},
    "validate definitions": {"ValidatePipelineDefinition"},
    "activate": {"ActivatePipeline"},
    "deactivate": {"DeactivatePipeline"},
    "SetStatus": {"SetStatus"},
    "create": {"CreatePipeline"},
    "put": {"PutPipelineDefinition"},
    "tag": {"AddTags", "RemoveTags"},
    "delete": {"DeletePipeline"},
    "everything": set(OPERATIONS),
}


def documented_roles() -> dict[str, set[str]]:
    roles: dict[str, set[str]] = {}
    before: set[str] = set()
    for name, words in table("Who may call"):
        may: set[str] = set()
        for word in words.replace(" and ", ", ").replace(";", ",").split(","):
            may |= before if word.strip() == "the same" else WORDS.get(word.strip(), set())
            assert word.strip() in {"", "the same", *WORDS}, f"{name}: {word!r} has no meaning here"
        roles[name.strip("`")] = before = may
    return roles


DOCUMENTED = documented_roles()


def test_every_role_is_documented() -> None:
    assert {name: set(may) for name, may in ROLES.items()} == DOCUMENTED


@pytest.mark.parametrize("role", DOCUMENTED)
def test_every_operation_by_every_role(desk: Desk, role: str) -> None:
    """Nothing is asked for in earnest: whoever may call is told that something is missing."""
    settings = EdgeSettings(poll_hold_s=0.01)
    for operation in OPERATIONS:
        answer = desk.ask(operation, {}, by=role, settings=settings)
        code = answer.json.get("__type") if answer.body else None
        assert (code == "AccessDeniedException") == (operation not in DOCUMENTED[role]), operation

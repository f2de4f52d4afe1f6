"""A second copy of a signed call has no second effect, on either store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.clock import SystemClock
from taskrunner.errors import StoreError
from taskrunner.service import replays
from taskrunner.service.app import EdgeSettings, create_app
from taskrunner.service.auth import SigV4Authenticator
from taskrunner.service.auth_keys import ROLES, Key
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.handler import Handler
from taskrunner.service.handlers import HANDLERS
from taskrunner.service.replays import REMEMBERED, REPORTS, Replays
from taskrunner.service.store.tables import answered_calls, handouts
from taskrunner.testing import ServiceInProcess
from taskrunner.wire.faults import Throttled
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.operations import OPERATIONS
from taskrunner.wire.signing import SigV4Signer
from tests.unit.service import asgi

KEY = Key(
    id="AKADMIN",
    secret="admin-secret-admin-secret",
    user="admin",
    account=ANONYMOUS.account,
    actions=ROLES["admin"],
)
OBJECTS = [
    {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
    {"id": "A", "type": "ShellCommandActivity", "command": "true"},
]
READS = {
    "DescribeObjects",
    "DescribePipelines",
    "EvaluateExpression",
    "GetPipelineDefinition",
    "ListPipelines",
    "QueryObjects",
    "ValidatePipelineDefinition",
}


@dataclass(frozen=True, slots=True)
class Signed:
    """A request as it went over the line, to be sent any number of times."""

    headers: Mapping[str, str]
    body: bytes


def signed(operation: str, **body: Any) -> Signed:
    raw = json.dumps(body).encode()
    headers = {"host": asgi.HOST, **asgi.wire_headers(operation)}
    signer = SigV4Signer(FixedKeys(Keys(KEY.id, KEY.secret)), "us-east-1", SystemClock())
    return Signed(signer.sign(HttpRequest(headers=headers, body=raw)), raw)


@dataclass
class Line:
    """A service with one key, and copies of requests to it."""

    world: ServiceInProcess
    handlers: Mapping[str, Handler] = field(default_factory=lambda: HANDLERS)

    def send(self, *requests: Signed, hold_s: float = 0.01) -> list[asgi.Answer]:
        """Send requests to a process of the service, one after the other."""
        app = create_app(
            self.world.service,
            handlers=self.handlers,
            authenticator=SigV4Authenticator(
                {KEY.id: KEY}, region="us-east-1", clock=SystemClock()
            ),
            settings=EdgeSettings(poll_hold_s=hold_s),
        )

        async def main() -> list[asgi.Answer]:
            async with asgi.started(app):
                answers = []
                for request in requests:
                    answer = await asgi.Caller(app).ask(
                        headers=request.headers, parts=[request.body]
                    )
                    assert answer is not None
                    answers.append(answer)
                    self.world.settle()
                return answers

        return asyncio.run(main())

    def call(self, operation: str, **body: Any) -> asgi.Answer:
        (answer,) = self.send(signed(operation, **body))
        assert answer.status == 200, answer.body
        return answer

    def made(self) -> str:
        """A pipeline with a definition."""
        made: str = self.call("CreatePipeline", name="p", uniqueId="u").json["pipelineId"]
        self.put(made, "true")
        return made

    def put(self, pipeline: str, command: str) -> None:
        self.send(put(pipeline, command))

    def running(self) -> str:
        made = self.made()
        self.call("ActivatePipeline", pipelineId=made)
        return made

    def command(self, pipeline: str) -> str:
        (found,) = [
            f.value
            for o in self.world.service.definition(pipeline).objects
            for f in o.fields
            if f.key == "command"
        ]
        return str(found)

    def rows(self) -> int:
        with self.world.service.store.read() as conn:
            return len(conn.execute(answered_calls.select()).all())


def put(pipeline: str, command: str) -> Signed:
    fields = [
        {"key": "type", "stringValue": "ShellCommandActivity"},
        {"key": "command", "stringValue": command},
    ]
    default = [
        {"key": "scheduleType", "stringValue": "ondemand"},
        {"key": "workerGroup", "stringValue": "wg"},
    ]
    objects = [
        {"id": "Default", "name": "Default", "fields": default},
        {"id": "A", "name": "A", "fields": fields},
    ]
    return signed("PutPipelineDefinition", pipelineId=pipeline, pipelineObjects=objects)


@pytest.fixture
def line(database_url: str) -> Iterator[Line]:
    with ServiceInProcess(database_url=database_url) as world:
        yield Line(world)


def test_every_operation_is_provided_for() -> None:
    fenced = {"SetTaskStatus", "PollForTask"}
    assert REMEMBERED | REPORTS | READS | fenced == OPERATIONS.keys()
    assert len(REMEMBERED) + len(REPORTS) + len(READS) + len(fenced) == len(OPERATIONS)


# -- one effect ----------------------------------------------------------------------------------


def activate(line: Line) -> tuple[Signed, Callable[[], object]]:
    pipeline = line.made()
    return signed("ActivatePipeline", pipelineId=pipeline), lambda: len(
        line.world.instances(pipeline)
    )


def change(line: Line) -> tuple[Signed, Callable[[], object]]:
    pipeline = line.made()
    return put(pipeline, "false"), lambda: line.world.service.pipeline(pipeline).latest_version


def deactivate(line: Line) -> tuple[Signed, Callable[[], object]]:
    """A pipeline that was set going again since is not stopped again."""
    pipeline = line.running()
    return signed(
        "DeactivatePipeline", pipelineId=pipeline
    ), lambda: line.world.service.pipeline(pipeline).state


def rerun(line: Line) -> tuple[Signed, Callable[[], object]]:
    other = {"id": "B", "type": "ShellCommandActivity", "command": "true"}
    pipeline = line.world.run([*OBJECTS, other])
    instance = min(line.world.instances(pipeline))
    body = {"pipelineId": pipeline, "objectIds": [instance], "status": "RERUN"}
    line.call("SetStatus", **{**body, "status": "CANCEL"})
    return signed("SetStatus", **body), lambda: line.world.statuses(pipeline)


def tags(line: Line) -> tuple[Signed, Callable[[], object]]:
    pipeline = line.made()
    request = signed("AddTags", pipelineId=pipeline, tags=[{"key": "a", "value": "1"}])
    return request, lambda: line.world.service.pipeline(pipeline).tags


def no_tags(line: Line) -> tuple[Signed, Callable[[], object]]:
    pipeline = line.made()
    line.call("AddTags", pipelineId=pipeline, tags=[{"key": "a", "value": "1"}])
    request = signed("RemoveTags", pipelineId=pipeline, tagKeys=["a"])
    return request, lambda: line.world.service.pipeline(pipeline).tags


def create(line: Line) -> tuple[Signed, Callable[[], object]]:
    def names() -> int:
        return len(line.world.service.pipelines(ANONYMOUS, None, 100)[0])

    return signed("CreatePipeline", name="n", uniqueId="u"), names


def delete(line: Line) -> tuple[Signed, Callable[[], object]]:
    pipeline = line.made()

    def names() -> int:
        return len(line.world.service.pipelines(ANONYMOUS, None, 100)[0])

    return signed("DeletePipeline", pipelineId=pipeline), names


CHANGES = [activate, change, deactivate, rerun, tags, no_tags, create, delete]


@pytest.mark.parametrize("prepare", CHANGES)
def test_a_copy_is_answered_as_the_first_was_and_changes_nothing(
    line: Line, prepare: Callable[[Line], tuple[Signed, Callable[[], object]]]
) -> None:
    request, effect = prepare(line)
    before = effect()

    (first,) = line.send(request)
    once = effect()
    line.world.reopen()
    copies = line.send(request, request)

    assert first.status == 200
    assert once != before
    assert [(copy.status, copy.body) for copy in copies] == [(200, first.body)] * 2
    assert effect() == once


def test_with_the_defence_off_a_pipeline_runs_three_times(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "REMEMBERED", frozenset())
    request, effect = activate(line)

    for _ in range(3):
        line.send(request)
        line.world.advance(timedelta(minutes=1))

    assert effect() == 3


def test_an_old_definition_is_not_restored(line: Line) -> None:
    pipeline = line.made()
    old, new = put(pipeline, "old"), put(pipeline, "new")

    _, _, copy = line.send(old, new, old)

    assert copy.json["__type"] == "ThrottlingException"
    assert line.command(pipeline) == "new"


def test_with_the_defence_off_an_old_definition_is_restored(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "REMEMBERED", frozenset())
    pipeline = line.made()
    old, new = put(pipeline, "old"), put(pipeline, "new")

    line.send(old, new, old)

    assert line.command(pipeline) == "old"


def test_the_same_call_signed_anew_is_a_new_call(line: Line) -> None:
    pipeline = line.made()

    line.put(pipeline, "same")
    line.put(pipeline, "same")

    assert line.world.service.pipeline(pipeline).latest_version == 3


def test_a_call_that_was_refused_may_be_made_again(line: Line) -> None:
    pipeline = line.made()
    request = signed("DeactivatePipeline", pipelineId=pipeline)

    (refused,) = line.send(request)
    line.call("ActivatePipeline", pipelineId=pipeline)
    (done,) = line.send(request)

    assert refused.json["__type"] == "InvalidRequestException"
    assert done.status == 200


def test_a_call_that_failed_may_be_made_again(line: Line) -> None:
    failures = [StoreError("the disk is full")]

    def flaky(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return HANDLERS["CreatePipeline"](*arguments)

    line.handlers = {"CreatePipeline": flaky}
    request = signed("CreatePipeline", name="n", uniqueId="u")

    first, second = line.send(request, request)

    assert (first.status, second.status) == (500, 200)


def test_a_copy_waits_while_the_first_is_under_way(line: Line) -> None:
    request = signed("CreatePipeline", name="n", uniqueId="u")
    permit = authenticator().authenticate(HttpRequest(headers=request.headers, body=request.body))
    elsewhere = Replays(lambda: line.world.service.store)
    refused = []

    def meanwhile(*arguments: Any) -> Any:
        assert permit.proof is not None
        with pytest.raises(Throttled, match="is being answered") as caught:
            elsewhere.answer(permit.proof, "CreatePipeline", None, lambda: b"twice")
        refused.append(caught.value)
        return HANDLERS["CreatePipeline"](*arguments)

    line.handlers = {"CreatePipeline": meanwhile}
    (first,) = line.send(request)

    assert first.status == 200
    assert len(refused) == 1


def authenticator() -> SigV4Authenticator:
    return SigV4Authenticator({KEY.id: KEY}, region="us-east-1", clock=SystemClock())


# -- polls ---------------------------------------------------------------------------------------


def poll() -> Signed:
    return signed("PollForTask", workerGroup="wg", hostname="h")


def test_a_copy_of_a_poll_brings_the_same_task_until_it_is_acknowledged(line: Line) -> None:
    line.running()
    request = poll()

    (first,) = line.send(request)
    task_id = first.json["taskObject"]["taskId"]
    line.world.reopen()
    (copy,) = line.send(request)
    line.call("ReportTaskProgress", taskId=task_id)
    (late,) = line.send(request)

    assert copy.body == first.body
    assert (late.status, late.json) == (200, {})


def test_a_copy_of_a_poll_brings_no_other_task(line: Line) -> None:
    line.running()
    request = poll()
    line.send(request)
    line.world.run(OBJECTS)

    (copy,) = line.send(request)
    (other,) = line.send(poll())

    assert other.json["taskObject"]["taskId"] != copy.json["taskObject"]["taskId"]


def test_a_copy_of_an_empty_poll_is_empty(line: Line) -> None:
    """Whoever was told that there is nothing does not learn by a copy what has come since."""
    pipeline = line.made()
    request = poll()

    def activated(*arguments: Any) -> Any:
        line.world.service.activate(pipeline)
        return HANDLERS["ListPipelines"](*arguments)

    line.handlers = {**HANDLERS, "ListPipelines": activated}
    first, _, copy = line.send(request, signed("ListPipelines"), request)
    (new,) = line.send(poll())

    assert (first.json, copy.json) == ({}, {})
    assert new.json["taskObject"]


def test_with_the_defence_off_a_copy_of_a_poll_brings_another_task(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Replays, "begin_poll", lambda _self, _proof: True)
    monkeypatch.setattr(Replays, "brought", lambda _self, _proof: None)
    monkeypatch.setattr(Replays, "keep_hand_out", lambda *_given: None)
    line.running()
    line.world.run(OBJECTS)
    request = poll()

    first, copy = line.send(request, request)

    assert first.json["taskObject"]["taskId"] != copy.json["taskObject"]["taskId"]


def test_for_a_copy_that_another_process_has_answered_nothing_is_handed_out(line: Line) -> None:
    """Two processes hold copies of one poll: only one of them brings a task."""
    line.running()
    line.world.run(OBJECTS)
    request = poll()
    permit = authenticator().authenticate(HttpRequest(headers=request.headers, body=request.body))
    assert permit.proof is not None
    elsewhere = Replays(lambda: line.world.service.store)
    taken = line.world.service.claim("wg")
    assert taken is not None

    def claim_meanwhile(*arguments: Any) -> Any:
        assert permit.proof is not None
        with line.world.service.store.write() as conn:
            elsewhere.keep_hand_out(conn, permit.proof, taken.task_id, b"{}")
        return HANDLERS["PollForTask"](*arguments)

    line.handlers = {"PollForTask": claim_meanwhile}
    (copy,) = line.send(request)
    line.handlers = HANDLERS

    assert copy.json == {}
    assert handed_out(line) == [taken.task_id]
    (other,) = line.send(poll())
    assert other.json["taskObject"]["taskId"] != taken.task_id


def handed_out(line: Line) -> list[str]:
    with line.world.service.store.read() as conn:
        return list(conn.execute(sa.select(handouts.c.task_id)).scalars())


def test_a_hand_out_and_its_answer_are_one_commit(line: Line) -> None:
    """What is handed out can be answered to a copy, wherever the process may have died."""
    line.running()
    store = line.world.service.store

    def failed(_self: Replays, conn: Connection, *_given: object) -> None:
        assert conn.execute(sa.select(handouts.c.task_id)).first() is not None
        raise StoreError("the power goes")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Replays, "keep_hand_out", failed)
        (answer,) = line.send(poll())
    assert answer.status == 500
    assert handed_out(line) == []
    (again,) = line.send(poll())
    assert handed_out(line) == [again.json["taskObject"]["taskId"]]
    assert store.trouble is None


def test_a_copy_of_a_report_does_not_lengthen_the_lease(line: Line) -> None:
    line.running()
    (answer,) = line.send(poll())
    task_id = answer.json["taskObject"]["taskId"]
    report = signed("ReportTaskProgress", taskId=task_id)
    calls = []

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return HANDLERS["ReportTaskProgress"](*arguments)

    line.handlers = {"ReportTaskProgress": counted}
    first, copy = line.send(report, report)

    assert first.body == copy.body
    assert len(calls) == 1


# -- what is kept has an end -----------------------------------------------------------------------


def test_what_was_answered_is_kept_as_long_as_the_signature_is_good(line: Line) -> None:
    line.made()
    assert line.rows() == 2
    kept = Replays(lambda: line.world.service.store)
    now = SystemClock().now()

    kept.remove_old(now + timedelta(minutes=5))
    assert line.rows() == 2
    kept.remove_old(now + timedelta(minutes=7))
    assert line.rows() == 0


def test_reads_and_polls_without_a_task_leave_nothing(line: Line) -> None:
    line.send(signed("ListPipelines"), poll())

    assert line.rows() == 0

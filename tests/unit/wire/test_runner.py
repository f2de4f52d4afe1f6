from __future__ import annotations

import json
import threading

import pytest

from taskrunner.errors import ServiceUnreachable
from taskrunner.wire.api import InstanceIdentity, Verdict
from taskrunner.wire.budgets import BUDGETS
from taskrunner.wire.http import HttpReply, HttpRequest
from taskrunner.wire.runner import RunnerApi, fitted
from tests.unit.wire.fakes import client_answering


def test_a_poll_says_who_asks_for_what_within_its_deadline() -> None:
    client, transport = client_answering(lambda _request: HttpReply(status=200, body=b"{}"))
    known = [None, InstanceIdentity(document="d", signature="s")]
    runner = RunnerApi(client.call, identity=lambda: known.pop(0))

    runner.poll_for_task(worker_group="g", hostname="h")
    task = runner.poll_for_task(worker_group="g", hostname="h")

    assert "instanceIdentity" not in json.loads(transport.sent[0][0].body)
    request, deadline_s = transport.sent[1]
    assert task is None
    assert deadline_s == BUDGETS["PollForTask"].deadline_s > 90
    assert request.headers["x-amz-target"] == "DataPipeline.PollForTask"
    assert request.headers["host"] == "127.0.0.1:8484"
    assert json.loads(request.body) == {
        "workerGroup": "g",
        "hostname": "h",
        "instanceIdentity": {"document": "d", "signature": "s"},
    }


def test_progress_heartbeat_and_verdict_return_what_the_service_says() -> None:
    replies = {
        "ReportTaskProgress": b'{"canceled":true}',
        "ReportTaskRunnerHeartbeat": b'{"terminate":true}',
        "SetTaskStatus": b"{}",
    }
    client, transport = client_answering(
        lambda request: HttpReply(
            status=200, body=replies[request.headers["x-amz-target"].partition(".")[2]]
        )
    )
    runner = RunnerApi(client.call)

    assert runner.report_task_progress("t", {"rows": "5"}) is True
    assert runner.report_task_runner_heartbeat(taskrunner_id="r", worker_group="g", hostname="h")
    runner.set_task_status("t", Verdict(status="FAILED", error_id="E", error_message="m"))

    assert json.loads(transport.sent[0][0].body)["fields"] == [{"key": "rows", "stringValue": "5"}]
    assert json.loads(transport.sent[2][0].body) == {
        "taskId": "t",
        "taskStatus": "FAILED",
        "errorId": "E",
        "errorMessage": "m",
    }


def test_a_verdict_fits_the_api_whatever_the_task_printed() -> None:
    client, transport = client_answering(lambda _request: HttpReply(status=200, body=b"{}"))
    trace = "first line\x1b[31m\x00\n" + "x" * 5000 + "\nValueError: the cause"

    RunnerApi(client.call).set_task_status("t", Verdict(status="FAILED", error_stack_trace=trace))

    sent = json.loads(transport.sent[0][0].body)["errorStackTrace"]
    assert len(sent) == 1024
    assert sent.startswith("first line\ufffd[31m\ufffd\n")
    assert sent.endswith("ValueError: the cause")


def test_text_within_the_bounds_is_sent_as_it_is() -> None:
    assert fitted("é\t\r\n😀", "string") == "é\t\r\n😀"


def test_a_task_beyond_all_bounds_is_an_answer_that_is_none() -> None:
    task = {"taskId": "t" * 3000, "pipelineId": "df-1", "attemptId": "a", "objects": {}}
    body = json.dumps({"taskObject": task}).encode()
    client, _ = client_answering(lambda _request: HttpReply(status=200, body=body))

    with pytest.raises(ServiceUnreachable, match="sent a task that is not taken: a taskId of 3000"):
        RunnerApi(client.call).poll_for_task(worker_group="g", hostname="h")


def test_only_a_poll_under_way_is_given_up_and_by_whatever_call_it_is_made() -> None:
    given_up: list[int] = []

    def answer(_request: HttpRequest) -> HttpReply:
        runner.give_up_poll("other")
        runner.give_up_poll("g")
        return HttpReply(status=200, body=b"{}")

    client, _ = client_answering(answer)
    runner = RunnerApi(client.call, give_up=given_up.append).over(client.call)
    runner.poll_for_task(worker_group="g", hostname="h")
    runner.give_up_poll("g")

    assert given_up == [threading.get_ident()]

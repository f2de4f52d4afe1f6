from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.model.document import (
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
    Ref,
)
from taskrunner.model.task import Task
from taskrunner.wire.api import InstanceIdentity, Request
from taskrunner.wire.codec import decode_input, decode_output, encode_input, encode_output
from taskrunner.wire.decoding import Malformed
from taskrunner.wire.faults import BadSerialization, UnknownOperation
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    CreatePipelineInput,
    DeactivatePipelineInput,
    PutPipelineDefinitionInput,
    QueryObjectsInput,
)
from taskrunner.wire.runner_messages import PollForTaskInput, PollForTaskOutput, SetTaskStatusInput
from taskrunner.wire.structures import Operator, Query, Selector, Tag

PUT = PutPipelineDefinitionInput(
    pipeline_id="df-1",
    pipeline_objects=(
        PipelineObject(
            id="Copy",
            name="copy it",
            fields=(Field("type", "CopyActivity"), Field("input", Ref("In")), Field("x", "é\n😀")),
        ),
    ),
    parameter_objects=(ParameterObject(id="myP", attributes=(("type", "String"),)),),
    parameter_values=(ParameterValue(id="myP", value="v"),),
)
TASK = Task(
    task_id="t",
    pipeline_id="df-1",
    attempt_id="@A_Attempt=1",
    objects={"@A_Attempt=1": PipelineObject(id="@A_Attempt=1", name="A", fields=())},
)


def decoded(operation: str, body: object) -> object:
    return decode_input(operation, json.dumps(body).encode())


def refusal(operation: str, body: object) -> str:
    with pytest.raises(InvalidRequest) as caught:
        decoded(operation, body)
    return str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [
        PUT,
        CreatePipelineInput(name="n", unique_id="u", tags=(Tag("k", ""),)),
        DeactivatePipelineInput(pipeline_id="df-1", cancel_active=False),
        ActivatePipelineInput(
            pipeline_id="df-1", start_timestamp=datetime(2026, 2, 13, 2, tzinfo=UTC)
        ),
        QueryObjectsInput(
            pipeline_id="df-1",
            sphere="INSTANCE",
            limit=5,
            query=Query(
                selectors=(
                    Selector(
                        field_name="@status", operator=Operator(type="EQ", values=("FAILED",))
                    ),
                )
            ),
        ),
    ],
)
def test_requests_come_back_as_they_were_sent(request_: Request[Any]) -> None:
    operation, body = encode_input(request_)

    assert decode_input(operation, body) == request_


def test_a_task_comes_back_as_it_was_handed_out() -> None:
    body = encode_output("PollForTask", PollForTaskOutput(task_object=TASK))

    assert decode_output("PollForTask", body).task_object == TASK


@pytest.mark.parametrize("body", [b"{}", b'{"taskObject":null}', b'{"taskObject":{}}'])
def test_every_way_of_saying_no_task_means_none(body: bytes) -> None:
    assert decode_output("PollForTask", body) == PollForTaskOutput(task_object=None)


def test_operations_without_a_reply_have_an_empty_body() -> None:
    assert encode_output("DeletePipeline", None) == b""
    assert decode_output("DeletePipeline", b"whatever") is None


def test_null_and_unknown_members_are_as_if_they_were_not_there() -> None:
    body = {"name": "n", "uniqueId": "u", "description": None, "futureMember": [1]}

    assert decoded("CreatePipeline", body) == CreatePipelineInput(name="n", unique_id="u")


def test_half_an_instance_identity_is_no_defect_of_ours() -> None:
    request = decoded("PollForTask", {"workerGroup": "g", "instanceIdentity": {}})

    assert request == PollForTaskInput(
        worker_group="g", instance_identity=InstanceIdentity(document="", signature="")
    )


def test_a_missing_required_member_is_named_as_aws_names_it() -> None:
    assert refusal("CreatePipeline", {"name": "n"}) == (
        "1 validation error detected: Value null at 'uniqueId' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_all_violations_are_told_at_once_with_their_paths() -> None:
    text = refusal(
        "PutPipelineDefinition",
        {
            "pipelineId": "",
            "pipelineObjects": [{"id": "a", "name": "x" * 1025, "fields": [{"stringValue": "v"}]}],
        },
    )

    assert text.startswith("3 validation errors detected: ")
    assert "Value '' at 'pipelineId' failed" in text
    assert "at 'pipelineObjects.1.member.name' failed to satisfy constraint: Member must have" in (
        text
    )
    assert "Value null at 'pipelineObjects.1.member.fields.1.member.key'" in text


@pytest.mark.parametrize("value", ["\x00", "a\x1b[0m", "\ud800", "\ufffe"])
def test_characters_outside_the_pattern_are_refused(value: str) -> None:
    assert "regular expression" in refusal("DeletePipeline", {"pipelineId": value})


def test_values_that_may_be_secret_are_never_repeated() -> None:
    field = {"key": "*password", "stringValue": "hunter2" + "x" * 10240}
    body = {"pipelineId": "p", "pipelineObjects": [{"id": "a", "name": "a", "fields": [field]}]}

    assert "hunter2" not in refusal("PutPipelineDefinition", body)


def test_a_field_with_two_values_is_refused() -> None:
    fields = [{"key": "k", "stringValue": "s", "refValue": "r"}]

    assert "not both" in refusal("ReportTaskProgress", {"taskId": "t", "fields": fields})


def test_eleven_tags_are_refused() -> None:
    tags = [{"key": str(n), "value": ""} for n in range(11)]

    assert "less than or equal to 10" in refusal("AddTags", {"pipelineId": "p", "tags": tags})


def test_the_task_status_is_one_of_three_in_any_case() -> None:
    assert "[FINISHED, FAILED, FALSE]" in refusal(
        "SetTaskStatus", {"taskId": "t", "taskStatus": "DONE"}
    )
    assert decoded("SetTaskStatus", {"taskId": "t", "taskStatus": "false"}) == (
        SetTaskStatusInput(task_id="t", task_status="FALSE")
    )


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("DeletePipeline", b"{"),
        ("DeletePipeline", b"\xff"),
        ("DeletePipeline", b"[]"),
        ("DeletePipeline", b'{"pipelineId":5}'),
        ("DeletePipeline", b'{"pipelineId":' + b"[" * 100_000),
        ("QueryObjects", b'{"pipelineId":"p","sphere":"x","limit":' + b"9" * 5000 + b"}"),
        ("QueryObjects", b'{"pipelineId":"p","sphere":"x","limit":4294967296}'),
        ("QueryObjects", b'{"pipelineId":"p","sphere":"x","limit":true}'),
        ("DeactivatePipeline", b'{"pipelineId":"p","cancelActive":"yes"}'),
        ("ActivatePipeline", b'{"pipelineId":"p","startTimestamp":NaN}'),
        ("ActivatePipeline", b'{"pipelineId":"p","startTimestamp":1e300}'),
        ("AddTags", b'{"pipelineId":"p","tags":{}}'),
    ],
)
def test_what_is_not_the_operations_json_is_a_serialization_fault(
    operation: str, body: bytes
) -> None:
    with pytest.raises(BadSerialization):
        decode_input(operation, body)


def test_an_unknown_operation_is_said() -> None:
    with pytest.raises(UnknownOperation):
        decode_input("MakeTea", b"{}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"taskObject":{"taskId":"t"}}',
        b'{"taskObject":{"taskId":"t","pipelineId":"p","attemptId":"a","objects":[]}}',
        b'{"taskObject":{"taskId":7,"pipelineId":"p","attemptId":"a","objects":{}}}',
    ],
)
def test_a_reply_of_another_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        decode_output("PollForTask", body)


def test_a_reply_with_longer_values_than_the_model_allows_is_still_read() -> None:
    fields = [{"key": "command", "stringValue": "x" * 20_000}, {"key": "empty"}]
    item = {"id": "a", "name": "a", "fields": fields}
    task = {"taskId": "t", "pipelineId": "p", "attemptId": "a", "objects": {"a": item}}

    reply = decode_output("PollForTask", json.dumps({"taskObject": task}).encode())

    assert reply.task_object.main.get("command") == "x" * 20_000
    assert reply.task_object.main.get("empty") == ""

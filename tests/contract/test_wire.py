"""The wire against botocore: its model, its serializer and its parser are the judges."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.parsers import JSONParser
from botocore.serialize import JSONSerializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskrunner.errors import InvalidRequest
from taskrunner.wire.bindings import binding_of
from taskrunner.wire.codec import (
    TARGET_PREFIX,
    decode_input,
    decode_output,
    encode_input,
    encode_output,
)
from taskrunner.wire.decoding import Malformed, decoder
from taskrunner.wire.faults import BadSerialization
from taskrunner.wire.operations import OPERATIONS
from taskrunner.wire.shapes import service_model

MODEL: ServiceModel = botocore.session.get_session().get_service_model("datapipeline")
NAMES = sorted(MODEL.operation_names)
WITH_REPLY = [name for name in NAMES if MODEL.operation_model(name).output_shape is not None]

TEXT = st.text(
    alphabet=st.one_of(
        st.characters(min_codepoint=0x20, max_codepoint=0xFFFD, exclude_categories=["Cs"]),
        st.characters(min_codepoint=0x10000),
        st.sampled_from("\r\n\t"),
    ),
    min_size=1,
    max_size=12,
)
FEW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def values_of(shape: Shape) -> st.SearchStrategy[Any]:
    """Valid values of a shape, as botocore takes and gives them."""
    if isinstance(shape, StructureShape):
        return structures_of(shape)
    if isinstance(shape, ListShape):
        return st.lists(values_of(shape.member), max_size=3)
    if isinstance(shape, MapShape):
        return st.dictionaries(TEXT, values_of(shape.value), max_size=3)
    if shape.type_name == "string":
        enum = shape.metadata.get("enum")
        return st.sampled_from(enum) if enum else TEXT
    return {
        "integer": st.integers(-(2**31) + 1, 2**31 - 1),
        "boolean": st.booleans(),
        "timestamp": st.integers(0, 2**34).map(lambda s: datetime.fromtimestamp(s, UTC)),
    }[shape.type_name]


def structures_of(shape: StructureShape) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: values_of(member) for name, member in shape.members.items()}
    if shape.name == "Field":
        key = members["key"]
        return st.one_of(
            st.fixed_dictionaries({"key": key, "stringValue": members["stringValue"]}),
            st.fixed_dictionaries({"key": key, "refValue": members["refValue"]}),
        )
    if shape.name in {"TaskObject", "InstanceIdentity"}:
        return st.fixed_dictionaries(members)
    required = {name: members[name] for name in shape.required_members}
    optional = {name: members[name] for name in members.keys() - required.keys()}
    return st.fixed_dictionaries(required, optional=optional)


def without_empty(value: Any) -> Any:
    """Empty lists and absent ones are the same to us."""
    if isinstance(value, dict):
        cleaned = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in ([], False, None)}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


def serialized(operation: OperationModel, params: dict[str, Any]) -> bytes:
    request = JSONSerializer().serialize_to_request(params, operation)
    body = request["body"]
    assert isinstance(body, bytes)
    return body


def test_the_vendored_model_is_botocores() -> None:
    model = service_model()
    raw = Loader().load_service_model("datapipeline", "service-2")

    assert model.operations.keys() == raw["operations"].keys() == OPERATIONS.keys()
    assert model.shapes.keys() == raw["shapes"].keys()
    assert raw["metadata"]["targetPrefix"] == TARGET_PREFIX


@pytest.mark.parametrize("name", NAMES)
def test_each_operation_has_the_models_request_and_reply(name: str) -> None:
    theirs = MODEL.operation_model(name)

    assert theirs.input_shape is not None
    assert OPERATIONS[name].input.__name__ == theirs.input_shape.name
    output = OPERATIONS[name].output
    assert (output.__name__ if output else None) == (
        theirs.output_shape.name if theirs.output_shape else None
    )


def test_each_shape_has_the_models_members_and_bounds() -> None:
    for name in MODEL.shape_names:
        theirs, ours = MODEL.shape_for(name), service_model().shapes[name]
        assert ours.type == theirs.type_name
        assert ours.minimum == theirs.metadata.get("min")
        assert ours.maximum == theirs.metadata.get("max")
        assert list(ours.enum) == list(theirs.metadata.get("enum", []))
        if isinstance(theirs, StructureShape):
            assert dict(ours.members) == {k: m.name for k, m in theirs.members.items()}
            assert ours.required == set(theirs.required_members)


def test_each_structure_has_a_class_with_its_members() -> None:
    for name in MODEL.shape_names:
        shape = MODEL.shape_for(name)
        if isinstance(shape, StructureShape) and not shape.metadata.get("exception"):
            binding = binding_of(name)
            assert callable(binding.build)
            assert callable(decoder(name, strict=True))


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(data=st.data())
def test_what_botocore_sends_is_understood_and_would_be_sent_the_same(
    name: str, data: st.DataObject
) -> None:
    operation = MODEL.operation_model(name)
    assert operation.input_shape is not None
    body = serialized(operation, data.draw(values_of(operation.input_shape)))

    request = decode_input(name, body)

    again_name, again = encode_input(request)
    assert again_name == name
    assert decode_input(name, again) == request
    assert without_empty(json.loads(again)) | {"cancelActive": True} == (
        without_empty(json.loads(body)) | {"cancelActive": True}
    )


@pytest.mark.parametrize("name", WITH_REPLY)
@FEW
@given(data=st.data())
def test_what_we_reply_is_what_botocore_reads(name: str, data: st.DataObject) -> None:
    shape = MODEL.operation_model(name).output_shape
    assert shape is not None
    sent = data.draw(values_of(shape))
    reply = decode_output(name, json.dumps(sent).encode())

    body = encode_output(name, reply)

    parsed = JSONParser().parse({"status_code": 200, "headers": {}, "body": body}, shape)
    parsed.pop("ResponseMetadata")
    assert without_empty(parsed) == without_empty(sent)


JSON_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.sampled_from(["taskId", "id", "\ud800", "x" * 2000]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["pipelineId", "taskObject", "taskId", "objects", "fields", "id", "key", "tags"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(value=JSON_VALUES)
def test_no_json_makes_the_codec_fail_otherwise_than_it_says(name: str, value: Any) -> None:
    body = json.dumps(value).encode()
    with suppress(InvalidRequest, BadSerialization):
        decode_input(name, body)
    with suppress(Malformed):
        decode_output(name, body)


@FEW
@given(body=st.binary(max_size=40))
def test_no_bytes_make_the_codec_fail_otherwise_than_it_says(body: bytes) -> None:
    with suppress(Malformed):
        decode_output("PollForTask", body)


def test_moments_are_seconds_since_1970_as_botocore_sends_them() -> None:
    moment = datetime(2026, 2, 13, 2, 0, tzinfo=UTC)
    operation = MODEL.operation_model("ActivatePipeline")

    body = serialized(operation, {"pipelineId": "p", "startTimestamp": moment})

    assert decode_input("ActivatePipeline", body).start_timestamp == moment
    assert math.isclose(json.loads(body)["startTimestamp"], moment.timestamp())

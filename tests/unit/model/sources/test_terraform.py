from __future__ import annotations

import json
from typing import Any

import pytest

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Ref, Unresolved
from taskrunner.model.reader import read_definition


def resource(name: str = "p", **values: object) -> dict[str, Any]:
    return {
        "address": f"aws_datapipeline_pipeline_definition.{name}",
        "type": "aws_datapipeline_pipeline_definition",
        "name": name,
        "values": values,
    }


OBJECTS = [
    {
        "id": "Default",
        "name": "Default",
        "field": [
            {"key": "workerGroup", "string_value": "g", "ref_value": None},
            {"key": "schedule", "string_value": "", "ref_value": "Daily"},
        ],
    },
    {
        "id": "Daily",
        "name": "Every day",
        "field": [
            {"key": "type", "string_value": "Schedule", "ref_value": ""},
            {"key": "period", "string_value": "1 day"},
            {"key": "startDateTime"},
        ],
    },
]


def plan(*resources: dict[str, Any], **more: object) -> str:
    values = {"root_module": {"resources": list(resources)}}
    return json.dumps({"format_version": "1.2", "planned_values": values, **more})


def test_a_plan_is_read_and_what_apply_will_know_is_marked() -> None:
    planned = resource(
        pipeline_object=OBJECTS,
        parameter_object=[{"id": "myA", "attribute": [{"key": "type", "string_value": "String"}]}],
        parameter_value=[{"id": "myA", "string_value": "x"}],
    )
    unknown = {
        "pipeline_object": [
            {"field": [{}, {}]},
            {"field": [{}, {}, {"string_value": True}]},
        ]
    }
    change = {"address": planned["address"], "change": {"after_unknown": unknown}}
    definition = read_definition(plan(planned, resource_changes=[change]))
    default, daily = definition.objects
    assert default.string("workerGroup") == "g"
    assert default.ref("schedule") == Ref("Daily")
    assert daily.name == "Every day"
    assert daily.type == "Schedule"
    assert daily.values("startDateTime") == (Unresolved("${known after apply}"),)
    assert isinstance(daily.values("startDateTime")[0], Unresolved)
    assert definition.parameters[0].attribute("type") == "String"
    assert definition.values[0].value == "x"


def test_modules_in_modules_and_states_are_read() -> None:
    inner = {"resources": [resource(pipeline_object=[])]}
    values = {"root_module": {"child_modules": [{"child_modules": [inner]}]}}
    assert read_definition(json.dumps({"format_version": "1.0", "values": values})).objects == ()


def test_text_that_names_an_object_is_a_reference_as_the_providers_examples_have_it() -> None:
    work = {
        "id": "Work",
        "name": "Work",
        "field": [
            {"key": "parent", "string_value": "Default"},
            {"key": "schedule", "string_value": "Nobody"},
            {"key": "command", "string_value": "Default"},
        ],
    }
    definition = read_definition(plan(resource(pipeline_object=[OBJECTS[0], work])))
    found = definition.get("Work")
    assert found is not None
    assert [f.value for f in found.fields] == [Ref("Default"), "Nobody", "Default"]


def test_several_definitions_need_a_choice() -> None:
    text = plan(resource("a", pipeline_object=[]), resource("b", pipeline_object=OBJECTS[:1]))
    with pytest.raises(DefinitionError, match="2 pipelines"):
        read_definition(text)
    chosen = read_definition(text, resource="aws_datapipeline_pipeline_definition.b")
    assert [o.id for o in chosen] == ["Default"]


def test_a_value_wholly_unknown_is_no_crash() -> None:
    planned = resource()
    unknown = {"pipeline_object": True}
    change = {"address": planned["address"], "change": {"after_unknown": unknown}}
    assert read_definition(plan(planned, resource_changes=[change])).objects == ()


@pytest.mark.parametrize("values", [{}, {"root_module": []}, {"root_module": {"resources": 1}}])
def test_a_plan_without_a_definition_is_none(values: object) -> None:
    text = json.dumps({"format_version": "1.0", "planned_values": values})
    with pytest.raises(DefinitionError, match="aws_datapipeline_pipeline_definition"):
        read_definition(text)

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Definition, Position, Ref
from taskrunner.model.reader import (
    decode,
    read_definition,
    read_document,
    read_parameters,
    read_values,
)
from taskrunner.model.sources.problems import Unreadable

CLI = """{
  "objects": [
    {
      "id": "A",
      "type": "EmrActivity",
      "step": "one",
      "runsOn": {"ref": "B"},
      "step": ["two", "three"],
      "input": [{"ref": "C"},
        {"ref": "D"}],
      "maximumRetries": 3,
      "stage": true
    }
  ],
  "parameters": [
    {"id": "myX", "type": "String", "allowedValues": ["a", "b"], "optional": false}
  ],
  "values": {"myX": "a", "myY": ["1", 2]}
}"""


def test_the_cli_form() -> None:
    definition = read_definition(CLI, source="f.json")
    [only] = definition.objects
    assert (only.id, only.name, only.type) == ("A", "A", "EmrActivity")
    assert only.values("step") == ("one", "two", "three")
    assert only.values("input") == (Ref("C"), Ref("D"))
    assert only.string("maximumRetries") == "3"
    assert only.string("stage") == "true"
    assert only.keys() == ("type", "step", "runsOn", "input", "maximumRetries", "stage")
    [parameter] = definition.parameters
    assert parameter.attribute_values("allowedValues") == ("a", "b")
    assert parameter.attribute("optional") == "false"
    assert [(v.id, v.value) for v in definition.values] == [
        ("myX", "a"),
        ("myY", "1"),
        ("myY", "2"),
    ]
    assert definition.source == "f.json"


def test_positions_are_those_of_keys_and_of_items_in_lists() -> None:
    definition = read_definition(CLI)
    [only] = definition.objects
    assert only.position == Position(line=3, column=5)
    found = [(f.key, f.value, f.position) for f in only.fields]
    assert found[1] == ("step", "one", Position(line=6, column=7))
    assert found[3] == ("step", "three", Position(line=8, column=23))
    assert found[6] == ("input", Ref("D"), Position(line=10, column=9))
    assert definition.parameters[0].position == Position(line=16, column=5)
    assert definition.values[0].position == Position(line=18, column=14)


API: dict[str, list[dict[str, object]]] = {
    "pipelineObjects": [
        {
            "id": "A",
            "name": "An activity",
            "fields": [
                {"key": "type", "stringValue": "EmrActivity"},
                {"key": "step", "stringValue": "one"},
                {"key": "step", "stringValue": "two"},
                {"key": "runsOn", "refValue": "B"},
            ],
        }
    ],
    "parameterObjects": [
        {"id": "myX", "attributes": [{"key": "type", "stringValue": "String"}]},
    ],
    "parameterValues": [{"id": "myX", "stringValue": "a"}],
}


def test_the_api_form() -> None:
    definition = read_definition(json.dumps(API))
    [only] = definition.objects
    assert only.name == "An activity"
    assert only.values("step") == ("one", "two")
    assert only.ref("runsOn") == Ref("B")
    assert definition.parameters[0].attribute("type") == "String"


def test_api_objects_under_objects_and_nested_attributes_are_understood() -> None:
    document = {
        "objects": API["pipelineObjects"],
        "parameters": API["parameterObjects"],
        "values": {"myX": "a"},
    }
    assert read_definition(json.dumps(document)) == read_definition(json.dumps(API))


def test_only_default_may_have_a_name_for_its_id() -> None:
    assert read_definition('{"objects": [{"name": "Default"}]}').objects[0].id == "Default"
    with pytest.raises(DefinitionError, match="no id"):
        read_definition('{"objects": [{"name": "Other"}]}')


def test_parts_given_twice_and_parts_that_nothing_reads_are_noted() -> None:
    document = read_document('{"objects": [], "paramters": [], "objects": [], "metadata": {}}')
    found = [(p.code, p.warning, p.place.column) for p in document.problems]
    assert found == [("unknown-part", True, 17), ("repeated-key", False, 34)]


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([{"name": "x"}], "no id"),
        ([{"id": "A", "fields": [{"stringValue": "x"}]}], "no 'key'"),
        ([{"id": "A", "fields": [{"key": "k"}]}], "found neither"),
        ([{"id": "A", "fields": [{"key": "k", "stringValue": "", "refValue": "x"}]}], "found both"),
        ([{"id": "A", "fields": [{"key": "k", "stringValue": ["x"]}]}], "found no text"),
        ([{"id": "A", "fields": [{"key": "", "stringValue": "x"}]}], "no 'key'"),
        ([{"id": "A", "fields": [{"key": "id", "stringValue": "x"}]}], "among the fields"),
        ([{"id": "A", "fields": {"key": "k"}}], "neither"),
        ([{"id": "A", "fields": "x"}], "'fields' of object 'A' is a string"),
        ([{"id": 1.5, "fields": [1]}], "a number"),
        ([7], "a number"),
    ],
)
def test_what_is_not_of_the_apis_shape_is_an_error(objects: list[object], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        read_definition(json.dumps({"pipelineObjects": objects}))


@pytest.mark.parametrize(
    ("part", "item", "words"),
    [
        ("parameterObjects", {"attributes": []}, "a parameter has no id"),
        ("parameterObjects", {"id": "myA", "attributes": [{"key": "type"}]}, "of 'myA' wants"),
        ("parameterValues", {"id": "myA"}, "a parameter value wants"),
    ],
)
def test_attributes_and_values_of_another_shape_are_errors_too(
    part: str, item: object, words: str
) -> None:
    with pytest.raises(DefinitionError, match=words):
        read_definition(json.dumps({"pipelineObjects": [], part: [item]}))


def test_values_are_read_to_a_bounded_depth() -> None:
    text = "[" * 1_000 + "]" * 1_000
    with pytest.raises(DefinitionError, match="levels deep"):
        read_definition(f'{{"pipelineObjects": [{{"id": "A", "fields": {text}}}]}}')


def test_reading_goes_on_after_a_problem() -> None:
    text = '{"objects": [{"id": "A", "id": "B", "x": null, "y": {"z": 1}, "ok": "1"}, {}, 3]}'
    document = read_document(text)
    assert [(p.code, p.place.object_id, p.place.field) for p in document.problems] == [
        ("repeated-key", "A", "id"),
        ("null-value", "A", "x"),
        ("bad-value-shape", "A", "y"),
        ("missing-id", None, None),
        ("bad-shape", None, None),
    ]
    assert document.definition.objects[0].string("ok") == "1"
    with pytest.raises(DefinitionError, match="the id is given 2 times"):
        read_definition(text)


@pytest.mark.parametrize(
    ("text", "source", "code"),
    [
        ("", None, "not-json"),
        ("hello", None, "not-json"),
        ("[]", None, "no-definition"),
        ("{}", None, "no-definition"),
        ('"x"', None, "no-definition"),
        ('{"id": "A"}', None, "no-definition"),
        ("a: [", "x.yaml", "not-yaml"),
        ("a: b", "x.yml", "no-definition"),
        ("Resources: {}", None, "no-definition"),
    ],
)
def test_what_is_no_definition_is_one_error_with_a_code(
    text: str, source: str | None, code: str
) -> None:
    with pytest.raises(Unreadable) as caught:
        read_definition(text, source=source)
    assert caught.value.code == code
    assert caught.value.place.line is not None


def test_definitions_in_yaml_are_known_by_their_parts_where_no_name_tells() -> None:
    text = "# ours\n{}objects:\n  - id: A\n    type: CSV\n"
    for start in ("", "---\n", "--- # one\n"):
        [only] = read_definition(text.format(start)).objects
        assert only.type == "CSV"
    assert read_parameters("parameters:\n  - id: myX\n")[0].id == "myX"
    assert read_values("values:\n  myX: a\n")[0].value == "a"


def test_bytes_are_utf8_with_or_without_a_mark() -> None:
    text = '{"objects": [{"id": "é"}]}'
    assert decode(text.encode()) == text
    assert decode(b"\xef\xbb\xbf" + text.encode()) == text
    assert read_definition("\ufeff" + text).objects[0].id == "é"
    with pytest.raises(Unreadable, match=r"f\.json:2:3: not UTF-8: found the byte 0xe9"):
        decode(b"{\n  \xe9", source="f.json")


def test_a_plain_definition_may_be_yaml_too() -> None:
    text = "objects:\n  - id: A\n    type: CSV\n    column: [a STRING, b INT]\n    n: 3\n"
    [only] = read_definition(text, source="p.yaml").objects
    assert only.values("column") == ("a STRING", "b INT")
    assert only.string("n") == "3"


def test_parameter_and_value_files() -> None:
    cli = read_parameters('{"parameters": [{"id": "myX", "type": "String"}]}')
    assert read_parameters('[{"id": "myX", "type": "String"}]') == cli
    assert read_parameters(json.dumps({"parameterObjects": API["parameterObjects"]})) == cli
    values = read_values('{"values": {"myX": "a"}}')
    assert read_values(json.dumps({"parameterValues": API["parameterValues"]})) == values
    with pytest.raises(DefinitionError, match="wanted 'parameters'"):
        read_parameters('{"values": {}}')
    with pytest.raises(DefinitionError, match="wanted 'values'"):
        read_values("[]")
    with pytest.raises(DefinitionError, match="a list"):
        read_values('{"values": []}')
    with pytest.raises(DefinitionError, match="no id"):
        read_parameters('{"parameters": [{"type": "String"}]}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "name", "type", "ref", "fields", "key", "stringValue", "x"]),
            inner,
        )
    ),
    max_leaves=15,
)
TOPS = st.sampled_from(
    ["objects", "parameters", "values", "pipelineObjects", "Resources", "planned_values"]
)


@given(st.dictionaries(TOPS, JSON))
def test_no_json_crashes_the_reader(document: dict[str, object]) -> None:
    found = Definition()
    try:
        found = read_document(json.dumps({"format_version": "1", **document})).definition
    except DefinitionError as error:
        assert str(error)  # noqa: PT017
    assert isinstance(found, Definition)

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from taskrunner.model.codec import DEFINITION, OBJECT
from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
    Ref,
    Value,
)
from taskrunner.model.reader import read_definition
from taskrunner.model.writer import dumps_api, dumps_cli, to_cli

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.text("abcXYZ*@_-", min_size=1, max_size=5).filter(
    lambda name: name not in {"id", "name", "fields", "attributes"}
)
VALUES: st.SearchStrategy[Value] = TEXT | TEXT.map(Ref)


def fields(values: dict[str, list[Value]]) -> tuple[Field, ...]:
    return tuple(Field(key, value) for key, each in values.items() for value in each)


# Values of one field stand together, as the command line's form has them.
OBJECTS = st.builds(
    PipelineObject,
    id=TEXT,
    name=TEXT,
    fields=st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3), max_size=4).map(fields),
)
PARAMETERS = st.builds(
    ParameterObject,
    id=TEXT,
    attributes=st.dictionaries(NAMES, TEXT, max_size=3).map(lambda found: tuple(found.items())),
)
PARAMETER_VALUES = st.dictionaries(TEXT, st.lists(TEXT, min_size=1, max_size=3), max_size=3).map(
    lambda found: tuple(ParameterValue(id=k, value=v) for k, vs in found.items() for v in vs)
)
DEFINITIONS = st.builds(
    Definition,
    objects=st.lists(OBJECTS, max_size=4).map(tuple),
    parameters=st.lists(PARAMETERS, max_size=3).map(tuple),
    values=PARAMETER_VALUES,
)


@given(DEFINITIONS)
def test_the_cli_form_read_back_is_the_same_definition(definition: Definition) -> None:
    assert read_definition(dumps_cli(definition)) == definition


@given(DEFINITIONS)
def test_the_api_form_read_back_is_the_same_definition(definition: Definition) -> None:
    assert read_definition(dumps_api(definition)) == definition
    stored = json.loads(json.dumps(DEFINITION.encode(definition)))
    assert DEFINITION.decode(stored) == definition


@given(DEFINITIONS)
def test_writing_is_stable(definition: Definition) -> None:
    for dumps in (dumps_cli, dumps_api):
        once = dumps(definition)
        assert dumps(read_definition(once)) == once


def test_one_value_is_plain_and_several_are_a_list() -> None:
    found = PipelineObject(
        id="A",
        name="A",
        fields=(Field("step", "1"), Field("runsOn", Ref("B")), Field("step", "2")),
    )
    definition = Definition(objects=(found,))
    assert to_cli(definition) == {
        "objects": [{"id": "A", "name": "A", "step": ["1", "2"], "runsOn": {"ref": "B"}}]
    }
    assert OBJECT.encode(found) == {
        "id": "A",
        "name": "A",
        "fields": [
            {"key": "step", "stringValue": "1"},
            {"key": "runsOn", "refValue": "B"},
            {"key": "step", "stringValue": "2"},
        ],
    }


def test_the_api_form_has_all_three_lists() -> None:
    assert DEFINITION.encode(Definition()) == {
        "pipelineObjects": [],
        "parameterObjects": [],
        "parameterValues": [],
    }

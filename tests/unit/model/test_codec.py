from __future__ import annotations

import json

import pytest

from taskrunner.model.codec import DEFINITION, FIELD, OBJECT, TASK
from taskrunner.model.document import (
    Definition,
    Field,
    ParameterObject,
    ParameterValue,
    PipelineObject,
    Ref,
)
from taskrunner.model.task import Task

OBJ = PipelineObject(
    id="A", name="an A", fields=(Field("step", "1"), Field("runsOn", Ref("B")), Field("step", ""))
)
CODED = {
    "id": "A",
    "name": "an A",
    "fields": [
        {"key": "step", "stringValue": "1"},
        {"key": "runsOn", "refValue": "B"},
        {"key": "step", "stringValue": ""},
    ],
}


def test_a_definition_is_written_in_the_form_that_stores_hold() -> None:
    definition = Definition(
        objects=(OBJ,),
        parameters=(ParameterObject(id="myX", attributes=(("type", "Integer"),)),),
        values=(ParameterValue(id="myX", value="1"),),
    )
    coded = {
        "pipelineObjects": [CODED],
        "parameterObjects": [
            {"id": "myX", "attributes": [{"key": "type", "stringValue": "Integer"}]}
        ],
        "parameterValues": [{"id": "myX", "stringValue": "1"}],
    }
    assert DEFINITION.encode(definition) == coded
    assert DEFINITION.decode(json.loads(json.dumps(coded))) == definition


def test_a_task_keeps_its_objects_under_their_keys() -> None:
    task = Task(task_id="t", pipeline_id="df-1", attempt_id="A", objects={"A": OBJ, "other": OBJ})
    coded = TASK.encode(task)
    assert coded == {
        "taskId": "t",
        "pipelineId": "df-1",
        "attemptId": "A",
        "objects": {"A": CODED, "other": CODED},
    }
    assert TASK.decode(json.loads(json.dumps(coded))) == task


def test_what_is_empty_may_be_left_out_and_never_both_be_given() -> None:
    assert FIELD.decode({"key": "k"}) == Field("k", "")
    with pytest.raises(ValueError, match="not both"):
        FIELD.decode({"key": "k", "stringValue": "", "refValue": "A"})
    with pytest.raises(KeyError):
        OBJECT.decode({"id": "A", "name": "A"})

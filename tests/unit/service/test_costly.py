from __future__ import annotations

import pytest

from taskrunner.errors import InvalidRequest
from taskrunner.model.document import Field, ParameterValue, PipelineObject, Ref
from taskrunner.service.costly import MOST_EXPRESSIONS, check_expressions
from taskrunner.wire.inputs import ListPipelinesInput, PutPipelineDefinitionInput


def request(*texts: str, value: str = "v") -> PutPipelineDefinitionInput:
    fields = tuple(Field(f"f{number}", text) for number, text in enumerate(texts))
    ref = Field("dependsOn", Ref("B"))
    return PutPipelineDefinitionInput(
        pipeline_id="df-1",
        pipeline_objects=(PipelineObject(id="A", name="A", fields=(*fields, ref)),),
        parameter_values=(ParameterValue(id="myV", value=value),),
    )


@pytest.mark.parametrize(
    "text", ["x" * 600_000, "#{a}" + "x" * 600_000, "x" * 600_000 + "#{a}", "} #{", "#{a"]
)
def test_other_text_costs_nothing(text: str) -> None:
    check_expressions(request(text))


def test_a_call_without_a_definition_costs_nothing() -> None:
    check_expressions(ListPipelinesInput())


@pytest.mark.parametrize("end", ["}", ""])
def test_expressions_are_counted_in_all_fields(end: str) -> None:
    half = "#{" + "a" * (MOST_EXPRESSIONS // 2) + end

    check_expressions(request(half))
    for definition in (request(half, half), request(half, value=half)):
        with pytest.raises(InvalidRequest, match=f"at most {MOST_EXPRESSIONS}"):
            check_expressions(definition)

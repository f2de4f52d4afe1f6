"""Every expression that people published evaluates, once it has the values that it asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskrunner.errors import DefinitionError, ExpressionError
from taskrunner.model.document import Definition, PipelineObject, Ref
from taskrunner.model.expressions import Scope, evaluate, uses
from taskrunner.model.inheritance import effective
from taskrunner.model.parameters import parameter_values
from taskrunner.model.reader import read_definition

CORPUS = Path(__file__).resolve().parents[4] / "../shared/corpus/definitions"
MOMENT = datetime(2026, 2, 13, 2, tzinfo=UTC)
RUNTIME: dict[str, datetime | str] = {
    "@scheduledStartTime": MOMENT,
    "@scheduledEndTime": MOMENT,
    "@actualStartTime": MOMENT,
    "@actualEndTime": MOMENT,
    "@pipelineId": "df-1",
    "@hostname": "host",
}
#: A test file of its author's own gives format one argument; the guide wants two.
WRONG = {"pipewelder-test-data.json", "pipewelder-test-data-old2.json"}


def scopes(definition: Definition) -> list[Scope]:
    objects = effective(definition)
    nodes = {
        value.id: obj.id
        for obj in objects.values()
        for key in ("onFail", "onSuccess", "onLateAction", "precondition")
        for value in obj.refs(key)
    }
    return [
        Scope(
            objects=objects,
            object_id=object_id,
            parameters={**asked_for(objects), **parameter_values(definition)},
            runtime=dict.fromkeys(objects, RUNTIME),
            node=nodes.get(object_id),
        )
        for object_id in objects
    ]


def asked_for(objects: dict[str, PipelineObject]) -> dict[str, tuple[str, ...]]:
    """Something for every parameter that is left to whoever activates the pipeline."""
    texts = [f.value for o in objects.values() for f in o.fields if not isinstance(f.value, Ref)]
    names = {r.path[0] for text in texts for r in uses(text).references}
    return {name: ("given",) for name in names if name.lstrip("*").startswith("my")}


def test_published_expressions_evaluate() -> None:
    if not CORPUS.is_dir():
        pytest.skip(f"the published definitions are not at {CORPUS}")
    failed, count = {}, 0
    for path in sorted(CORPUS.glob("*.json")):
        try:
            definition = read_definition(path.read_text(), source=path.name)
        except DefinitionError:
            continue  # some are not JSON, on purpose
        for scope in scopes(definition):
            for field in scope.objects[scope.object_id].fields:
                if isinstance(field.value, str) and "#{" in field.value:
                    count += 1
                    try:
                        evaluate(field.value, scope)
                    except ExpressionError as error:
                        failed[path.name] = f"{scope.object_id}.{field.key}: {error}"

    assert count > 500
    assert {name: why for name, why in failed.items() if name not in WRONG} == {}

"""What is fuzzed: each takes any bytes, and lets nothing out but the error it promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from taskrunner.errors import DefinitionError, ExpressionError
from taskrunner.model.codec import DEFINITION
from taskrunner.model.document import Definition, Field, PipelineObject, Ref
from taskrunner.model.expressions import Scope, evaluate, problems
from taskrunner.model.inheritance import effective
from taskrunner.model.parameters import parameter_values
from taskrunner.model.reader import decode, read_definition
from taskrunner.model.writer import to_cli

_OBJECT = PipelineObject(
    id="A",
    name="A",
    fields=(
        Field("x", "1"),
        Field("x", "#{y}"),
        Field("y", "#{@t}"),
        Field("loop", "#{loop}"),
        Field("ref", Ref("A")),
    ),
)
_SCOPE = Scope(
    objects={"A": _OBJECT},
    object_id="A",
    parameters={"myP": ("2", "#{x}"), "*myS": ("s",)},
    runtime={"A": {"@t": datetime(2026, 2, 13, 2, tzinfo=UTC)}},
    node="A",
)


def expression(data: bytes) -> None:
    """A text is a value or an ExpressionError at one of its columns; both checks agree."""
    text = data.decode("utf-8", "surrogateescape")
    found = problems(text)
    column: int | None = None
    try:
        evaluate(text, _SCOPE)
    except ExpressionError as error:
        column = error.column

    assert column is None or 1 <= column <= len(text) + 1
    assert column is not None or not found


def definition(data: bytes) -> None:
    """A file is a definition or a DefinitionError; a definition can be worked with and written."""
    for source in ("fuzz.json", "fuzz.yaml"):
        try:
            read = read_definition(decode(data, source=source), source=source)
        except DefinitionError:
            continue
        _use(read)


def _use(read: Definition) -> None:
    to_cli(read)
    DEFINITION.encode(read)
    objects, parameters = effective(read), parameter_values(read)
    for obj in objects.values():
        scope = Scope(objects=objects, object_id=obj.id, parameters=parameters)
        for field in obj.fields:
            if isinstance(field.value, str):
                try:
                    evaluate(field.value, scope)
                except ExpressionError:
                    continue


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "expression": expression,
    "definition": definition,
}

#: Where fuzzing starts: one input for each shape that is known.
SEEDS: Mapping[str, tuple[bytes, ...]] = {
    "expression": (
        b"a #{format(minusDays(@t, 1), 'YYYY-MM-dd')} #{ref.x + 'b' * 2 ^ -1} #{#{myP}}",
        b"#{node.y.inTimeZone('America/Los_Angeles').plusPeriod(\"1 day\")} #{*myS} #{loop}",
        b"#{makeDateTime(2011,5,24,14,21).sunday().format(\"yyyy-MM-dd'T'HH:mm:ss.SSS zzzz ZZ\")}",
        b"#{(1.5 - .5) / 0}#{'it''s' + \"\\\"\"}",
    ),
    "definition": (
        (
            b'{"objects": [{"id": "A", "name": "n", "type": 1, "x": ["1", {"ref": "A"}], "x": 2}],'
            b' "parameters": [{"id": "myP", "default": ["a", "b"]}], "values": {"myP": ["c"]}}'
        ),
        (
            b'{"pipelineObjects": [{"id": "A", "name": "A", "fields": ['
            b'{"key": "k", "stringValue": "#{1}"}, {"key": "r", "refValue": "A"}]}],'
            b' "parameterObjects": [{"id": "myP", "attributes": [{"key": "type", "stringValue":'
            b' "String"}]}], "parameterValues": [{"id": "myP", "stringValue": "v"}]}'
        ),
        (
            b'{"Resources": {"P": {"Type": "AWS::DataPipeline::Pipeline", "Properties": {"Name": 1,'
            b' "PipelineObjects": [{"Id": "A", "Name": "A", "Fields": [{"Key": "k", "StringValue":'
            b' {"Ref": "X"}}]}]}}}}'
        ),
        (
            b"Resources:\n  P:\n    Type: AWS::DataPipeline::Pipeline\n    Properties:\n"
            b"      Name: !Sub '${X}'\n      PipelineObjects:\n      - Id: A\n        Name: A\n"
            b"        Fields:\n        - {Key: k, StringValue: v}\n"
        ),
        b"\xef\xbb\xbf{}",
    ),
}

"""What is fuzzed: each takes any bytes, and lets nothing out but the error it promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from taskrunner.data.databases.spec import Login, from_jdbc, from_url
from taskrunner.data.objects.location import parse
from taskrunner.errors import (
    DefinitionError,
    ExpressionError,
    PermanentTaskError,
    ServiceFault,
)
from taskrunner.model.codec import DEFINITION
from taskrunner.model.document import Definition, Field, PipelineObject, Ref
from taskrunner.model.expressions import Scope, evaluate, problems
from taskrunner.model.inheritance import effective
from taskrunner.model.parameters import parameter_values
from taskrunner.model.reader import decode, read_definition
from taskrunner.model.writer import to_cli
from taskrunner.wire.codec import decode_input
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.keys import FixedKeys, Keys
from taskrunner.wire.operations import OPERATIONS
from taskrunner.wire.signing import SigV4Signer
from taskrunner.wire.sigv4 import Verifier
from tests.unit.wire.fakes import FixedClock

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
_CLOCK = FixedClock()
_VERIFIER = Verifier({"AK": "secret-of-a-key"}.get, region="us-east-1", clock=_CLOCK)
_SIGNED = dict(
    SigV4Signer(FixedKeys(Keys("AK", "secret-of-a-key")), "us-east-1", _CLOCK).sign(
        HttpRequest(headers={"host": "h", "x-amz-target": "DataPipeline.ListPipelines"}, body=b"{}")
    )
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


def authorization(data: bytes) -> None:
    """Headers of a request are those of a key, or a fault that is the client's."""
    text = data.decode("latin-1")
    headers = {**_SIGNED, "authorization": text}
    for changed in (headers, {**_SIGNED, "x-amz-date": text}):
        request = HttpRequest(headers=changed, body=b"{}")
        try:
            _VERIFIER.check_headers(changed)
            _VERIFIER.verify(request)
        except ServiceFault as fault:
            _is_the_clients(fault)
        else:
            assert changed == _SIGNED, changed


def _is_the_clients(fault: ServiceFault) -> None:
    assert fault.status < 500


def request(data: bytes) -> None:
    """A body is a typed request of each operation, or a fault that is the client's."""
    for operation in OPERATIONS:
        try:
            decode_input(operation, data)
        except ServiceFault as fault:
            _is_the_clients(fault)


def connection(data: bytes) -> None:
    """A connection string names a host that is its own, or a file, or is refused for good."""
    text = data.decode("utf-8", "surrogateescape")
    for read, form in ((from_jdbc, text), (from_jdbc, f"jdbc:{text}"), (from_url, text)):
        try:
            spec = read("Db", form, Login(username="u", password="p4ssw0rd-of-its-own"))
        except PermanentTaskError as error:
            _keeps_the_password(str(error))
            continue
        assert spec.host or spec.database.startswith("/")
        _keeps_the_password(str(spec) + repr(spec))


def _keeps_the_password(text: str) -> None:
    assert "p4ssw0rd" not in text


def location(data: bytes) -> None:
    """A URI is a place, whose parts are the URI's, or is refused for good."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        found = parse(text)
    except PermanentTaskError:
        return
    assert "\0" not in found.key
    assert found.bucket if found.scheme == "s3" else found.key.startswith("/")
    if found.scheme == "s3":
        assert text in {f"s3://{found.bucket}/{found.key}", f"s3://{found.bucket}"}


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "expression": expression,
    "definition": definition,
    "authorization": authorization,
    "request": request,
    "connection": connection,
    "location": location,
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
    "authorization": (_SIGNED["authorization"].encode(), b"20260213T020000Z", b"Bearer x"),
    "request": (
        b'{"pipelineId": "df-1", "pipelineObjects": [{"id": "A", "name": "A", "fields": []}]}',
        b'{"taskId": "t", "taskStatus": "FINISHED", "errorId": "x", "fields": [{"key": "k"}]}',
        b'{"query": {"selectors": [{"fieldName": "x", "operator": {"type": "EQ"}}]}, "limit": 1}',
    ),
    "connection": (
        b"jdbc:mysql://u:p@h:3306/db?useSSL=true&connectTimeout=5000",
        b"postgresql://u:p%40@[::1]:5432/db?sslmode=require;currentSchema=x",
        b"jdbc:postgresql:name",
        b"jdbc:sqlite:file:/tmp/x.db?mode=ro",
        b"redshift://h,other/db",
    ),
    "location": (b"s3://b/a/../b?x#y%00", b"file://localhost/a%20b", b"/a/b", b"s3://b"),
}

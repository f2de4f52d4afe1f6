"""Messages of the wire (JSON 1.1) to typed requests and replies, and back."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from taskrunner.errors import InvalidRequest
from taskrunner.wire.api import Request, operation_of
from taskrunner.wire.decoding import Malformed, decoder
from taskrunner.wire.encoding import encoder
from taskrunner.wire.faults import BadSerialization, UnknownOperation
from taskrunner.wire.shapes import service_model

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET_PREFIX = "DataPipeline"

#: More violations than these are counted, not listed.
_MOST_LISTED = 10


def decode_input(operation: str, body: bytes) -> Any:
    """The typed request in a body, as untrusted as can be.

    Raises UnknownOperation, BadSerialization for what is not the operation's JSON, InvalidRequest
    for values outside the model's bounds.
    """
    shape = service_model().operations.get(operation)
    if shape is None:
        raise UnknownOperation(f"there is no operation {operation[:80]!r}")
    violations: list[str] = []
    try:
        value = decoder(shape.input, strict=True)(parse_json(body or b"{}"), "", violations)
    except Malformed as error:
        raise BadSerialization(str(error)) from None
    if violations:
        raise InvalidRequest(_summary(violations))
    return value


def decode_output(operation: str, body: bytes) -> Any:
    """The typed reply in a body; None for an operation without one. Raises Malformed."""
    shape = service_model().operations[operation].output
    if shape is None:
        return None
    violations: list[str] = []
    value = decoder(shape, strict=False)(parse_json(body), "", violations)
    if violations:
        raise Malformed(violations[0])
    return value


def encode_input(value: Request[Any]) -> tuple[str, bytes]:
    """The operation that a typed request is for, and its body."""
    operation = operation_of(value)
    return operation, _dump(encoder(service_model().operations[operation].input)(value))


def encode_output(operation: str, value: object) -> bytes:
    """The body of a reply; empty for an operation without one."""
    shape = service_model().operations[operation].output
    return b"" if shape is None else _dump(encoder(shape)(value))


def parse_json(body: bytes) -> Any:
    """The JSON value of a body; raises Malformed, also for what only Python takes for JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error.msg} at byte {error.pos}") from None
    except (ValueError, RecursionError):
        raise Malformed(
            "the body is not JSON that can be read: nested or numbers too big"
        ) from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _summary(violations: list[str]) -> str:
    count = len(violations)
    noun = "validation error" if count == 1 else "validation errors"
    return f"{count} {noun} detected: {'; '.join(violations[:_MOST_LISTED])}"

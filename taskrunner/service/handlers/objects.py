"""The operations on components, instances and attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from taskrunner.errors import InvalidRequest
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.objects import SPHERES, Facts
from taskrunner.wire.inputs import (
    DescribeObjectsInput,
    EvaluateExpressionInput,
    QueryObjectsInput,
    SetStatusInput,
)
from taskrunner.wire.outputs import (
    DescribeObjectsOutput,
    EvaluateExpressionOutput,
    QueryObjectsOutput,
)
from taskrunner.wire.structures import Operator, Selector

#: Found objects on a page unless the caller wants fewer, and at the most (the API's own figures).
PAGE = 100
MOST_SELECTORS = 10
#: The model's text allows 25 ids a call, but the AWS CLI sends up to 100.
MOST_DESCRIBED = 100


def query_objects(
    service: Service, caller: Caller, request: QueryObjectsInput
) -> QueryObjectsOutput:
    """The ids of the objects of a sphere that meet every selector, a page at a time."""
    if request.sphere not in SPHERES:
        raise InvalidRequest(f"sphere {request.sphere!r}: wanted {', '.join(SPHERES)}")
    selectors = request.query.selectors if request.query else ()
    if len(selectors) > MOST_SELECTORS:
        raise InvalidRequest(f"a query can have at most {MOST_SELECTORS} selectors")
    limit = PAGE if request.limit is None else request.limit
    if not 0 < limit <= PAGE:
        raise InvalidRequest(f"limit {limit}: wanted 1 to {PAGE}")
    with service.objects(request.pipeline_id, caller) as objects:
        facts = objects.facts(request.sphere)
    found = [key for key, of in facts if all(_meets(of, selector) for selector in selectors)]
    start = _position(found, request.marker)
    page = found[start : start + limit]
    more = start + limit < len(found)
    return QueryObjectsOutput(
        ids=tuple(page), has_more_results=more, marker=page[-1] if more else None
    )


def _position(found: list[str], marker: str | None) -> int:
    if marker is None or marker == "":
        return 0
    if marker not in found:
        raise InvalidRequest("the marker is not one that this query gave")
    return found.index(marker) + 1


def _meets(facts: Facts, selector: Selector) -> bool:
    operator = selector.operator or Operator()
    compare = _COMPARE.get(operator.type or "")
    if selector.field_name is None or compare is None:
        wanted = ", ".join(_COMPARE)
        raise InvalidRequest(f"a selector needs a fieldName and an operator type of {wanted}")
    value = facts.get(selector.field_name)
    return value is not None and compare(value, operator.values)


def _between(value: str, bounds: tuple[str, ...]) -> bool:
    if len(bounds) != 2:
        raise InvalidRequest("BETWEEN needs two values")
    return bounds[0] <= value <= bounds[1]


_COMPARE: Mapping[str, Callable[[str, tuple[str, ...]], bool]] = {
    "EQ": lambda value, wanted: value in wanted,
    "REF_EQ": lambda value, wanted: value in wanted,
    "LE": lambda value, wanted: all(value <= one for one in wanted),
    "GE": lambda value, wanted: all(value >= one for one in wanted),
    "BETWEEN": _between,
}


def describe_objects(
    service: Service, caller: Caller, request: DescribeObjectsInput
) -> DescribeObjectsOutput:
    """The fields of objects of any sphere."""
    if len(request.object_ids) > MOST_DESCRIBED:
        raise InvalidRequest(f"at most {MOST_DESCRIBED} objects can be described at once")
    with service.objects(request.pipeline_id, caller) as objects:
        found = objects.describe(
            request.object_ids, evaluate_expressions=request.evaluate_expressions
        )
    return DescribeObjectsOutput(pipeline_objects=tuple(found), has_more_results=False)


def evaluate_expression(
    service: Service, caller: Caller, request: EvaluateExpressionInput
) -> EvaluateExpressionOutput:
    """The value of an expression in an object's fields."""
    with service.objects(request.pipeline_id, caller) as objects:
        value = objects.evaluate(request.object_id, request.expression)
    return EvaluateExpressionOutput(evaluated_expression=value)


def set_status(service: Service, caller: Caller, request: SetStatusInput) -> None:
    """Cancel, rerun or finish instances by hand."""
    service.pipeline(request.pipeline_id, caller)
    service.set_status(request.pipeline_id, request.object_ids, request.status)

"""The operations on components, instances and attempts."""

from __future__ import annotations

from taskrunner.errors import InvalidRequest
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.objects import SPHERES
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
        page = objects.query(request.sphere, selectors, request.marker, limit)
    return QueryObjectsOutput(
        ids=tuple(page.ids), has_more_results=page.marker is not None, marker=page.marker
    )


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
    """Cancel, rerun or finish instances by hand; pause and resume what runs."""
    service.pipeline(request.pipeline_id, caller)
    service.set_status(request.pipeline_id, request.object_ids, request.status, caller)

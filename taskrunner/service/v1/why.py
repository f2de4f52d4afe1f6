"""Why something waits."""

from __future__ import annotations

from taskrunner.model.states import InstanceStatus
from taskrunner.model.why import causes, pipelines
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.v1.requests import ShowWhy
from taskrunner.service.v1.scope import looking_at
from taskrunner.service.v1.shapes import Cause, State, Waiting, Why
from taskrunner.service.why import why


def show_why(service: Service, caller: Caller, request: ShowWhy) -> Why:
    """Why a pipeline, or something of it, waits."""
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        found = why(conn, row, service.loaded, service.clock.now(), request.object_id)
    return Why(
        pipeline_id=found.pipeline_id,
        state=State(found.state),
        pipeline=tuple(map(_cause, found.pipeline)),
        waiting=tuple(map(_waiting, found.waiting)),
    )


def _waiting(found: pipelines.Waiting) -> Waiting:
    return Waiting(
        instance_id=found.instance_id,
        component_id=found.component_id,
        status=InstanceStatus(found.status),
        count=found.count,
        more=found.more,
        causes=tuple(map(_cause, found.causes)),
    )


def _cause(found: causes.Cause) -> Cause:
    return Cause(
        code=found.code,
        object_id=found.object_id,
        says=found.says,
        command=found.command,
        where=found.where,
        because=tuple(map(_cause, found.because)),
    )

"""Instances and attempts: what became of each, and what it has to do with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.document import PipelineObject, Ref
from taskrunner.model.instances import Dependency
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.pauses import is_paused
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links, summaries
from taskrunner.service.store import pauses as pause_store
from taskrunner.service.store.tables import instances
from taskrunner.service.v1.faults import NotFound
from taskrunner.service.v1.requests import ListInstances, ShowAttempt, ShowInstance
from taskrunner.service.v1.scope import from_marker, looking_at, to_marker
from taskrunner.service.v1.shapes import (
    Attempt,
    AttemptSummary,
    Field,
    Handout,
    Instance,
    InstanceList,
    InstanceSummary,
    Link,
)


def list_instances(service: Service, caller: Caller, request: ListInstances) -> InstanceList:
    """A page of a pipeline's instances."""
    after = None
    if request.marker:
        start, instance_id = from_marker(request.marker, datetime, str)
        after = (start, instance_id)
    with looking_at(service, caller, request.pipeline_id) as (conn, row, _):
        rows = summaries.page_of_instances(
            conn, row.pipeline_id, request.limit + 1, where=_conditions(request), after=after
        )
    page = rows[: request.limit]
    more = len(rows) > len(page)
    return InstanceList(
        instances=tuple(map(instance_summary, page)),
        marker=to_marker(page[-1].scheduled_start, page[-1].instance_id) if more else None,
    )


def _conditions(request: ListInstances) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if request.run is not None:
        found.append(instances.c.scheduled_start == request.run)
    if request.component:
        found.append(instances.c.component_id.in_(request.component))
    if request.status:
        found.append(instances.c.status.in_(request.status))
    return found


def show_instance(service: Service, caller: Caller, request: ShowInstance) -> Instance:
    """One instance."""
    with looking_at(service, caller, request.pipeline_id) as (conn, pipeline, objects):
        key, pipeline_id = request.instance_id, pipeline.pipeline_id
        row = one_instance(conn, pipeline_id, key)
        (described,) = objects.describe([key], evaluate_expressions=True)
        waits = links.dependencies_of(conn, pipeline_id, [key]).get(key, ())
        followers = links.dependents_of(conn, pipeline_id, [key]).get(key, ())
        ids = {link.instance_id for link in (*waits, *followers)}
        statuses = instance_store.statuses(conn, pipeline_id, sorted(ids))
        tries = attempt_store.attempts_of(conn, pipeline_id, [key]).get(key, ())
        return Instance(
            summary=instance_summary(row),
            attempts=tuple(map(attempt_summary, tries)),
            waits_for=_links(waits, statuses),
            followed_by=_links(followers, statuses),
            fields=_fields(described),
            paused=is_paused(row, pause_store.paused_ids(conn, pipeline_id)),
        )


def show_attempt(service: Service, caller: Caller, request: ShowAttempt) -> Attempt:
    """One attempt."""
    with looking_at(service, caller, request.pipeline_id) as (conn, pipeline, objects):
        key, pipeline_id = request.attempt_id, pipeline.pipeline_id
        row = one_attempt(conn, pipeline_id, key)
        (described,) = objects.describe([key], evaluate_expressions=True)
        return Attempt(
            summary=attempt_summary(row),
            instance_id=row.instance_id,
            created=row.created_at,
            handouts=tuple(
                Handout(
                    at=given.handed_out_at,
                    state=given.state,
                    hostname=given.hostname,
                    user=given.user_id,
                    # After the word stands what tells a repeated verdict from another one.
                    verdict=given.verdict.partition(" ")[0] if given.verdict else None,
                )
                for given in attempt_store.handouts_of(conn, pipeline_id, key)
            ),
            progress=dict(row.progress),
            fields=_fields(described),
            report_by=row.report_by,
            timeout_s=None if row.timeout_s is None else round(row.timeout_s),
            error_stack_trace=row.error_stack_trace,
        )


def one_instance(conn: Connection, pipeline_id: str, instance_id: str) -> InstanceRow:
    """An instance. Raises NotFound."""
    for row in instance_store.load_instances(conn, pipeline_id, [instance_id]):
        return row
    raise NotFound(f"no instance {instance_id!r} in {pipeline_id}")


def one_attempt(conn: Connection, pipeline_id: str, attempt_id: str) -> AttemptRow:
    """An attempt. Raises NotFound."""
    row = attempt_store.load_attempt(conn, pipeline_id, attempt_id)
    if row is None:
        raise NotFound(f"no attempt {attempt_id!r} in {pipeline_id}")
    return row


def instance_summary(row: InstanceRow) -> InstanceSummary:
    """An instance as a list shows it."""
    return InstanceSummary(
        id=row.instance_id,
        component_id=row.component_id,
        name=row.name,
        type=row.type,
        category=row.category,
        status=row.status,
        start=row.scheduled_start,
        end=row.scheduled_end,
        attempts=row.attempt_count,
        version=row.version,
        group=row.worker_group,
        began=row.actual_start,
        ended=row.actual_end,
        error_id=row.error_id,
        error_message=row.error_message,
        cause=row.cause,
        late=row.late_fired,
        reruns=row.reruns,
        backfill_id=row.backfill_id,
    )


def attempt_summary(row: AttemptRow) -> AttemptSummary:
    """An attempt as a list shows it."""
    return AttemptSummary(
        id=row.attempt_id,
        number=row.number,
        status=row.status,
        group=row.worker_group,
        ready=row.ready_at,
        hostname=row.hostname,
        began=row.started_at,
        ended=row.ended_at,
        error_id=row.error_id,
        error_message=row.error_message,
    )


def _links(found: Sequence[Dependency], statuses: Mapping[str, InstanceStatus]) -> tuple[Link, ...]:
    return tuple(
        Link(instance_id=of.instance_id, kind=of.kind, status=statuses.get(of.instance_id))
        for of in found
    )


def _fields(obj: PipelineObject) -> tuple[Field, ...]:
    return tuple(
        Field(key=field.key, ref=field.value.id)
        if isinstance(field.value, Ref)
        else Field(key=field.key, value=str(field.value))
        for field in obj.fields
    )

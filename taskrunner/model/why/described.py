"""What can be known of what waits by AWS's API alone: DescribePipelines and DescribeObjects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from taskrunner.model.catalog import category_of
from taskrunner.model.decisions import Queue
from taskrunner.model.document import PipelineObject
from taskrunner.model.instances import Category, Dependency, DependencyKind
from taskrunner.model.policy import Policy
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, AttemptStatus, InstanceStatus
from taskrunner.model.times import parse_datetime
from taskrunner.model.why.facts import Known, Pause

_I = InstanceStatus
#: What an instance of a category waits for stands in these fields.
_FIELDS: Mapping[str, Mapping[str, DependencyKind]] = {
    Category.ACTIVITY: {
        "dependsOn": DependencyKind.DEPENDS_ON,
        "input": DependencyKind.INPUT,
        "precondition": DependencyKind.PRECONDITION,
        "runsOn": DependencyKind.RESOURCE,
    },
    Category.DATANODE: {
        "output": DependencyKind.PRODUCER,
        "precondition": DependencyKind.PRECONDITION,
    },
}
_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)
#: How AWS's CLI and older pages spell some statuses.
_ALSO = {"CANCELLED": _I.CANCELED, "TIMEOUT": _I.TIMEDOUT}


def status_of(obj: PipelineObject) -> InstanceStatus | None:
    """The status of an instance, if it is one that is known."""
    text = (obj.string("@status") or "").upper()
    if text in {*InstanceStatus}:
        return InstanceStatus(text)
    return _ALSO.get(text)


def dependencies(obj: PipelineObject) -> Iterator[Dependency]:
    """What an instance waits for, or has waited for."""
    for key, kind in _FIELDS.get(_category(obj), {}).items():
        for ref in obj.refs(key):
            if ref.id.startswith("@"):
                yield Dependency(ref.id, kind)


def known_of(
    pipeline_id: str,
    obj: PipelineObject,
    tried: Sequence[PipelineObject],
    statuses: Mapping[str, InstanceStatus],
) -> Known | None:
    """An instance as DescribeObjects shows it, with its last attempts, the newest last.

    None: its status is not one that is known.
    """
    status = status_of(obj)
    if status is None:
        return None
    start = _moment(obj, "@scheduledStartTime") or _UNKNOWN
    policy = Policy.of(obj.string, at=start)
    row = _row(pipeline_id, obj, status, start)
    users = obj.refs("input") if row.category == Category.RESOURCE else ()
    return Known(
        row=row,
        policy=policy,
        unmet=tuple(_unmet(obj, status, statuses)),
        waited_for=tuple(_waited_for(obj)) if status is _I.FINISHED else (),
        attempts=tuple(_attempt(row, attempt, start) for attempt in tried),
        looks=_looks(obj),
        pause=Pause(object_id=obj.id) if status is _I.PAUSED else None,
        users=tuple(ref.id for ref in users if ref.id.startswith("@")),
    )


def _looks(obj: PipelineObject) -> tuple[int, datetime] | None:
    count, last = obj.string("currentRetryCount") or "", _moment(obj, "lastRetryTime")
    return (int(count), last) if count.isdigit() and last is not None else None


def _category(obj: PipelineObject) -> str:
    return category_of(obj.type or "") or Category.ACTIVITY


def _unmet(
    obj: PipelineObject, status: InstanceStatus, statuses: Mapping[str, InstanceStatus]
) -> Iterable[Dependency]:
    if status in INSTANCE_TERMINAL:
        return
    waits_for_runner = status is _I.WAITING_FOR_RUNNER
    for dependency in dependencies(obj):
        is_resource = dependency.kind is DependencyKind.RESOURCE
        if is_resource is waits_for_runner and statuses.get(dependency.instance_id) is not (
            _I.FINISHED
        ):
            yield dependency


def _waited_for(obj: PipelineObject) -> Iterable[str]:
    return (d.instance_id for d in dependencies(obj) if d.kind is not DependencyKind.RESOURCE)


def _row(
    pipeline_id: str, obj: PipelineObject, status: InstanceStatus, start: datetime
) -> InstanceRow:
    end = _moment(obj, "@scheduledEndTime") or start
    component, cause = obj.ref("@componentParent"), obj.ref("@cascadeFailedOn")
    at_end = (obj.string("scheduleType") or "").lower() == "timeseries"
    return InstanceRow(
        pipeline_id=pipeline_id,
        instance_id=obj.id,
        component_id=component.id if component else obj.name,
        name=obj.name,
        type=obj.type or "",
        category=_category(obj),
        version=0,
        status=status,
        scheduled_start=start,
        scheduled_end=end,
        not_before=end if at_end else start,
        created_at=start,
        actual_start=_moment(obj, "@actualStartTime"),
        actual_end=_moment(obj, "@actualEndTime"),
        worker_group=_worker_group(pipeline_id, obj),
        attempt_count=int(count) if (count := obj.string("@attemptCount") or "").isdigit() else 0,
        error_id=obj.string("errorId"),
        error_message=obj.string("errorMessage") or obj.string("@failureReason"),
        cause=cause.id if cause else None,
        resource_handle=obj.string("@resourceId"),
    )


def _worker_group(pipeline_id: str, obj: PipelineObject) -> str | None:
    """Whose runners do the work: of the resource that it runs on, else those named."""
    resource = obj.ref("runsOn")
    if resource is not None and resource.id.startswith("@"):
        return f"resource:{pipeline_id}_{resource.id}"
    return obj.string("workerGroup")


def _attempt(row: InstanceRow, head: PipelineObject, start: datetime) -> AttemptRow:
    text = (head.string("@status") or "").upper()
    status = AttemptStatus(text) if text in {*AttemptStatus} else AttemptStatus.WAITING_FOR_RUNNER
    number = head.id.rpartition("_Attempt=")[2]
    begun = _moment(head, "@actualStartTime")
    waits = status is AttemptStatus.WAITING_FOR_RUNNER
    return AttemptRow(
        pipeline_id=row.pipeline_id,
        attempt_id=head.id,
        instance_id=row.instance_id,
        number=int(number) if number.isdigit() else 1,
        status=status,
        worker_group=row.worker_group or "",
        queue=Queue.READY if waits else Queue.OUT,
        ready_at=begun or start,
        lease_s=timedelta(minutes=5).total_seconds(),
        created_at=begun or start,
        started_at=begun,
        ended_at=_moment(head, "@actualEndTime"),
        hostname=head.string("hostname"),
        error_id=head.string("errorId"),
        error_message=head.string("errorMessage"),
    )


def _moment(obj: PipelineObject, key: str) -> datetime | None:
    text = obj.string(key)
    try:
        return parse_datetime(text) if text else None
    except ValueError:
        return None

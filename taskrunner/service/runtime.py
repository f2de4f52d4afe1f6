"""What is known of an instance while it lives: the runtime fields that expressions may name."""

from __future__ import annotations

from datetime import datetime

from taskrunner.model.catalog import FieldGroup, find_type
from taskrunner.model.document import PipelineObject, Ref
from taskrunner.model.instances import Category
from taskrunner.model.policy import Policy
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import InstanceStatus

RuntimeField = str | datetime | Ref


def runtime_fields(row: InstanceRow) -> dict[str, RuntimeField]:
    """The runtime fields of an instance that an expression may name."""
    return _set(
        {
            "@pipelineId": row.pipeline_id,
            "@scheduledStartTime": row.scheduled_start,
            "@scheduledEndTime": row.scheduled_end,
            "@actualStartTime": row.actual_start,
            "@actualEndTime": row.actual_end,
            "@status": str(row.status),
            "@attemptCount": str(row.attempt_count),
            "@id": row.instance_id,
            "@componentParent": Ref(row.component_id),
            "@sphere": "INSTANCE",
            "@cascadeFailedOn": row.cause,
            "errorId": row.error_id,
            "errorMessage": row.error_message,
        }
    )


def attempt_fields(head: AttemptRow | None) -> dict[str, RuntimeField]:
    """What an instance has from its newest attempt."""
    if head is None:
        return {}
    return _set(
        {
            "@headAttempt": head.attempt_id,
            "attemptStatus": str(head.status),
            "hostname": head.hostname,
            "errorStackTrace": head.error_stack_trace,
        }
    )


def unset_fields(obj: PipelineObject) -> dict[str, RuntimeField]:
    """Every runtime field that an object of this type may come to have, each as an empty text."""
    known = find_type(obj.type or "")
    fields = known.fields if known else {}
    names = {name for name, field in fields.items() if field.group is FieldGroup.RUNTIME}
    return dict.fromkeys({*names, *_OF_ATTEMPTS} - {*obj.keys()}, "")


_OF_ATTEMPTS = ("@headAttempt", "@attemptCount", "@triesLeft", "attemptStatus")


def attempts_made(row: InstanceRow) -> int:
    """How many attempts have begun; the launches of a resource are its attempts."""
    return row.failures + _under_way(row) if _is_resource(row) else row.attempt_count


def tries_left(policy: Policy, row: InstanceRow) -> int:
    """How many more attempts may follow; one that was free of charge is not gone."""
    return max(0, 1 + policy.maximum_retries - row.failures - _under_way(row))


def _under_way(row: InstanceRow) -> bool:
    begun = row.actual_start if _is_resource(row) else row.attempt_count
    return row.status is not InstanceStatus.WAITING_ON_DEPENDENCIES and bool(begun)


def _is_resource(row: InstanceRow) -> bool:
    return row.category == Category.RESOURCE


def _set(found: dict[str, RuntimeField | None]) -> dict[str, RuntimeField]:
    return {key: value for key, value in found.items() if value is not None}

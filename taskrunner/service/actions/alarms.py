"""Actions: alarms go into the outbox with their text evaluated, Terminate cancels its node."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Ref
from taskrunner.model.rows import InstanceRow
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.store import alarms as store
from taskrunner.service.store.rows import AlarmRow

__all__ = ["notify", "runtime_fields"]


def runtime_fields(row: InstanceRow) -> dict[str, str | datetime | Ref]:
    """The runtime fields of an instance that an expression may name."""
    found: dict[str, str | datetime | Ref | None] = {
        "@scheduledStartTime": row.scheduled_start,
        "@scheduledEndTime": row.scheduled_end,
        "@actualStartTime": row.actual_start,
        "@actualEndTime": row.actual_end,
        "@status": str(row.status),
        "@attemptCount": str(row.attempt_count),
        "@id": row.instance_id,
        "@componentParent": Ref(row.component_id),
        "@sphere": "INSTANCE",
        "errorId": row.error_id,
        "errorMessage": row.error_message,
    }
    return {key: value for key, value in found.items() if value is not None}


def notify(
    conn: Connection, loaded: LoadedDefinition, row: InstanceRow, event: str, now: datetime
) -> bool:
    """Raise the alarms that hang on an event of an instance; whether Terminate hangs on it too."""
    component = loaded.objects.get(row.component_id)
    terminate = False
    for ref in component.refs(event) if component else ():
        action = loaded.objects.get(ref.id)
        if action is not None and action.type == "SnsAlarm":
            store.insert_alarm(conn, _alarm(loaded, row, action.id, event, now))
        terminate |= action is not None and action.type == "Terminate"
    return terminate


def _alarm(
    loaded: LoadedDefinition, row: InstanceRow, action_id: str, event: str, now: datetime
) -> AlarmRow:
    runtime: Mapping[str, Mapping[str, str | datetime | Ref]] = {
        row.component_id: runtime_fields(row)
    }
    moment = Moment(start=row.scheduled_start, end=row.scheduled_end, more=runtime)

    def text(key: str) -> str:
        try:
            values = loaded.values(action_id, key, moment, node=row.component_id)
        except DefinitionError:
            # An alarm with an unfilled expression is better than none.
            values = loaded.objects[action_id].values(key)
        return str(values[0]) if values else ""

    return AlarmRow(
        pipeline_id=row.pipeline_id,
        # One alarm an attempt at most: the id makes a repeated decision harmless.
        alarm_id=f"{row.instance_id}_{event}_{action_id}_{row.attempt_count}",
        instance_id=row.instance_id,
        action_id=action_id,
        event=event,
        topic_arn=text("topicArn"),
        subject=text("subject"),
        message=text("message"),
        status="PENDING",
        tries=0,
        created_at=now,
        next_at=now,
    )

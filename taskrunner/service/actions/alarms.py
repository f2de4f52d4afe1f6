"""Actions: alarms go into the outbox with their text evaluated, Terminate cancels its node."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import AlarmStatus
from taskrunner.secret import Secret
from taskrunner.service.actions.texts import fill
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.masking import hidden
from taskrunner.service.runtime import expression_fields, unset_fields
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store.rows import AlarmRow
from taskrunner.service.subjects import Batch, Instance


def notify(
    conn: Connection, loaded: LoadedDefinition, row: InstanceRow, event: str, now: datetime
) -> bool:
    """Raise the alarms that hang on an event of an instance; whether Terminate hangs on it too."""
    component = loaded.objects.get(row.component_id)
    terminate = False
    for ref in component.refs(event) if component else ():
        action = loaded.objects.get(ref.id)
        if action is not None and action.type == "SnsAlarm":
            alarm_store.insert_alarm(conn, _alarm(conn, loaded, row, action.id, event, now))
        terminate |= action is not None and action.type == "Terminate"
    return terminate


def _alarm(
    conn: Connection,
    loaded: LoadedDefinition,
    row: InstanceRow,
    action_id: str,
    event: str,
    now: datetime,
) -> AlarmRow:
    moment = _moment(conn, loaded, row)
    # No expression may reveal a secret, nor may an error message in which one stands.
    shown, secrets = loaded.for_eyes, loaded.secret_texts(moment)
    scope = shown.scope(action_id, moment, node=row.component_id)
    action = shown.objects[action_id]

    def text(key: str) -> str:
        return hidden(fill(action.string(key) or "", scope), secrets)

    return AlarmRow(
        pipeline_id=row.pipeline_id,
        # One alarm an attempt at most: the id makes a repeated decision harmless.
        alarm_id=f"{row.instance_id}_{event}_{action_id}_{row.attempt_count}",
        instance_id=row.instance_id,
        action_id=action_id,
        event=event,
        topic_arn=_topic(loaded, row, action_id, moment),
        subject=text("subject"),
        message=text("message"),
        role=_role(text("role")),
        status=AlarmStatus.PENDING,
        tries=0,
        created_at=now,
        next_at=now,
    )


def _role(text: str) -> str | None:
    """The role that is assumed: a name alone says nothing of whose account it is in."""
    role = text.strip()
    return role if role.startswith("arn:") else None


def _moment(conn: Connection, loaded: LoadedDefinition, row: InstanceRow) -> Moment:
    """The instance's period, with all that is known of the instance and of its last attempt."""
    instance = Instance(row=row, loaded=loaded, batch=Batch(conn, row.pipeline_id, [row]))
    known = {**unset_fields(loaded.objects[row.component_id]), **expression_fields(instance)}
    return Moment(start=row.scheduled_start, end=row.scheduled_end, more={row.component_id: known})


def _topic(loaded: LoadedDefinition, row: InstanceRow, action_id: str, moment: Moment) -> str:
    try:
        values = loaded.values(action_id, "topicArn", moment, node=row.component_id)
    except DefinitionError:
        # Publishing fails then, and names what was to be a topic.
        values = loaded.objects[action_id].values("topicArn")
    topic = values[0] if values else ""
    return f"*{topic}" if isinstance(topic, Secret) else str(topic)

"""Alarms of a pipeline: what became of them, and those that were given up once more."""

from __future__ import annotations

from datetime import datetime

from taskrunner.model.states import AlarmStatus
from taskrunner.secret import is_secret
from taskrunner.service.callers import Caller
from taskrunner.service.engine import Service
from taskrunner.service.masking import hidden
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store import audit
from taskrunner.service.store.rows import AlarmRow
from taskrunner.service.v1.alarm_shapes import Alarm, AlarmList, AlarmsRetried
from taskrunner.service.v1.requests import ListAlarms, RetryAlarms
from taskrunner.service.v1.scope import from_marker, looking_at, to_marker


def list_alarms(service: Service, caller: Caller, request: ListAlarms) -> AlarmList:
    """A page of a pipeline's alarms, newest first."""
    before = from_marker(request.marker, datetime, str) if request.marker else None
    with looking_at(service, caller, request.pipeline_id) as (conn, pipeline, _):
        rows = alarm_store.find_alarms(
            conn,
            pipeline.pipeline_id,
            statuses=request.status or tuple(AlarmStatus),
            limit=request.limit + 1,
            before=(before[0], before[1]) if before else None,
        )
    page = rows[: request.limit]
    more = len(rows) > len(page)
    return AlarmList(
        alarms=tuple(map(alarm_of, page)),
        marker=to_marker(page[-1].created_at, page[-1].alarm_id) if more else None,
    )


def retry_alarms(service: Service, caller: Caller, request: RetryAlarms) -> AlarmsRetried:
    """Have alarms that were given up sent after all: those that are named, or all."""
    with looking_at(service, caller, request.pipeline_id) as (_, pipeline, _objects):
        key = pipeline.pipeline_id
    with service.transaction() as transaction:
        conn, now = transaction.conn, transaction.now
        wanted: list[str | None] = [*dict.fromkeys(request.ids)] or [None]
        count = sum(
            alarm_store.retry(conn, now, pipeline_id=key, alarm_id=alarm_id) for alarm_id in wanted
        )
        if count:
            audit.note(conn, key, objects=request.ids, after=f"{count} alarms sent after all")
    return AlarmsRetried(count=count)


def alarm_of(row: AlarmRow) -> Alarm:
    """An alarm as it is told; a secret topic is hidden, also in what its error says."""
    error = row.error
    if error is not None and is_secret(row.topic_arn):
        error = hidden(error, [row.topic])
    return Alarm(
        id=row.alarm_id,
        instance_id=row.instance_id,
        action_id=row.action_id,
        event=row.event,
        status=AlarmStatus(row.status),
        raised=row.created_at,
        topic=row.shown_topic,
        subject=row.subject,
        message=row.message,
        tries=row.tries,
        error=error,
        next_at=row.next_at if row.status == AlarmStatus.PENDING else None,
    )

"""Alarms of a pipeline: who was told what, and whether it came there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.console.views import addresses
from taskrunner.console.views.words import Sign
from taskrunner.model.states import AlarmStatus
from taskrunner.service.v1.alarm_shapes import Alarm, AlarmList

SIGNS: Mapping[AlarmStatus, Sign] = {
    AlarmStatus.FAILED: Sign("✕", "given up", "bad"),
    AlarmStatus.PENDING: Sign("…", "to be sent", "wait"),
    AlarmStatus.LOGGED: Sign("!", "only logged", "off"),
    AlarmStatus.SENT: Sign("✓", "sent", "ok"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLine:
    """An alarm of the list."""

    id: str
    raised: datetime
    sign: Sign
    #: What it was raised by, and by which object of the definition: `onFail, Page`.
    by: str
    instance_id: str
    instance_address: str
    subject: str
    message: str
    topic: str
    #: `12 tries: away`, or nothing.
    trouble: str
    next_at: datetime | None
    #: It can be sent after all.
    given_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsPage:
    """The page."""

    lines: Sequence[AlarmLine]
    #: The statuses that can be asked for, and the one that is.
    statuses: Sequence[tuple[AlarmStatus, str]]
    status: str
    given_up: bool
    #: The address of what is older, or nothing.
    more: str


def alarms_page(
    pipeline_id: str, found: AlarmList, *, query: Mapping[str, Sequence[str]]
) -> AlarmsPage:
    """The page of an answer."""
    path = addresses.pipeline(pipeline_id, "alarms")
    lines = [alarm_line(pipeline_id, alarm) for alarm in found.alarms]
    return AlarmsPage(
        lines=lines,
        statuses=[(status, sign.word) for status, sign in SIGNS.items()],
        status=(query.get("status") or [""])[0],
        given_up=any(line.given_up for line in lines),
        more=addresses.with_query(path, query, marker=found.marker) if found.marker else "",
    )


def alarm_line(pipeline_id: str, alarm: Alarm) -> AlarmLine:
    """An alarm of the list."""
    return AlarmLine(
        id=alarm.id,
        raised=alarm.raised,
        sign=SIGNS[alarm.status],
        by=f"{alarm.event}, {alarm.action_id}",
        instance_id=alarm.instance_id,
        instance_address=addresses.instance(pipeline_id, alarm.instance_id),
        subject=alarm.subject,
        message=alarm.message,
        topic=alarm.topic,
        trouble=_trouble(alarm),
        next_at=alarm.next_at,
        given_up=alarm.status is AlarmStatus.FAILED,
    )


def _trouble(alarm: Alarm) -> str:
    if not alarm.error:
        return ""
    return f"{alarm.tries} {'try' if alarm.tries == 1 else 'tries'}: {alarm.error}"

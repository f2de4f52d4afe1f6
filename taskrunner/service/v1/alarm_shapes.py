"""What /v1 answers about alarms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from taskrunner.model.states import AlarmStatus
from taskrunner.service.v1.schema import about


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A notification that was raised."""

    id: str = about("Its id.")
    instance_id: str = about("The instance that it is about.")
    action_id: str = about("The SnsAlarm of the definition.")
    event: str = about("What it was raised by: onFail, onSuccess or onLateAction.")
    status: AlarmStatus = about(
        "PENDING: to be sent, or to be tried again; SENT; LOGGED: it stands in the service's log "
        "alone; FAILED: it was given up."
    )
    raised: datetime = about("When it was raised.")
    topic: str = about("Where it goes to; masked where that is a secret.")
    subject: str = about("Its subject.")
    message: str = about("Its text.")
    tries: int = about("How often it was tried.")
    error: str | None = about("Why the last try failed.", default=None)
    next_at: datetime | None = about("When it is tried again.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmList:
    """A page of alarms."""

    alarms: tuple[Alarm, ...] = about("The page, newest first.")
    marker: str | None = about(
        "Ask for the next page with this; left out after the last one.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsRetried:
    """That alarms are sent after all."""

    count: int = about("How many had been given up, and are tried anew.")

"""Publishing alarms: to SNS where AWS is configured, else in the service's log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from taskrunner.logs import get_logger
from taskrunner.model.states import AlarmStatus
from taskrunner.service.meters import Meters
from taskrunner.service.store import alarms as alarm_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import AlarmRow
from taskrunner.service.unchanged import Unchanged

log = get_logger()

#: Waits between the tries of an alarm double from the first to the last.
FIRST_WAIT = timedelta(seconds=2)
LAST_WAIT = timedelta(minutes=15)
MOST_TRIES = 12
#: Alarms taken out of the outbox at a time, and how long they are then kept from others.
AT_ONCE = 10
HELD = timedelta(minutes=10)
#: SNS's own bounds.
SUBJECT_CHARACTERS = 100


class Publisher(Protocol):
    """Brings one alarm to its topic."""

    def publish(self, alarm: AlarmRow) -> AlarmStatus:
        """Publish, and tell what became of it; any exception means that it is to be tried again."""
        ...


class PartlyTaken(Exception):
    """Some targets have not taken an alarm; `taken` are the names of those that have, by now."""

    def __init__(self, message: str, taken: Sequence[str]) -> None:
        super().__init__(message)
        self.taken = tuple(taken)


class Recorder:
    """Publishes nothing: the service's log says it, at a level that nobody misses."""

    def publish(self, alarm: AlarmRow) -> AlarmStatus:
        """Say it in the service's log."""
        log.warning(
            "alarm",
            subject=alarm.subject,
            message=alarm.message,
            topic=alarm.shown_topic,
            pipeline_id=alarm.pipeline_id,
            instance_id=alarm.instance_id,
            action=alarm.action_id,
            on=alarm.event,
        )
        return AlarmStatus.LOGGED


class Keeper:
    """Publishes nothing and says nothing: whoever runs the service shows what the store holds."""

    def publish(self, _alarm: AlarmRow) -> AlarmStatus:
        """Leave it in the store."""
        return AlarmStatus.LOGGED


#: A region and the ARN of a role, each or neither, to a client of SNS.
MakeClient = Callable[[str | None, str | None], Any]


class SnsPublisher:
    """Publishes through boto3, in the region that the topic's ARN names, as the alarm's role."""

    def __init__(self, make_client: MakeClient | None = None) -> None:
        self._make_client = make_client or _sns_client
        self._clients: dict[str | None, Any] = {}

    def publish(self, alarm: AlarmRow) -> AlarmStatus:
        """Publish to the alarm's topic; raises what boto3 raises, or TaskError for its role."""
        parts = alarm.topic.split(":")
        region = parts[3] if len(parts) > 3 and parts[3] else None
        self._client(region, alarm.role).publish(
            TopicArn=alarm.topic,
            # SNS refuses line breaks and more than 100 characters in a subject, and an empty one.
            Subject=" ".join(alarm.subject.split())[:SUBJECT_CHARACTERS] or "(no subject)",
            Message=alarm.message or " ",
        )
        return AlarmStatus.SENT

    def _client(self, region: str | None, role: str | None) -> Any:
        if role is not None:
            # Its credentials end: alarms are rare enough to have them anew for each.
            return self._make_client(region, role)
        if region not in self._clients:
            self._clients[region] = self._make_client(region, None)
        return self._clients[region]


def _sns_client(region: str | None, role: str | None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2})
    keys = _keys_of(role, region) if role is not None else {}
    make: Any = boto3.client
    return make("sns", region_name=region, config=config, **keys)


def _keys_of(role: str, region: str | None) -> dict[str, str | None]:
    """The credentials of a role, as boto3 takes them. Raises TaskError or what boto3 raises."""
    import botocore.session
    from botocore.exceptions import NoCredentialsError

    from taskrunner.data.roles import assumed

    session = botocore.session.get_session()
    own = session.get_credentials()
    if own is None:
        raise NoCredentialsError
    where = region or session.get_config_variable("region") or "us-east-1"
    keys = assumed(session, own, role, where, who="service").get_frozen_credentials()
    return {
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
        "aws_session_token": keys.token,
    }


@dataclass(frozen=True)
class AlarmLoop:
    """Takes alarms out of the outbox and publishes them, each until it succeeds or is given up."""

    store: Store
    publisher: Publisher
    meters: Meters = field(default_factory=Meters)
    unchanged: Unchanged = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "unchanged", Unchanged(self.store))

    def run_once(self, now: datetime) -> bool:
        """Publish what is due; whether there was anything."""
        look = self.unchanged.look(now)
        if not look.is_needed:
            return False
        with self.store.read() as conn:
            due_at = alarm_store.next_due(conn)
        if due_at is None or due_at > now:
            self.unchanged.found_nothing(look, until=due_at)
            return False
        with self.store.write() as conn:
            due = alarm_store.due_alarms(conn, now, limit=AT_ONCE)
            for alarm in due:
                # Ours for a while, so that no other process sends it too; a crash gives it back.
                alarm_store.update_alarm(conn, alarm, next_at=now + HELD)
        for alarm in due:
            outcome = self._publish(alarm, now)
            with self.store.write() as conn:
                alarm_store.update_alarm(conn, alarm, **outcome)
            became = str(outcome["status"])
            self.meters.add(
                "taskrunner_alarms_total",
                outcome="RETRIED" if became == AlarmStatus.PENDING else became,
            )
        return bool(due)

    def _publish(self, alarm: AlarmRow, now: datetime) -> dict[str, Any]:
        tries = alarm.tries + 1
        try:
            status = self.publisher.publish(alarm)
        except Exception as error:
            return self._not_taken(alarm, error, tries, now)
        return {"tries": tries, "error": None, "status": status, "next_at": None}

    def _not_taken(
        self, alarm: AlarmRow, error: Exception, tries: int, now: datetime
    ) -> dict[str, Any]:
        text = str(error).replace(alarm.topic or alarm.shown_topic, alarm.shown_topic)
        reason = text if isinstance(error, PartlyTaken) else f"{type(error).__name__}: {text}"
        # A program may say anything; PostgreSQL holds no NUL.
        reason = reason.replace("\0", "\N{REPLACEMENT CHARACTER}")
        facts = {
            "error": reason,
            "topic": alarm.shown_topic,
            "pipeline_id": alarm.pipeline_id,
            "alarm_id": alarm.alarm_id,
            "tries": tries,
        }
        taken = error.taken if isinstance(error, PartlyTaken) else alarm.taken_by
        kept = {"tries": tries, "error": reason, "taken_by": list(taken)}
        if tries >= MOST_TRIES:
            # Nobody else will say it: with its text, as an alarm that is only logged.
            log.error("alarm given up", subject=alarm.subject, message=alarm.message, **facts)
            return {**kept, "status": AlarmStatus.FAILED, "next_at": None}
        log.warning("alarm could not be published", **facts)
        wait = min(FIRST_WAIT * 2 ** (tries - 1), LAST_WAIT)
        return {**kept, "status": AlarmStatus.PENDING, "next_at": now + wait}

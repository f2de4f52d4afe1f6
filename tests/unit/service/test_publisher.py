from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import pytest
from structlog.testing import capture_logs

from taskrunner.model.masks import MASK
from taskrunner.model.states import AlarmStatus
from taskrunner.service.actions.publisher import (
    HELD,
    MOST_TRIES,
    AlarmLoop,
    Keeper,
    Recorder,
    SnsPublisher,
)
from taskrunner.service.store.rows import AlarmRow
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, FakePublisher, T, alarm, shell

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def world(kept: ServiceInProcess, publisher: FakePublisher) -> ServiceInProcess:
    return kept.reset(publisher=publisher)


def raise_one(world: ServiceInProcess) -> str:
    pipeline = world.run([ON_DEMAND, alarm("Good"), shell("A", onSuccess={"ref": "Good"})])
    world.work_off()
    return pipeline


def test_an_alarm_is_published_once(world: ServiceInProcess, publisher: FakePublisher) -> None:
    pipeline = raise_one(world)
    world.advance(timedelta(days=1))
    assert [a.subject for a in publisher.published] == ["A FINISHED"]
    (kept,) = world.alarms(pipeline)
    assert (kept.status, kept.tries, kept.error) == ("SENT", 1, None)


def test_a_topic_that_is_away_is_tried_again_after_ever_longer_waits(
    world: ServiceInProcess, publisher: FakePublisher
) -> None:
    publisher.broken = True
    pipeline = raise_one(world)
    waits = []
    for _ in range(4):
        (kept,) = world.alarms(pipeline)
        assert kept.next_at is not None
        assert kept.error == "ConnectionError: no way to the topic"
        waits.append(kept.next_at - world.now)
        world.advance(waits[-1] - SECOND)
        assert publisher.tries == len(waits)
        world.advance(SECOND)
    assert waits == [2 * SECOND, 4 * SECOND, 8 * SECOND, 16 * SECOND]
    publisher.broken = False
    world.advance(timedelta(minutes=1))
    assert [a.status for a in world.alarms(pipeline)] == ["SENT"]
    assert len(publisher.published) == 1


def test_what_a_program_says_that_no_store_can_hold_is_replaced(
    world: ServiceInProcess, publisher: FakePublisher
) -> None:
    """PostgreSQL refuses a NUL: the duty that sends alarms would end, and the service with it."""
    publisher.broken, publisher.says = True, "no\0way"
    (kept,) = world.alarms(raise_one(world))
    assert kept.error == "ConnectionError: no\N{REPLACEMENT CHARACTER}way"


def test_a_topic_that_stays_away_is_given_up(
    world: ServiceInProcess, publisher: FakePublisher
) -> None:
    publisher.broken = True
    pipeline = raise_one(world)
    for _ in range(2 * MOST_TRIES):
        world.advance(timedelta(minutes=15))
    (kept,) = world.alarms(pipeline)
    assert (kept.status, kept.next_at, publisher.tries) == ("FAILED", None, MOST_TRIES)


def test_one_process_at_a_time_has_an_alarm(world: ServiceInProcess) -> None:
    """While one publishes, another that looks finds nothing; a crash gives the alarm back."""
    found: list[bool] = []

    class Looks:
        def publish(self, _alarm: AlarmRow) -> NoReturn:
            found.append(AlarmLoop(world.service.store, Recorder()).run_once(world.now))
            raise KeyboardInterrupt

    world.run([ON_DEMAND, alarm("Good"), shell("A", onSuccess={"ref": "Good"})])
    world.service.set_task_status(world.take().task_id, "FINISHED")
    while world.service.scheduler.tick(world.now):
        pass
    with pytest.raises(KeyboardInterrupt):
        AlarmLoop(world.service.store, Looks()).run_once(world.now)
    assert found == [False]
    assert AlarmLoop(world.service.store, Recorder()).run_once(world.now + HELD) is True


# -- the log --------------------------------------------------------------------------------


def test_an_alarm_that_only_is_logged_is_not_said_to_be_sent(kept: ServiceInProcess) -> None:
    world = kept.reset(publisher=Recorder())
    with capture_logs() as log:
        pipeline = raise_one(world)
    (row,) = world.alarms(pipeline)
    assert (row.status, row.tries, row.next_at) == ("LOGGED", 1, None)
    assert log == [
        {
            "event": "alarm",
            "log_level": "warning",
            "subject": "A FINISHED",
            "message": "at 2026-02-13T02:00:00",
            "topic": "arn:aws:sns:us-east-1:1:t",
            "pipeline_id": pipeline,
            "instance_id": f"@A_{T}",
            "action": "Good",
            "on": "onSuccess",
        }
    ]


def test_where_others_show_alarms_the_log_keeps_quiet(kept: ServiceInProcess) -> None:
    world = kept.reset(publisher=Keeper())
    with capture_logs() as log:
        pipeline = raise_one(world)
    assert [row.status for row in world.alarms(pipeline)] == ["LOGGED"]
    assert log == []


def test_what_cannot_be_published_is_logged_with_its_reason(
    world: ServiceInProcess, publisher: FakePublisher
) -> None:
    publisher.broken = True
    with capture_logs() as log:
        pipeline = raise_one(world)
    (told,) = log
    assert told["event"] == "alarm could not be published"
    assert told["error"] == "ConnectionError: no way to the topic"
    assert told["pipeline_id"] == pipeline
    assert told["tries"] == 1


# -- SNS ------------------------------------------------------------------------------------

ROW = AlarmRow(
    pipeline_id="df-1",
    alarm_id="1",
    instance_id="@A_1",
    action_id="Good",
    event="onSuccess",
    topic_arn="arn:aws:sns:eu-west-1:1:t",
    subject="done",
    message="all of it",
    status="PENDING",
    tries=0,
    created_at=NOW,
)


class Sns:
    """SNS clients that remember what they were told."""

    def __init__(self) -> None:
        self.made: list[tuple[str | None, str | None]] = []
        self.told: list[dict[str, str]] = []

    def make(self, region: str | None, role: str | None) -> Any:
        self.made.append((region, role))
        return self

    def publish(self, **message: str) -> None:
        self.told.append(message)


def test_sns_is_told_in_the_topics_region_by_one_client() -> None:
    sns = Sns()
    publisher = SnsPublisher(sns.make)
    for arn in ("arn:aws:sns:eu-west-1:1:t", "arn:aws:sns:eu-west-1:1:u", "topic"):
        publisher.publish(replace(ROW, topic_arn=arn))
    assert sns.made == [("eu-west-1", None), (None, None)]
    assert sns.told[0] == {
        "TopicArn": "arn:aws:sns:eu-west-1:1:t",
        "Subject": "done",
        "Message": "all of it",
    }


def test_a_role_is_assumed_anew_for_each_alarm() -> None:
    sns = Sns()
    publisher = SnsPublisher(sns.make)
    for role in (None, "arn:aws:iam::1:role/r", "arn:aws:iam::1:role/r"):
        publisher.publish(replace(ROW, role=role))
    roles = [None, "arn:aws:iam::1:role/r", "arn:aws:iam::1:role/r"]
    assert sns.made == [("eu-west-1", role) for role in roles]
    assert len(sns.told) == 3


@pytest.mark.parametrize(
    ("role", "assumed"),
    [("arn:aws:iam::1:role/#{myName}", "arn:aws:iam::1:role/alarms"), ("DataPipelineRole", None)],
)
def test_only_the_arn_of_a_role_says_whose_it_is(
    world: ServiceInProcess, role: str, assumed: str | None
) -> None:
    pipeline = world.run(
        [
            ON_DEMAND,
            alarm("Good", role=role, myName="alarms"),
            shell("A", onSuccess={"ref": "Good"}),
        ]
    )
    world.work_off()
    assert [row.role for row in world.alarms(pipeline)] == [assumed]


@pytest.mark.parametrize(
    ("subject", "sent"),
    [("two\nlines\tof it", "two lines of it"), ("x" * 300, "x" * 100), (" ", "(no subject)")],
)
def test_subjects_are_made_to_fit_sns(subject: str, sent: str) -> None:
    sns = Sns()
    SnsPublisher(sns.make).publish(replace(ROW, subject=subject, message=""))
    assert (sns.told[0]["Subject"], sns.told[0]["Message"]) == (sent, " ")


class Refusing:
    """A topic that repeats what it was asked for."""

    def publish(self, alarm: AlarmRow) -> AlarmStatus:
        raise ValueError(f"no topic {alarm.topic}")


@pytest.mark.parametrize(
    ("stored", "sent", "shown"), [("*arn:hush", "arn:hush", MASK), ("arn:t", "arn:t", "arn:t")]
)
def test_a_secret_topic_is_sent_to_and_told_nobody(
    world: ServiceInProcess, stored: str, sent: str, shown: str
) -> None:
    sns = Sns()
    row = replace(ROW, topic_arn=stored)
    SnsPublisher(sns.make).publish(row)
    assert (sns.told[0]["TopicArn"], row.shown_topic) == (sent, shown)
    outcome = AlarmLoop(world.service.store, Refusing())._publish(row, NOW)
    assert outcome["error"] == f"ValueError: no topic {shown}"

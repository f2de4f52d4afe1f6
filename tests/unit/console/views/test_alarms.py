from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from taskrunner.console.views.alarms import SIGNS, alarms_page
from taskrunner.model.states import AlarmStatus
from taskrunner.service.v1.alarm_shapes import Alarm, AlarmList

ALARM = Alarm(
    id="@A_1_onFail_Page_3",
    instance_id="@A_1",
    action_id="Page",
    event="onFail",
    status=AlarmStatus.SENT,
    raised=datetime(2026, 11, 30, 2, tzinfo=UTC),
    topic="arn:aws:sns:us-east-1:1:t",
    subject="A failed",
    message="at 02:00",
    tries=1,
)


def test_every_state_has_a_sign() -> None:
    assert set(SIGNS) == set(AlarmStatus)


def test_only_what_was_given_up_can_be_sent_after_all() -> None:
    given_up = replace(ALARM, status=AlarmStatus.FAILED, tries=12, error="away")
    page = alarms_page("df-1", AlarmList(alarms=(ALARM, given_up)), query={})
    assert [line.given_up for line in page.lines] == [False, True]
    assert page.given_up
    assert [line.trouble for line in page.lines] == ["", "12 tries: away"]
    assert page.lines[0].by == "onFail, Page"
    assert page.lines[0].instance_address == "/p/df-1/i/@A_1"
    assert not alarms_page("df-1", AlarmList(alarms=(ALARM,)), query={}).given_up


def test_the_next_page_is_of_the_same_state() -> None:
    page = alarms_page("df-1", AlarmList(alarms=(ALARM,), marker="m"), query={"status": ["SENT"]})
    assert page.more == "/p/df-1/alarms?status=SENT&marker=m"
    assert page.status == "SENT"
    assert alarms_page("df-1", AlarmList(alarms=()), query={}).more == ""

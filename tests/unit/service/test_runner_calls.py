from __future__ import annotations

from collections.abc import Mapping

import pytest

from taskrunner.errors import InternalService, ServiceFault
from taskrunner.service.auth import Permit
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.roster import RunnerCall
from taskrunner.service.runner_calls import RunnerCalls, Sender
from taskrunner.service.store.rows import RefusedPollRow
from taskrunner.testing import FakeClock
from taskrunner.wire.faults import AccessDenied, UnknownClient
from taskrunner.wire.http import HttpRequest
from taskrunner.wire.runner_messages import PollForTaskInput
from taskrunner.wire.user_agent import DOCTOR, RunnerFacts

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA1/20260213/us-east-1/datapipeline/aws4_request, x"


class Noting:
    """A roster that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.rows: list[RefusedPollRow] = []

    def polled(self, call: RunnerCall, worker_group: str, hostname: str | None) -> None:
        self.told.append(("polled", (call.caller.user, worker_group, hostname)))

    def worked(self, call: RunnerCall) -> None:
        self.told.append(("worked", call.facts))

    def refused(self, row: RefusedPollRow) -> None:
        self.rows.append(row)


def call_of(
    operation: str = "PollForTask",
    *,
    facts: RunnerFacts | None = None,
    known: bool = True,
    body: bytes = b'{"workerGroup":"wg","hostname":"h"}',
) -> Sender:
    headers: Mapping[str, str] = {
        "x-amz-target": f"DataPipeline.{operation}",
        "authorization": SIGNED,
        "user-agent": facts.header() if facts else "aws-sdk-java/1.11",
    }
    call = Sender(headers, "192.0.2.1")
    if known:
        call.permit = Permit(caller=Caller(account="1", user="u"))
        call.request = HttpRequest(path="/", headers=headers, body=body)
    return call


def told(call: Sender, fault: ServiceFault) -> list[RefusedPollRow]:
    roster = Noting()
    RunnerCalls(roster, FakeClock().now).refused(call, fault)
    return roster.rows


def test_polls_and_reports_of_runners_are_told() -> None:
    roster = Noting()
    calls = RunnerCalls(roster, FakeClock().now)
    facts = RunnerFacts(runner_id="4f", slots=1, busy=0, paused="")

    calls.polled(call_of(facts=facts), PollForTaskInput(worker_group="wg", hostname="h"))
    calls.worked(call_of(facts=facts), "SetTaskStatus")
    calls.worked(call_of(facts=facts), "ListPipelines")

    assert roster.told == [("polled", ("u", "wg", "h")), ("worked", facts)]


def test_a_refused_poll_is_told_with_its_group_if_its_key_is_known() -> None:
    (row,) = told(call_of(), AccessDenied("not that group"))

    assert row == RefusedPollRow(
        ip="192.0.2.1",
        worker_group="wg",
        code="AccessDeniedException",
        message="not that group",
        last_at=FakeClock().now(),
        account="1",
        key_id="AKIA1",
        hostname="h",
    )


def test_who_is_refused_for_its_key_tells_its_groups_itself_or_nobody_does() -> None:
    facts = RunnerFacts(runner_id="4f", groups=("a", "b"))
    rows = told(call_of(facts=facts, known=False), UnknownClient("no such key"))
    assert [(row.worker_group, row.account) for row in rows] == [("a", None), ("b", None)]

    (row,) = told(call_of(known=False), UnknownClient("no such key"))
    assert (row.worker_group, row.key_id, row.hostname) == ("", "AKIA1", None)


@pytest.mark.parametrize("body", [b"{", b"{}", b"[]"])
def test_a_poll_that_makes_no_sense_is_told_without_a_group(body: bytes) -> None:
    (row,) = told(call_of(body=body), AccessDenied("no"))
    assert row.worker_group == ""


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (call_of("ListPipelines"), AccessDenied("no")),
        (call_of(), InternalService("our own failure is no refusal")),
        (call_of(facts=RunnerFacts(program=DOCTOR)), AccessDenied("no")),
    ],
)
def test_what_is_no_refusal_of_a_runner_is_not_told(call: Sender, fault: ServiceFault) -> None:
    assert told(call, fault) == []


def test_whoever_needs_no_key_is_known_by_what_it_says() -> None:
    roster = Noting()
    call = call_of()
    call.permit = Permit(caller=ANONYMOUS)
    RunnerCalls(roster, FakeClock().now).polled(call, PollForTaskInput(worker_group="wg"))
    assert roster.told == [("polled", ("anonymous", "wg", None))]

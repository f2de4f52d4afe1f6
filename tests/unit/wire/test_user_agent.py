from __future__ import annotations

import pytest

from taskrunner import __version__
from taskrunner.wire.http import HttpReply
from taskrunner.wire.runner import RunnerApi
from taskrunner.wire.user_agent import DOCTOR, RunnerFacts, read_user_agent
from tests.unit.wire.fakes import client_answering


@pytest.mark.parametrize(
    "facts",
    [
        RunnerFacts(),
        RunnerFacts(program=DOCTOR),
        RunnerFacts(runner_id="4f", slots=4, busy=0, groups=("prod", "a,b; c=d) é"), paused=""),
        RunnerFacts(runner_id="x y", slots=1, busy=1, paused="operator: a; b (c), d"),
    ],
)
def test_what_is_said_is_read_again(facts: RunnerFacts) -> None:
    header = facts.header()

    assert header.isascii()
    assert read_user_agent(header) == facts


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Boto3/1.40 md/Botocore#1.40",
        "aws-sdk-java/1.11",
        "taskrunner",
        "other/1.0 (id=1)",
        "taskrunner/1 (id=1) and more",
        "taskrunner/1 (" + "x" * 3000 + ")",
    ],
)
def test_what_somebody_else_says_is_not_ours(header: str) -> None:
    assert read_user_agent(header) is None


@pytest.mark.parametrize("count", ["", "-1", "1.5", "x", "\u0663"])
def test_nonsense_about_slots_is_not_known(count: str) -> None:
    found = read_user_agent(f"taskrunner/1 (id=1; slots={count}; later=thing)")

    assert found is not None
    assert (found.runner_id, found.slots, found.paused) == ("1", None, None)


def test_however_much_there_is_to_say_the_header_stays_short() -> None:
    facts = RunnerFacts(
        runner_id="1", slots=10**9, groups=tuple(f"é{n}" for n in range(999)), paused="é" * 999
    )
    found = read_user_agent(facts.header())

    assert found is not None
    assert found.groups == facts.groups[: len(found.groups)]
    assert len(found.groups) > 10
    assert found.paused
    assert set(found.paused) == {"é"}
    assert len(facts.header()) < 2048


def test_each_call_says_what_is_so_by_then() -> None:
    client, transport = client_answering(lambda _request: HttpReply(status=200, body=b"{}"))
    runner = RunnerApi(client.call, introduction=client.introduction).over(client.call)
    runner.poll_for_task(worker_group="g", hostname="h")
    runner.introduction.facts = lambda: RunnerFacts(runner_id="4f", slots=2, busy=1)
    runner.poll_for_task(worker_group="g", hostname="h")

    said = [request.headers["user-agent"] for request, _ in transport.sent]
    assert said == [
        f"taskrunner/{__version__}",
        f"taskrunner/{__version__} (id=4f; slots=2; busy=1)",
    ]


@pytest.mark.parametrize("key", ["id", "groups", "paused"])
@pytest.mark.parametrize("text", ["%00", "a%00b", "%0A", "%1B[31m", "%C2%85", "%E2%80%AE"])
def test_what_no_store_or_terminal_can_hold_is_nobodys_header(key: str, text: str) -> None:
    """Anybody may send one; PostgreSQL refuses a NUL, and the duty that saves it would end."""
    assert read_user_agent(f"taskrunner/1.0 (id=a; {key}={text})") is None

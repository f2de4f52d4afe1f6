from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.model.why.causes import Cause, Code
from taskrunner.model.why.facts import Group, Known, Refusal, Runner
from taskrunner.model.why.groups import GONE_AFTER, SILENT_AFTER, group_causes

NOW = datetime(2026, 2, 13, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WAITING = InstanceRow(
    pipeline_id="df-1",
    instance_id="@A",
    component_id="A",
    name="A",
    type="ShellCommandActivity",
    category="activity",
    version=1,
    status=InstanceStatus.WAITING_FOR_RUNNER,
    scheduled_start=NOW,
    scheduled_end=NOW,
    not_before=NOW,
    created_at=NOW,
    worker_group="g",
)


def runner(name: str = "host", *, ago: timedelta = MINUTE, **more: object) -> Runner:
    seen = NOW - ago
    return Runner(**{"name": name, "polled_at": seen, "seen_at": seen, **more})  # type: ignore[arg-type]


def causes(group: Group | None, ahead: int | None = None) -> list[Cause]:
    return list(group_causes(group, "g", Known(row=WAITING, ahead=ahead), NOW))


def codes(group: Group | None) -> list[Code]:
    return [cause.code for cause in causes(group)]


@pytest.mark.parametrize(
    ("runners", "code"),
    [
        ((), Code.NO_RUNNER),
        ((runner(),), Code.IN_QUEUE),
        ((runner(ago=SILENT_AFTER),), Code.IN_QUEUE),
        ((runner(ago=SILENT_AFTER + MINUTE),), Code.RUNNER_SILENT),
        # It says that it is paused, and is heard of by its heartbeats alone.
        ((runner(ago=GONE_AFTER, paused="operator: x"),), Code.RUNNERS_PAUSED),
        ((runner(ago=GONE_AFTER + MINUTE, paused="operator: x"),), Code.RUNNER_SILENT),
        ((runner(paused="disk: full"), runner(paused="")), Code.IN_QUEUE),
        ((runner(slots=2, busy=2, paused=""),), Code.RUNNERS_BUSY),
        ((runner(slots=2, busy=2, paused=""), runner(slots=2, busy=1, paused="")), Code.IN_QUEUE),
        ((runner(slots=2, busy=2, paused=""), runner(paused="x")), Code.RUNNERS_BUSY),
        # Of somebody else's runner only its tasks tell that it is there.
        ((runner(ago=timedelta(hours=1), running=1),), Code.RUNNERS_BUSY),
        ((runner(ago=timedelta(hours=1), running=1, slots=1, busy=1),), Code.RUNNER_SILENT),
    ],
)
def test_what_runners_do(runners: tuple[Runner, ...], code: Code) -> None:
    assert codes(Group(name="g", runners=runners)) == [code]


def test_a_service_that_tells_nothing_of_runners() -> None:
    (cause,) = causes(None)
    assert (cause.code, cause.command) == (
        Code.RUNNERS_NOT_KNOWN,
        "taskrunner doctor --worker-group g",
    )


def test_a_queue_of_the_service_itself() -> None:
    (cause,) = causes(Group(name="g", own=True), ahead=3)
    assert cause.code is Code.IN_QUEUE
    assert "the service checks it itself" in cause.says
    assert "3 wait for longer" in cause.says


def refusal(*, for_group: bool) -> Refusal:
    return Refusal(
        code="AccessDeniedException",
        message="not you.",
        at=NOW - MINUTE,
        whence="host",
        for_group=for_group,
    )


def test_what_is_known_for_sure_comes_first_and_a_guess_only_alone() -> None:
    refused = (refusal(for_group=False), refusal(for_group=True))
    old = (runner(ago=timedelta(days=1)),)
    group = Group(name="g", runners=old, refused=refused, others={"G": "host-b"}, elsewhere=True)
    assert codes(group) == [
        Code.RUNNER_REFUSED,
        Code.RUNNER_OF_OTHER_NAME,
        Code.RUNNER_SILENT,
        Code.RUNNER_OF_OTHER_ACCOUNT,
    ]
    assert codes(Group(name="g", refused=refused[:1])) == [Code.RUNNER_REFUSED]
    assert codes(Group(name="g", refused=refused[:1], runners=(runner(),))) == [Code.IN_QUEUE]


def test_the_other_groups_are_named_where_none_is_near() -> None:
    others = dict.fromkeys(("x", "y", "z", "w", "resource:df_@R"), "host")
    (cause,) = causes(Group(name="g", others=others))
    assert cause.says.endswith("; asked for are 'w', 'x', 'y' and 1 more")


@pytest.mark.parametrize(
    ("ahead", "ended", "words"),
    [
        (None, 9, "(host)"),
        (0, 9, "(host)"),
        (1, 0, "; 1 waits for longer, and none has ended within 15 min"),
        (29, 30, "; 29 wait for longer; at the present rate (30 in 15 min) about 15 min"),
    ],
)
def test_how_long_the_line_is(ahead: int | None, ended: int, words: str) -> None:
    busy = runner(slots=1, busy=1, paused="")
    (cause,) = causes(Group(name="g", runners=(busy,), ended=ended), ahead)
    assert cause.says.endswith(words)


@pytest.mark.parametrize(("slots", "words"), [(1, "the one task slot"), (4, "each of the 4")])
def test_the_command_gives_twice_the_slots(slots: int, words: str) -> None:
    busy = runner(slots=slots, busy=slots, paused="")
    (cause,) = causes(Group(name="g", runners=(busy,)))
    assert cause.says.startswith(words)
    assert cause.command.endswith(f"--tasks {2 * slots}")

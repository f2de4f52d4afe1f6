"""A4, A5: replies get lost, of reports and verdicts, and of polls."""

from __future__ import annotations

import collections
from pathlib import Path

from botocore.exceptions import ClientError

from tests.chaos.proxy import Call, Fault, Kind, Rule
from tests.chaos.scale import Chaos
from tests.chaos.storm import Plan, Storm, storm
from tests.chaos.work import token_of

REPORTS = frozenset({"SetTaskStatus", "ReportTaskProgress"})
POLLS = frozenset({"PollForTask"})
#: How much later than its window a hand-out may be noticed on a machine that has much to do.
_MARGIN_S = 30.0


def lose_half_of(operations: frozenset[str]) -> list[Rule]:
    """The first reply of each is lost in any case, so that few calls are enough to show it."""
    lost = Fault(kind=Kind.DROP_REPLY)
    first = [Rule(fault=lost, operations=frozenset({name}), times=1) for name in operations]
    return [*first, Rule(fault=lost, operations=operations, share=0.5)]


def repeats(calls: list[Call]) -> list[Call]:
    """Verdicts that were told again after they had been taken."""
    taken: set[str] = set()
    found = []
    for call in calls:
        if call.operation == "SetTaskStatus":
            if call.request["taskId"] in taken:
                found.append(call)
            if call.status == 200:
                taken.add(call.request["taskId"])
    return found


def test_a_report_that_is_told_again_counts_once(chaos: Chaos, tmp_path: Path) -> None:
    # The lease is long: nothing but replies is lost, so that nothing may be run again.
    plan = Plan(hosts=chaos.trials(3, 6), slots=6, ack_s=30, lease_s=60, progress_s=0.3)
    tasks = chaos.trials(10, 500)
    with storm(tmp_path, chaos.random, plan) as world:
        world.proxy.rules(*lose_half_of(REPORTS))
        world.start_hosts()
        for start in range(0, tasks, 100):
            world.add_tasks(min(100, tasks - start), "0.$((RANDOM % 6))")
        ended = world.finish()
        lost = {name: world.proxy.count(Kind.DROP_REPLY, [name]) for name in sorted(REPORTS)}
        world.proxy.rules()
        again = repeats(world.calls)
        other = _another_verdict(world)
        found = world.violations(single=True)
    chaos.found(
        "A4",
        f"{tasks} tasks, replies lost {lost}: {len(again)} verdicts repeated, "
        f"{sum(call.status == 200 for call in again)} of them taken again; another verdict: "
        f"{other}; {len(found)} violations",
    )
    assert ended, world.history.path
    assert not found, (world.history.path, [str(violation) for violation in found[:10]])
    assert all(lost.values())
    assert again
    # None: the agent was out of patience before the answer came.
    assert {call.status for call in again} - {None} == {200}
    assert other == {"InvalidRequestException": 1}


def _another_verdict(world: Storm) -> dict[str, int]:
    """What the service says to FAILED for a task that is FINISHED, and to FINISHED again."""
    task_id = next(
        call.request["taskId"] for call in world.calls if call.operation == "SetTaskStatus"
    )
    refused: collections.Counter[str] = collections.Counter()
    for status in ("FAILED", "FINISHED"):
        try:
            world.client.set_task_status(taskId=task_id, taskStatus=status)
        except ClientError as error:
            refused[error.response["Error"]["Code"]] += 1
    return dict(refused)


def test_a_lost_poll_reply_costs_no_more_than_the_window(chaos: Chaos, tmp_path: Path) -> None:
    plan = Plan(hosts=chaos.trials(3, 6), slots=2, ack_s=1.0, lease_s=30)
    tasks = chaos.trials(8, 200)
    with storm(tmp_path, chaos.random, plan) as world:
        world.proxy.rules(*lose_half_of(POLLS))
        # Before anybody polls, so that the first reply, which is lost, has one.
        world.add_tasks(tasks)
        world.start_hosts()
        ended = world.finish()
        world.proxy.rules()
        found = world.violations(single=True)
        evidence = world.evidence(single=True)
    lost = {
        call.reply["taskObject"]["taskId"]
        for call in world.calls
        if call.operation == "PollForTask" and call.reply.get("taskObject") and call.fault
    }
    given = {c.key[1]: c.at for c in evidence.changes if c.after == "ASSIGNED"}
    freed = {c.key[1]: c.at for c in evidence.changes if c.after == "SUPERSEDED"}
    waits = [freed[task_id] - given[task_id] for task_id in lost if task_id in freed]
    ran = {effect.token for effect in evidence.effects} & {token_of(task_id) for task_id in lost}
    chaos.found(
        "A5",
        f"{tasks} tasks, {world.proxy.count(Kind.DROP_REPLY)} replies to polls lost, "
        f"{len(lost)} of them with a task: each handed out again, after "
        f"{min(waits, default=0):.1f} to {max(waits, default=0):.1f} s (window "
        f"{plan.ack_s:.0f} s); {len(ran)} ran; {len(found)} violations",
    )
    assert ended, world.history.path
    assert not found, (world.history.path, [str(violation) for violation in found[:10]])
    assert lost
    assert lost <= set(freed)
    assert not ran
    assert max(waits) <= plan.ack_s + _MARGIN_S

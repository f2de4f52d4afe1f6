"""A1, A2: agents and service are killed at random, and no task is lost, doubled or half done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.checker import overlaps
from tests.chaos.hosts import pause_for
from tests.chaos.scale import Chaos, is_full
from tests.chaos.storm import Plan, Storm, storm

pytestmark = pytest.mark.xdist_group("alone")

#: Tasks that come at once; the next come while kills go on.
_BATCH = 10


def kill_all_the_time(
    world: Storm, *, kills: int, service_kills: int, tasks: int, pace_s: float
) -> None:
    """Kill agents at random moments, `pace_s` apart on average, while there is work."""
    # Some of it outlasts the life of an agent in the storm.
    seconds = f"$((RANDOM % {round(pace_s * 8)})).$((RANDOM % 10))"
    batches = tasks // _BATCH
    world.start_hosts()
    for number in range(kills):
        if number * batches // kills >= len(world.pipelines):
            world.add_tasks(_BATCH, seconds)
        pause_for(world.chance.expovariate(1 / pace_s))
        # On a busy machine all kills would be over before the first task begins.
        world.wait_until("a task to hit", world.at_work, 60)
        if number * service_kills // kills != (number + 1) * service_kills // kills:
            world.kill_service()
        world.kill_one()
        world.revive()


def weather_the_storm(
    chaos: Chaos, folder: Path, plan: Plan, *, kills: int, service_kills: int, tasks: int
) -> str:
    """Kill all the time and judge; says what was seen."""
    pace_s = 0.45 if chaos.full else 0.25
    with storm(folder, chaos.random, plan) as world:
        kill_all_the_time(
            world, kills=kills, service_kills=service_kills, tasks=tasks, pace_s=pace_s
        )
        assert world.expected == tasks
        ended = world.finish(600)
        found = world.violations()
        evidence = world.evidence()
    counts = world.history.counts
    again = {h.attempt for h in evidence.handouts if not h.attempt[1].endswith("Attempt=1")}
    assert ended, world.history.path
    assert not found, (world.history.path, [str(violation) for violation in found[:10]])
    assert counts["kill"] == kills
    assert counts["service killed"] == service_kills
    assert again, "no kill hit a task"
    assert world.watcher.looks
    finished = list(evidence.statuses.values()).count("FINISHED")
    return (
        f"{kills} kills of agents and {service_kills} of the service over {tasks} tasks: "
        f"{finished} FINISHED, none lost, none twice; {len(again)} further attempts, "
        f"{overlaps(evidence)} of them while the one before went on; "
        f"{world.watcher.looks} looks at outputs, none half-written"
    )


def test_every_task_ends_once_however_often_its_runner_dies(chaos: Chaos, tmp_path: Path) -> None:
    kills, tasks = chaos.trials(15, 1000), chaos.trials(20, 500)
    said = weather_the_storm(
        chaos, tmp_path, Plan(), kills=kills, service_kills=chaos.trials(1, 60), tasks=tasks
    )
    chaos.found("A1, A2", said)


@pytest.mark.skipif(not is_full(), reason="slow, and much the same: in the full form only")
@pytest.mark.external_service
def test_the_same_holds_with_postgresql_and_s3(
    chaos: Chaos, tmp_path: Path, postgresql_database: str, s3_endpoint: str
) -> None:
    # Each output takes a process with the S3 library: on two processors that bounds the numbers.
    plan = Plan(database_url=postgresql_database, s3_endpoint=s3_endpoint, lease_s=10)
    said = weather_the_storm(chaos, tmp_path, plan, kills=150, service_kills=10, tasks=80)
    chaos.found("A1, A2", f"PostgreSQL and S3: {said}")

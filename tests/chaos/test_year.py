"""A year of a 15-minute pipeline of 20 activities on a fake clock, made up for in one go.

The short form is a day of it. Whatever the size, every instance is made once and comes to its right
state, no transaction grows, and a task that is handed out and ended costs the same statements.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from taskrunner.service.store.tables import instances
from taskrunner.testing import ServiceInProcess
from tests.chaos.scale import Chaos
from tests.statements import asked
from tests.unit.service.worlds import schedule, scheduled, shell

QUARTER = timedelta(minutes=15)
A_DAY = 96
ACTIVITIES = 20
#: Periods that are worked off by runners; the rest is ended by a deactivation.
WORKED_OFF = 4
#: Statements in a transaction, each row that one writes counted.
MOST = 2500


@pytest.mark.xdist_group("chaos-year")
def test_a_year_of_a_pipeline(chaos: Chaos) -> None:
    periods = chaos.trials(A_DAY, 365 * A_DAY)
    names = [f"A{number:02}" for number in range(ACTIVITIES)]
    with ServiceInProcess() as world:
        begin = (world.now - periods * QUARTER).strftime("%Y-%m-%dT%H:%M:%S")
        times = schedule(period="15 minutes", occurrences=str(periods), startDateTime=begin)
        chain = [
            shell(name, after=before) for before, name in zip(["", *names], names, strict=False)
        ]
        pipeline = world.put([scheduled(), times, *chain])
        with asked(world.service.store) as making:
            world.service.activate(pipeline)
            while world.service.scheduler.tick(world.now):
                pass
        total = periods * ACTIVITIES
        assert states(world) == {"WAITING_ON_DEPENDENCIES": total - 5, "WAITING_FOR_RUNNER": 5}
        costs = [task(world) for _ in range(WORKED_OFF * ACTIVITIES)]
        # In the midst of it: as many at the end as at the beginning.
        assert sorted(costs[:20])[10] * 1.2 >= sorted(costs[-20:])[10]
        with asked(world.service.store) as ending:
            world.service.deactivate(pipeline)
            while world.service.scheduler.tick(world.now):
                pass
        done = WORKED_OFF * ACTIVITIES
        assert states(world) == {"FINISHED": done, "CANCELED": total - done}
        assert world.state(pipeline) == "INACTIVE"
    assert max(making.most, ending.most) <= MOST
    chaos.found(
        "P8",
        f"{total} instances, each in its right state; the largest transaction had "
        f"{max(making.most, ending.most)} statements, a task {sorted(costs)[len(costs) // 2]}",
    )


def states(world: ServiceInProcess) -> dict[str, int]:
    """How many instances have each status."""
    count = sa.select(instances.c.status, sa.func.count()).group_by(instances.c.status)
    with world.service.store.read() as conn:
        return {status: int(found) for status, found in conn.execute(count)}


def task(world: ServiceInProcess) -> int:
    """Take a task and end it; how many statements all of it took."""
    with asked(world.service.store) as found:
        taken = world.service.claim("wg", "host")
        assert taken is not None
        world.service.report_progress(taken.task_id, {})
        world.service.set_task_status(taken.task_id, "FINISHED")
        while world.service.scheduler.tick(world.now):
            pass
    return found.total

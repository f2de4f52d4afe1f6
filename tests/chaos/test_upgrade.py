"""A store of the first schema is taken over by today's service while agents have work of it.

One task was handed out before the upgrade; its runner reports to the new service and gives its
verdict. The others wait in the queue and are run by a real agent, each once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from taskrunner.model.codec import DEFINITION
from taskrunner.model.decisions import Queue
from taskrunner.service.store.tables import attempts, definitions
from taskrunner.service.store.tables import instances as instances_table
from taskrunner.testing.service import as_definition
from tests.acceptance.served_process import served
from tests.chaos.scale import Chaos
from tests.contract.stores import STORES, key_option
from tests.contract.test_migrations import ATTEMPT, INSTANCE, fill, insert_old, migrated
from tests.integration.agent_harness import running_agent, wait_for
from tests.integration.api_calls import call

PATIENCE_S = 300.0
FINISHED = {"type": "EQ", "values": ["FINISHED"]}


def fill_queue(conn: sa.Connection, tasks: int, effects: Path) -> None:
    """A task that a runner holds, and so many that nobody has asked for."""
    fill(conn)
    names = [f"W{number:02}" for number in range(tasks)]
    objects = [{"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"}]
    objects += [
        {"id": name, "type": "ShellCommandActivity", "command": f"echo {name} >> {effects}"}
        for name in ("A", *names)
    ]
    body = DEFINITION.encode(as_definition(objects))
    conn.execute(definitions.update().values(body=body))
    for name in names:
        own = f"@{name}"
        instance = replace(INSTANCE, instance_id=own, component_id=name, name=name)
        insert_old(conn, instances_table, instance)
        waiting = replace(
            ATTEMPT, instance_id=own, attempt_id=f"{own}_Attempt=1", queue=Queue.READY
        )
        insert_old(conn, attempts, waiting)


@pytest.mark.xdist_group("chaos-upgrade")
@pytest.mark.parametrize("store", STORES)
def test_a_store_of_the_first_schema_is_taken_over_amid_work(
    chaos: Chaos, tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    if store == "postgresql":
        url = request.getfixturevalue("postgresql_database")
    tasks, effects = chaos.trials(4, 100), tmp_path / "effects"
    with migrated(url, "0001") as engine, engine.begin() as conn:
        fill_queue(conn, tasks, effects)
    options = ("--no-auth", "--database-url", url, *key_option(tmp_path))
    with served(tmp_path, *options) as service, running_agent(service, tmp_path / "agent"):
        held = {"taskId": "t" * 64}
        assert call(service.url, "ReportTaskProgress", **held) == {"canceled": False}
        call(service.url, "SetTaskStatus", **held, taskStatus="FINISHED")
        query = {"selectors": [{"fieldName": "@status", "operator": FINISHED}]}

        def ended() -> bool:
            asked = {"pipelineId": "df-1", "sphere": "INSTANCE", "query": query}
            found = call(service.url, "QueryObjects", **asked)
            count = len(found["ids"])
            while found["hasMoreResults"]:
                found = call(service.url, "QueryObjects", **asked, marker=found["marker"])
                count += len(found["ids"])
            return count == tasks + 1

        wait_for("all of it has finished", ended, PATIENCE_S)
    assert Counter(effects.read_text().split()) == {f"W{n:02}": 1 for n in range(tasks)}
    chaos.found("upgrade", f"{store}: {tasks} tasks and one that was out, each done once")

"""A database that an earlier version made and used is taken over as it is, rows and all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url

from taskrunner.model.codec import DEFINITION
from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category, InstanceSpec
from taskrunner.model.rows import AttemptRow
from taskrunner.model.states import AttemptStatus, InstanceStatus, PipelineState
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.store import attempts, instances, pipelines
from taskrunner.service.store.database import MIGRATIONS
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import METADATA, handouts
from taskrunner.testing import FakeClock, ServiceInProcess
from taskrunner.testing.service import as_definition

OBJECTS = [
    {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
    {"id": "A", "type": "ShellCommandActivity", "command": "true"},
]
NOW = FakeClock().now()
SOMEBODY = Caller(account=ANONYMOUS.account, user="somebody")


@pytest.fixture
def first_schema(database_url: str) -> Iterator[sa.Engine]:
    """A database as the first version made it."""
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, "0001")
    yield engine
    engine.dispose()


def fill(conn: sa.Connection) -> None:
    """A pipeline with one task, which a runner holds."""
    definition = as_definition(OBJECTS)
    row = PipelineRow(
        pipeline_id="df-1",
        account=ANONYMOUS.account,
        user_id="u",
        name="p",
        unique_id="1",
        description=None,
        tags=(),
        state=PipelineState.SCHEDULED,
        created_at=NOW,
    )
    pipelines.insert_pipeline(conn, row)
    pipelines.save_definition(conn, "df-1", 1, DEFINITION.encode(definition), NOW)
    pipelines.update_pipeline(conn, "df-1", active_version=1, first_activated_at=NOW)
    spec = InstanceSpec(
        instance_id="@A",
        component_id="A",
        name="A",
        type="ShellCommandActivity",
        category=Category.ACTIVITY,
        start=NOW,
        end=NOW,
        not_before=NOW,
        worker_group="wg",
        dependencies=(),
    )
    instances.insert_instances(conn, "df-1", 1, [spec], NOW)
    (instance,) = instances.load_instances(conn, "df-1")
    instances.update_instance(
        conn, instance, status=InstanceStatus.WAITING_FOR_RUNNER, attempt_count=1, due_at=None
    )
    attempt = AttemptRow(
        pipeline_id="df-1",
        attempt_id="@A_Attempt=1",
        instance_id="@A",
        number=1,
        status=AttemptStatus.WAITING_FOR_RUNNER,
        worker_group="wg",
        queue=Queue.OUT,
        ready_at=NOW,
        lease_s=300,
        created_at=NOW,
    )
    attempts.insert_attempt(conn, attempt)
    attempts.update_attempt(conn, attempt, task_id="t" * 64)
    conn.execute(
        handouts.insert().values(
            task_id="t" * 64,
            pipeline_id="df-1",
            attempt_id="@A_Attempt=1",
            handed_out_at=NOW,
            state="ASSIGNED",
        )
    )


def test_every_migration_keeps_the_rows(first_schema: sa.Engine, database_url: str) -> None:
    with first_schema.begin() as conn:
        assert "user_id" not in {c["name"] for c in sa.inspect(conn).get_columns("handouts")}
        fill(conn)
        before = counts(conn)
    with ServiceInProcess(database_url=database_url), first_schema.begin() as conn:
        assert {name: found for name, found in counts(conn).items() if name in before} == before
        assert conn.execute(sa.select(handouts.c.user_id)).scalar_one() is None


def test_what_is_out_during_an_upgrade_is_concluded_by_whoever_holds_it(
    first_schema: sa.Engine, database_url: str
) -> None:
    with first_schema.begin() as conn:
        fill(conn)
    with ServiceInProcess(database_url=database_url) as world:
        assert world.service.report_progress("t" * 64, {}, SOMEBODY) is False
        world.service.set_task_status("t" * 64, "FINISHED", caller=SOMEBODY)
        world.settle()
        assert world.statuses("df-1") == {"@A": "FINISHED"}


def counts(conn: sa.Connection) -> dict[str, int]:
    there = sa.inspect(conn).get_table_names()
    return {
        name: int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
        for name, table in METADATA.tables.items()
        if name in there
    }

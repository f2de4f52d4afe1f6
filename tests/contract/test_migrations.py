"""A database that an earlier version made and used is taken over as it is, rows and all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url

from taskrunner.model.codec import DEFINITION
from taskrunner.model.decisions import Queue
from taskrunner.model.instances import Category
from taskrunner.model.rows import AttemptRow, InstanceRow, Row
from taskrunner.model.states import AttemptStatus, InstanceStatus, PipelineState
from taskrunner.service.callers import ANONYMOUS, Caller
from taskrunner.service.store import attempts, pipelines
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.schema import MIGRATIONS, NEWEST
from taskrunner.service.store.tables import METADATA, definitions, handouts
from taskrunner.service.store.tables import instances as instances_table
from taskrunner.service.store.tables import pipelines as pipelines_table
from taskrunner.testing import FakeClock, ServiceInProcess
from taskrunner.testing.service import as_definition

OBJECTS = [
    {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
    {"id": "A", "type": "ShellCommandActivity", "command": "true"},
]
NOW = FakeClock().now()
SOMEBODY = Caller(account=ANONYMOUS.account, user="somebody")
INSTANCE = InstanceRow(
    pipeline_id="df-1",
    instance_id="@A",
    component_id="A",
    name="A",
    type="ShellCommandActivity",
    category=Category.ACTIVITY,
    version=1,
    status=InstanceStatus.WAITING_FOR_RUNNER,
    scheduled_start=NOW,
    scheduled_end=NOW,
    not_before=NOW,
    created_at=NOW,
    worker_group="wg",
    attempt_count=1,
)
ATTEMPT = AttemptRow(
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


@pytest.fixture
def first_schema(database_url: str) -> Iterator[sa.Engine]:
    """A database as the first version made it."""
    with migrated(database_url, "0001") as engine:
        yield engine


@contextmanager
def migrated(database_url: str, revision: str) -> Iterator[sa.Engine]:
    """A database that the migrations made, up to one of them."""
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
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
    insert_old(conn, pipelines_table, row)
    conn.execute(
        definitions.insert().values(
            pipeline_id="df-1", version=1, body=DEFINITION.encode(definition), created_at=NOW
        )
    )
    pipelines.update_pipeline(
        conn, "df-1", latest_version=1, active_version=1, first_activated_at=NOW
    )
    insert_old(conn, instances_table, INSTANCE)
    attempts.insert_attempt(conn, ATTEMPT)
    attempts.update_attempt(conn, ATTEMPT, task_id="t" * 64)
    conn.execute(
        handouts.insert().values(
            task_id="t" * 64,
            pipeline_id="df-1",
            attempt_id="@A_Attempt=1",
            handed_out_at=NOW,
            state="ASSIGNED",
        )
    )


def insert_old(conn: sa.Connection, table: sa.Table, row: Row) -> None:
    """Add a row to a table that may lack the columns of later versions."""
    there = {column["name"] for column in sa.inspect(conn).get_columns(table.name)}
    conn.execute(table.insert().values({k: v for k, v in row.columns().items() if k in there}))


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


def test_a_new_store_has_the_tables_that_all_migrations_make(
    database_url: str, tmp_path: Path
) -> None:
    with ServiceInProcess(database_url=database_url) as world, world.service.store.read() as conn:
        new = schema(conn)
    with (
        emptied(database_url, tmp_path) as url,
        migrated(url, "head") as engine,
        engine.begin() as conn,
    ):
        assert schema(conn) == new


@contextmanager
def emptied(database_url: str, folder: Path) -> Iterator[str]:
    """The same kind of database with nothing in it."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        yield f"sqlite:///{folder / 'migrated.db'}"
        return
    engine = sa.create_engine(url.set(drivername="postgresql+psycopg"))
    with engine.begin() as conn:
        conn.execute(sa.text("DROP SCHEMA public CASCADE"))
        conn.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()
    yield database_url


def schema(conn: sa.Connection) -> dict[str, object]:
    """Everything that the database says of its tables."""
    inspect = sa.inspect(conn)
    found: dict[str, object] = {
        name: {
            # In which order makes no difference: every statement names them.
            "columns": {
                column["name"]: {**column, "type": str(column["type"])}
                for column in inspect.get_columns(name)
            },
            "key": inspect.get_pk_constraint(name),
            # Of a partial index, the condition as text.
            "indexes": sorted(
                str({**index, "dialect_options": texts(index.get("dialect_options", {}))})
                for index in inspect.get_indexes(name)
            ),
            "unique": sorted(inspect.get_unique_constraints(name), key=str),
            "foreign": inspect.get_foreign_keys(name),
            "checks": inspect.get_check_constraints(name),
        }
        for name in inspect.get_table_names()
    }
    found["version"] = (
        conn.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all()
    )
    assert found["version"] == [NEWEST]
    return found


def texts(options: Mapping[str, object]) -> dict[str, str]:
    return {key: str(value) for key, value in options.items()}


def counts(conn: sa.Connection) -> dict[str, int]:
    there = sa.inspect(conn).get_table_names()
    return {
        name: int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
        for name, table in METADATA.tables.items()
        if name in there
    }

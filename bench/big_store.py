"""A store with one pipeline whose instances all wait for a time that does not come.

The first instance is written by the service's own code; the database copies it, with the next
periods, as often as wanted: a million rows in seconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from bench import harness
from taskrunner.model.codec import DEFINITION
from taskrunner.model.instances import Category, InstanceSpec, instance_id
from taskrunner.model.reader import read_definition
from taskrunner.model.states import PipelineState
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.backend import Opening
from taskrunner.service.store.database import Store
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.store_key import StoreKeySource
from taskrunner.service.store.tables import instances

COMPONENTS = 20
PIPELINE = "df-BIG"
FAR = datetime(2100, 1, 1, tzinfo=UTC)

#: Numbers, and the start of each one's period as the database keeps it and as ids have it.
_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last)",
    "postgresql": "WITH n AS (SELECT generate_series(1, CAST(:last AS integer)) AS i)",
}
_START = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', '2100-01-01', '+' || (i / 20 + {later}) || "
    "' minutes')",
    "postgresql": "timestamptz '2100-01-01 00:00:00+00' + (i / 20 + {later}) * interval '1 minute'",
}
_IN_ID = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%S', '2100-01-01', '+' || (i / 20) || ' minutes')",
    "postgresql": "to_char(timestamp '2100-01-01' + (i / 20) * interval '1 minute', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS')",
}


def fill(home: Path, postgresql: str | None, size: int) -> None:
    """Make such a store where `harness.service` of this folder looks for it."""
    opening = Opening()
    if postgresql is not None:
        opening = Opening(store_key=StoreKeySource(file=harness.store_key(home)))
    store = Store(postgresql or f"sqlite:///{home / 'service.db'}", opening=opening)
    now = datetime.now(UTC)
    with store.write() as conn:
        pipeline_store.insert_pipeline(conn, _pipeline(now))
        body = DEFINITION.encode(read_definition(_definition()))
        pipeline_store.save_definition(conn, PIPELINE, 1, body, now)
        pipeline_store.update_pipeline(conn, PIPELINE, active_version=1, first_activated_at=now)
        if size:
            instance_store.insert_instances(conn, PIPELINE, 1, [spec(0)], now)
            conn.execute(_copies(conn.dialect.name), {"last": size - 1})
            last = [spec(size - 1).instance_id]
            (found,) = instance_store.load_instances(conn, PIPELINE, last)
            if found.scheduled_start != spec(size - 1).start:
                raise ValueError(f"{found} is not {spec(size - 1)}")
    if postgresql is not None:
        with store.write() as conn:
            conn.execute(sa.text("ANALYZE"))  # or else some minutes pass until the server does
    store.close()


def _copies(dialect: str) -> sa.TextClause:
    begin = _START[dialect].format(later=0)
    component = "'A' || (i % 20)"
    made = {
        "instance_id": f"'@' || {component} || '_' || {_IN_ID[dialect]}",
        "component_id": component,
        "name": component,
        "scheduled_start": begin,
        "scheduled_end": _START[dialect].format(later=1),
        "not_before": begin,
        "due_at": begin,
    }
    columns = [column.name for column in instances.columns]
    values = ", ".join(made.get(name, f"first.{name}") for name in columns)
    text = (
        f"INSERT INTO instances ({', '.join(columns)}) {_NUMBERS[dialect]} "
        f"SELECT {values} FROM n, instances AS first WHERE first.pipeline_id = '{PIPELINE}'"
    )
    # Colons of times are no parameters.
    return sa.text(re.sub(r"(?<![ (]):(?=[A-Z%0-9])", r"\\:", text))


def _pipeline(now: datetime) -> PipelineRow:
    return PipelineRow(
        pipeline_id=PIPELINE,
        account=ANONYMOUS.account,
        user_id=ANONYMOUS.user,
        name="big",
        unique_id="big",
        description=None,
        tags=(),
        state=PipelineState.SCHEDULED,
        created_at=now,
    )


def _definition() -> str:
    objects = ['{"id": "Default", "scheduleType": "ondemand", "workerGroup": "nobody"}']
    objects += [
        f'{{"id": "A{n}", "type": "ShellCommandActivity", "command": "true"}}'
        for n in range(COMPONENTS)
    ]
    return f'{{"objects": [{", ".join(objects)}]}}'


def spec(number: int) -> InstanceSpec:
    """The instance that has a number, from 0."""
    component, start = f"A{number % COMPONENTS}", FAR + timedelta(minutes=number // COMPONENTS)
    return InstanceSpec(
        instance_id=instance_id(component, start),
        component_id=component,
        name=component,
        type="ShellCommandActivity",
        category=Category.ACTIVITY,
        start=start,
        end=start + timedelta(minutes=1),
        not_before=start,
        worker_group="nobody",
    )

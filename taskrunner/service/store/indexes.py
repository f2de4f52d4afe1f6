"""Indexes of few of a table's rows each: what is looked for among all that is over."""

from __future__ import annotations

import sqlalchemy as sa

from taskrunner.service.store.tables import alarms, attempts, instances

#: Alarms whose topic is a secret: a condition in the index's own words.
HAS_SECRET_TOPIC = sa.func.substr(
    alarms.c.topic_arn, sa.literal_column("1"), sa.literal_column("1")
) == sa.literal_column("'*'")

# Of instances: resources, who waits for a place, what is late, and what ended last.
sa.Index(
    "ix_instances_resources",
    instances.c.status,
    instances.c.pipeline_id,
    sqlite_where=instances.c.category == "resource",
    postgresql_where=instances.c.category == "resource",
)
sa.Index(
    "ix_instances_place_wanted",
    instances.c.pipeline_id,
    instances.c.component_id,
    instances.c.scheduled_start,
    sqlite_where=instances.c.place_wanted.is_(True),
    postgresql_where=instances.c.place_wanted.is_(True),
)
sa.Index(
    "ix_instances_late",
    instances.c.pipeline_id,
    instances.c.status,
    sqlite_where=instances.c.late_fired.is_(True),
    postgresql_where=instances.c.late_fired.is_(True),
)
sa.Index(
    "ix_instances_actual_end",
    instances.c.pipeline_id,
    instances.c.component_id,
    instances.c.actual_end,
    sqlite_where=instances.c.actual_end.is_not(None),
    postgresql_where=instances.c.actual_end.is_not(None),
)
sa.Index(
    "ix_instances_backfill",
    instances.c.pipeline_id,
    instances.c.backfill_id,
    instances.c.status,
    sqlite_where=instances.c.backfill_id.is_not(None),
    postgresql_where=instances.c.backfill_id.is_not(None),
)
# What is ready, for whoever watches the service.
sa.Index(
    "ix_attempts_ready",
    attempts.c.worker_group,
    attempts.c.ready_at,
    sqlite_where=attempts.c.queue == "READY",
    postgresql_where=attempts.c.queue == "READY",
)
# What nobody got.
sa.Index(
    "ix_alarms_dead",
    alarms.c.created_at,
    sqlite_where=alarms.c.status == "FAILED",
    postgresql_where=alarms.c.status == "FAILED",
)
# Secrets, which are looked for by the keys that sealed them.
sa.Index(
    "ix_alarms_secret",
    alarms.c.topic_arn,
    sqlite_where=HAS_SECRET_TOPIC,
    postgresql_where=HAS_SECRET_TOPIC,
)

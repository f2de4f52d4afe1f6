"""Indexes by which nothing that happens often reads more rows the more a store holds.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

#: Index -> its table, its columns, and the one that it takes the place of.
_LONGER = {
    "ix_instances_pipeline_id_status_scheduled_start_instance_id": (
        "instances",
        ["pipeline_id", "status", "scheduled_start", "instance_id"],
        "ix_instances_pipeline_id_status",
    ),
    "ix_instances_pipeline_id_scheduled_start_instance_id": (
        "instances",
        ["pipeline_id", "scheduled_start", "instance_id"],
        "ix_instances_pipeline_id_scheduled_start",
    ),
    "ix_dependencies_pipeline_id_depends_on_instance_id_kind": (
        "dependencies",
        ["pipeline_id", "depends_on", "instance_id", "kind"],
        "ix_dependencies_pipeline_id_depends_on",
    ),
}


def upgrade() -> None:
    """Make the new indexes, and drop those that they take the place of."""
    for name, (table, columns, old) in _LONGER.items():
        op.create_index(op.f(name), table, columns)
        op.drop_index(op.f(old), table_name=table)
    op.create_index(
        op.f("ix_attempts_pipeline_id_created_at_number_attempt_id"),
        "attempts",
        ["pipeline_id", "created_at", "number", "attempt_id"],
    )
    resource = sa.column("category", sa.Text()) == sa.literal("resource", literal_execute=True)
    op.create_index(
        "ix_instances_resources",
        "instances",
        ["status", "pipeline_id"],
        sqlite_where=resource,
        postgresql_where=resource,
    )

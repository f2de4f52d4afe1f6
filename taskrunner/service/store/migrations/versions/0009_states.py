"""What is paused, what runs again, who waits for a place, and when things ended.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, the columns and the indexes."""
    op.create_table(
        "pauses",
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline_id", "object_id", name=op.f("pk_pauses")),
    )
    moment = sa.DateTime(timezone=True)
    op.add_column("pipelines", sa.Column("last_deactivated_at", moment, nullable=True))
    op.add_column("schedules", sa.Column("skip_before", moment, nullable=True))
    op.add_column(
        "instances", sa.Column("reruns", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "instances",
        sa.Column("place_wanted", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    old = op.f("ix_instances_pipeline_id_component_id_status")
    op.drop_index(old, table_name="instances")
    op.create_index(
        op.f("ix_instances_pipeline_id_component_id_status_scheduled_start"),
        "instances",
        ["pipeline_id", "component_id", "status", "scheduled_start"],
    )
    place_wanted = sa.column("place_wanted", sa.Boolean()).is_(True)
    op.create_index(
        "ix_instances_place_wanted",
        "instances",
        ["pipeline_id", "component_id", "scheduled_start"],
        sqlite_where=place_wanted,
        postgresql_where=place_wanted,
    )
    ended = sa.column("actual_end").is_not(None)
    op.create_index(
        "ix_instances_actual_end",
        "instances",
        ["pipeline_id", "component_id", "actual_end"],
        sqlite_where=ended,
        postgresql_where=ended,
    )

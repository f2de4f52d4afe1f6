"""Backfills, and which instances are of one.

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table, the column and its index."""
    op.create_table(
        "backfills",
        sa.Column("backfill_id", sa.Text(), nullable=False),
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("first", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redo", sa.Text(), nullable=False),
        sa.Column("components", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("periods", sa.Integer(), nullable=False),
        sa.Column("begun", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("backfill_id", name=op.f("pk_backfills")),
    )
    op.create_index(op.f("ix_backfills_asked_at"), "backfills", ["asked_at"])
    op.create_index(op.f("ix_backfills_pipeline_id"), "backfills", ["pipeline_id"])
    op.add_column("instances", sa.Column("backfill_id", sa.Text(), nullable=True))
    of_one = sa.text("backfill_id IS NOT NULL")
    op.create_index(
        "ix_instances_backfill",
        "instances",
        ["pipeline_id", "backfill_id", "status"],
        sqlite_where=of_one,
        postgresql_where=of_one,
    )

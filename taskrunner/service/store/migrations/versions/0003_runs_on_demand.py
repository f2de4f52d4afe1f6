"""Runs on demand have turns, and the instances of one run are found by an index.

Runs that were under way before are in no line: they neither wait nor make others wait.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of runs and the index."""
    op.create_table(
        "runs",
        sa.Column("pipeline_id", sa.Text(), nullable=False),
        sa.Column("start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("pipeline_id", "start", name=op.f("pk_runs")),
    )
    op.create_index(
        op.f("ix_instances_pipeline_id_scheduled_start"),
        "instances",
        ["pipeline_id", "scheduled_start"],
    )

"""Small indexes on what waits and what nobody got, for whoever watches the service.

Revision ID: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them, and to alarms which of several targets have taken them."""
    op.add_column("alarms", sa.Column("taken_by", sa.JSON(), nullable=True))
    ready = sa.column("queue", sa.Text()) == sa.literal("READY", literal_execute=True)
    op.create_index(
        "ix_attempts_ready",
        "attempts",
        ["worker_group", "ready_at"],
        sqlite_where=ready,
        postgresql_where=ready,
    )
    dead = sa.column("status", sa.Text()) == sa.literal("FAILED", literal_execute=True)
    op.create_index(
        "ix_alarms_dead", "alarms", ["created_at"], sqlite_where=dead, postgresql_where=dead
    )

"""Runners are known by their polls, and polls that are refused are noted.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Whoever lives is in them again with its next call."""
    moment = sa.DateTime(timezone=True)
    op.drop_table("runners")
    op.create_table(
        "runners",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("runner_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("slots", sa.Integer(), nullable=True),
        sa.Column("busy", sa.Integer(), nullable=True),
        sa.Column("paused", sa.Text(), nullable=True),
        sa.Column("first_seen_at", moment, nullable=False),
        sa.Column("last_seen_at", moment, nullable=False),
        sa.Column("last_poll_at", moment, nullable=True),
        sa.Column("last_heartbeat_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("account", "runner_id", name=op.f("pk_runners")),
    )
    op.create_index(op.f("ix_runners_account_last_seen_at"), "runners", ["account", "last_seen_at"])
    op.create_table(
        "runner_groups",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("runner_id", sa.Text(), nullable=False),
        sa.Column("worker_group", sa.Text(), nullable=False),
        sa.Column("last_seen_at", moment, nullable=False),
        sa.Column("last_poll_at", moment, nullable=True),
        sa.PrimaryKeyConstraint(
            "account", "runner_id", "worker_group", name=op.f("pk_runner_groups")
        ),
    )
    op.create_index(
        op.f("ix_runner_groups_account_worker_group_last_seen_at"),
        "runner_groups",
        ["account", "worker_group", "last_seen_at"],
    )
    op.create_index(
        op.f("ix_runner_groups_account_last_seen_at"), "runner_groups", ["account", "last_seen_at"]
    )
    op.create_table(
        "refused_polls",
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("worker_group", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("hostname", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("last_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("ip", "worker_group", "code", name=op.f("pk_refused_polls")),
    )
    op.create_index(op.f("ix_refused_polls_last_at"), "refused_polls", ["last_at"])

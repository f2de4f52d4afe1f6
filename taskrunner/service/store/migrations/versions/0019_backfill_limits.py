"""How many periods of a backfill go on at once, in which order, and how far it has come.

Revision ID: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column(
        "backfills",
        sa.Column("newest_first", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("backfills", sa.Column("at_once", sa.Integer(), nullable=True))
    op.add_column("backfills", sa.Column("came_to", sa.DateTime(timezone=True), nullable=True))
    op.add_column("backfills", sa.Column("came_to_schedule", sa.Text(), nullable=True))

"""A store has an id, and counts its changes; old definitions may have lost their secrets.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table, whose one row is made when the store is opened, and a column."""
    op.add_column("definitions", sa.Column("secrets_removed", sa.Boolean(), nullable=True))
    op.create_table(
        "store_identity",
        sa.Column("store_id", sa.Text(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("open_at_schema", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_store_identity")),
    )

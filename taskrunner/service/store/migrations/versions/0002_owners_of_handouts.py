"""Hand-outs know who polled for them.

Those that were made before keep none: whoever knows their task id may conclude them, as before.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the owner's columns."""
    op.add_column("handouts", sa.Column("account", sa.Text(), nullable=True))
    op.add_column("handouts", sa.Column("user_id", sa.Text(), nullable=True))

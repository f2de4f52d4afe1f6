"""What a deactivation was to end, for whoever takes it up; an index on alarms' secret topics.

Revision ID: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column("pipelines", sa.Column("cancels_active", sa.Boolean(), nullable=True))
    secret = sa.text("substr(topic_arn, 1, 1) = '*'")
    op.create_index(
        "ix_alarms_secret", "alarms", ["topic_arn"], sqlite_where=secret, postgresql_where=secret
    )

"""The instances that are late, for the list of pipelines.

Revision ID: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    late = sa.column("late_fired", sa.Boolean()).is_(True)
    op.create_index(
        "ix_instances_late",
        "instances",
        ["pipeline_id", "status"],
        sqlite_where=late,
        postgresql_where=late,
    )

"""What operators have told runners: to take no work, or to end.

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    moment = sa.DateTime(timezone=True)
    for name in ("ordered", "ordered_by", "ordered_note"):
        op.add_column("runners", sa.Column(name, sa.Text(), nullable=True))
    for name in ("ordered_at", "ordered_until"):
        op.add_column("runners", sa.Column(name, moment, nullable=True))

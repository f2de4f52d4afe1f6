"""The tables of keys: those that secrets are encrypted by, and those of callers."""

from __future__ import annotations

import sqlalchemy as sa

from taskrunner.service.store.moments import UtcDateTime
from taskrunner.service.store.tables import METADATA

# Keys by which secrets are sealed, sealed themselves by the operator's; the newest is in use.
data_keys = sa.Table(
    "data_keys",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    # The fingerprint of the operator's key.
    sa.Column("sealed_by", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
    # Since when a newer one is in use.
    sa.Column("retired_at", UtcDateTime),
)

# Keys of callers that an operator has made; a revoked one stays as the memory of it.
access_keys = sa.Table(
    "access_keys",
    METADATA,
    sa.Column("key_id", sa.Text, primary_key=True),
    # Sealed; null once it is revoked.
    sa.Column("secret", sa.Text),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    # One of these two says what it may call.
    sa.Column("role", sa.Text),
    sa.Column("actions", sa.JSON(none_as_null=True)),
    # Null: any.
    sa.Column("worker_groups", sa.JSON(none_as_null=True)),
    sa.Column("note", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)

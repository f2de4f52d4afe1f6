"""Ids of pipelines, in the form that AWS's have."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_uppercase + string.digits


def new_pipeline_id() -> str:
    """A fresh one."""
    return "df-" + "".join(secrets.choice(_ALPHABET) for _ in range(20))

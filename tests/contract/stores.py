"""The stores of the contract suite: what holds for one must hold for the other."""

from __future__ import annotations

import pytest

#: SQLite everywhere; PostgreSQL where its programs are, and always in CI.
STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.external_service)]

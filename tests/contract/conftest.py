"""A fresh, empty database for each test of the contract, of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.stores import STORES


@pytest.fixture(params=STORES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    url: str = request.getfixturevalue("postgresql_database")
    return url

"""The stores of the contract suite: what holds for one must hold for the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskrunner.service.store.backend import Opening
from taskrunner.testing.service import TEST_KEY, TEST_KEY_TEXT

#: SQLite everywhere; PostgreSQL where its programs are, and always in CI.
STORES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.external_service)]
#: For modules whose tests have nothing to do with the store: of `kept`, one is enough.
ON_SQLITE = pytest.mark.parametrize("kept", ["sqlite"], indirect=True, scope="module")
#: How a test opens a store of either kind by itself.
OPENING = Opening(store_key=TEST_KEY)


def key_option(folder: Path) -> list[str]:
    """What gives the same key to a service that is a process of its own."""
    path = folder / "store-key"
    path.write_text(TEST_KEY_TEXT)
    path.chmod(0o600)
    return ["--store-key-file", str(path)]

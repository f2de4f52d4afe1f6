"""Fixtures of the acceptance tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import servers
from tests.acceptance import seed


@pytest.fixture
def cloud() -> Iterator[seed.Cloud]:
    """The buckets and the topic of the seed definition."""
    # A server of its own: the names are the definition's, and must be free.
    with servers.moto() as endpoint, closing(seed.Cloud(endpoint)) as cloud:
        yield cloud

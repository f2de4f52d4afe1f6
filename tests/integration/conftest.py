"""What the tests of whole agents share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.agent_harness import FakeService


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A stand-in for the service, for the agents of one test."""
    fake = FakeService()
    yield fake
    fake.close()

"""The service that the tests of service and command line share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from taskrunner.testing import ServiceInProcess


@pytest.fixture(scope="session")
def kept() -> Iterator[ServiceInProcess]:
    """One service for the session: opening one costs more than most tests."""
    from taskrunner.testing import ServiceInProcess  # only here: most tests need none

    with ServiceInProcess() as world:
        yield world


@pytest.fixture
def world(kept: ServiceInProcess) -> ServiceInProcess:
    """A service with an empty store, at the moment where a fake clock starts."""
    return kept.reset()

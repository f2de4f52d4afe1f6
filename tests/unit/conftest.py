"""The service that the tests of service and command line share, and logging as each found it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from taskrunner.testing import ServiceInProcess


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Take away handlers that a test gave to the root logger: they would write for all others."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Commands set up the log of their process: what one test sets up is not for the next."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


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

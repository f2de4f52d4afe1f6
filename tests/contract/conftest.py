"""A fresh store for each test of the contract, or a service that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from taskrunner.service.settings import ServiceSettings
from taskrunner.testing import ServiceInProcess
from tests.contract.stores import STORES
from tests.contract.v1 import V1
from tests.servers import postgresql_database


@pytest.fixture(params=STORES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    url: str = request.getfixturevalue("postgresql_database")
    return url


@pytest.fixture(scope="module")
def service_settings() -> ServiceSettings | None:
    """What the service of a module is set up with; a module that needs other says so itself."""
    return None


@pytest.fixture(scope="module", params=STORES)
def kept(
    request: pytest.FixtureRequest, service_settings: ServiceSettings | None
) -> Iterator[ServiceInProcess]:
    """One service on each kind of store for a module: opening one costs more than most tests."""
    with ExitStack() as stack:
        url = None
        if request.param == "postgresql":
            server = request.getfixturevalue("postgresql_url")
            url = stack.enter_context(postgresql_database(server))
        service = ServiceInProcess(database_url=url, settings=service_settings)
        yield stack.enter_context(service)


@pytest.fixture
def world(kept: ServiceInProcess) -> ServiceInProcess:
    """A service with an empty store, at the moment where a fake clock starts."""
    return kept.reset()


@pytest.fixture
def v1(world: ServiceInProcess) -> V1:
    """The JSON API of that service."""
    return V1(world)

"""Fixtures of the acceptance tests."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests import servers
from tests.acceptance import seed
from tests.acceptance.running import Service, taskrunner, until


@pytest.fixture(scope="session")
def own_endpoint() -> Iterator[str]:
    """A server of this process's own: the names are the definition's, and must be free."""
    with servers.moto() as endpoint:
        yield endpoint


@pytest.fixture
def cloud(own_endpoint: str) -> Iterator[seed.Cloud]:
    """The buckets and the topic of the seed definition."""
    urllib.request.urlopen(f"{own_endpoint}/moto-api/reset", data=b"").close()
    with closing(seed.Cloud(own_endpoint)) as cloud:
        yield cloud


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The real service as a process of its own, on SQLite, unsigned."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    store = f"sqlite:///{tmp_path / 'service.db'}"

    def answers() -> bool:
        host, port = address.split(":")
        with suppress(OSError), closing(socket.create_connection((host, int(port)), 1)):
            return True
        return False

    serve = ("serve", "--listen", address, "--database-url", store, "--no-auth")
    with taskrunner(tmp_path / "service.log", *serve):
        until("the service listens", answers, 20)
        with closing(Service(f"http://{address}")) as service:
            yield service

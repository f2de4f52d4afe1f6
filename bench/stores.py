"""Each kind of store in turn: SQLite in a file, and a PostgreSQL server of its own.

The server is started as the tests start theirs (without fsync): what is measured is the service.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench import harness
from bench.harness import Service
from tests import servers

STORES = ("SQLite", "PostgreSQL")


@contextmanager
def database(store: str) -> Iterator[str | None]:
    """The URL of an empty database of PostgreSQL; None for SQLite, which needs none."""
    if store == "SQLite":
        yield None
        return
    with servers.postgresql() as url:
        yield url


@contextmanager
def service(store: str, *options: str, home: Path | None = None) -> Iterator[Service]:
    """The service on an empty store of a kind."""
    with (
        harness.folder() as new,
        database(store) as url,
        harness.service(home or new, *options, postgresql=url) as it,
    ):
        yield it


def all_cpu_s(service: Service) -> float:
    """CPU time of the service, and of the database's processes that work for it."""
    own = service.process
    found = harness.cpu_s(own)
    ports = {one.laddr.port for one in own.net_connections("tcp") if one.raddr and one.laddr}
    return found + sum(_of_peers(ports))


def _of_peers(ports: set[int]) -> Iterator[float]:
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "postgres":
            try:
                theirs = {one.raddr.port for one in process.net_connections("tcp") if one.raddr}
                if theirs & ports:
                    yield harness.cpu_s(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue

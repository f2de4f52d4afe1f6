"""procrastinate as a peer: jobs in PostgreSQL, its own worker. PEER_URL names the database."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from procrastinate import App, PsycopgConnector

app = App(connector=PsycopgConnector(conninfo=os.environ["PEER_URL"]))


@app.task(name="run")
def run(command: str) -> None:
    subprocess.run(["/bin/bash", "-c", command], check=True)


@contextmanager
def queueing() -> Iterator[Callable[[str], object]]:
    with app.open():
        app.schema_manager.apply_schema()
        yield lambda command: run.defer(command=command)

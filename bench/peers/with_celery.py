"""Celery as a peer: jobs in Redis, its own prefork worker. PEER_URL names the broker."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from celery import Celery

app = Celery("with_celery", broker=os.environ["PEER_URL"])
app.conf.task_ignore_result = True


@app.task(name="run")
def run(command: str) -> None:
    subprocess.run(["/bin/bash", "-c", command], check=True)


@contextmanager
def queueing() -> Iterator[Callable[[str], object]]:
    yield run.delay

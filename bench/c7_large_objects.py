"""C7: one large object up and down (2 GB for 5,000,000 rows), beside `aws s3 cp`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

from bench import orders
from bench.copies import ROUNDS, ROWS, aws, contest, ours, run
from bench.harness import Figure

SIZE = 400 * ROWS
UP, DOWN, MEMORY_MB = 1.5, 2.0, 120.0
_BLOCK = 1 << 20


def measure(rounds: int = ROUNDS, size: int = SIZE) -> Iterator[Figure]:
    home, sink = orders.home(), orders.sink()
    large = home / "served" / "bench" / "large"
    block = os.urandom(_BLOCK)
    with large.open("wb") as file:
        while (left := size - file.tell()) > 0:
            file.write(block[:left])
    up = contest(
        rounds,
        ours=lambda: ours(str(large), "s3://bench/up", home, "--s3-endpoint", sink),
        aws=lambda: run(aws(str(large), "s3://bench/up", endpoint=sink), home),
    )
    yield up.faster("C7 up", "aws", UP)
    yield up.memory("C7 up", MEMORY_MB)
    look_at(sink, "/bench/large")
    down = contest(
        rounds,
        ours=lambda: ours("s3://bench/large", f"{home}/down", home, "--s3-endpoint", sink),
        aws=lambda: run(aws("s3://bench/large", f"{home}/down", endpoint=sink), home),
    )
    yield down.faster("C7 down", "aws", DOWN)
    yield down.memory("C7 down", MEMORY_MB)
    large.unlink()


def look_at(sink: str, path: str) -> None:
    """Have the sink know an object's ETag before anybody is measured: it takes a second a GB."""
    parts = urlsplit(sink)
    with closing(HTTPConnection(parts.hostname or "", parts.port)) as connection:
        connection.request("HEAD", path)
        connection.getresponse().read()

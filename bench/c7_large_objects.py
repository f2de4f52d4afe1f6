"""C7: one large object up and down (2 GB for 5,000,000 rows), beside `aws s3 cp`.

Down twice: one that the store has a CRC-32 of, as S3 has of what is uploaded with its own tools,
and one of which there is nothing but the MD5 sum that is its ETag. We hold it to either, `aws` does
not: ranges have no checksum of their own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
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
    plain = large.with_name("plain")
    plain.hardlink_to(large)
    for id_, name in (("C7 down", "large"), ("C7 down by MD5", "plain")):
        yield from fetch(id_, f"s3://bench/{name}", home, sink, rounds)
    large.unlink()
    plain.unlink()


def fetch(id_: str, uri: str, home: Path, sink: str, rounds: int) -> Iterator[Figure]:
    """An object into a file."""
    look_at(sink, uri.removeprefix("s3:/"))
    down = contest(
        rounds,
        ours=lambda: ours(uri, f"{home}/down", home, "--s3-endpoint", sink),
        aws=lambda: run(aws(uri, f"{home}/down", endpoint=sink), home),
    )
    yield down.faster(id_, "aws", DOWN)
    yield down.memory(id_, MEMORY_MB)


def look_at(sink: str, path: str) -> None:
    """Have the sink know an object's ETag before anybody is measured: it takes a second a GB."""
    parts = urlsplit(sink)
    with closing(HTTPConnection(parts.hostname or "", parts.port)) as connection:
        connection.request("HEAD", path)
        connection.getresponse().read()

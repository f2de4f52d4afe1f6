"""C8: 1,000 objects of 1 kB within S3, beside `aws s3 cp --recursive`; net of each one's start.

What the start of a program takes, and its first request, is what a copy of one object takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

from bench import orders
from bench.copies import ROUNDS, Contest, Run, aws, contest, ours, run
from bench.harness import Figure

COUNT, SIZE = 1000, 1000
TIMES, MEMORY_MB = 5.0, 120.0


def measure(rounds: int = ROUNDS, count: int = COUNT) -> Iterator[Figure]:
    home, sink = orders.home(), orders.sink()
    put(sink, count)

    def by_us(folder: str) -> Run:
        return ours(f"s3://bench/{folder}/", "s3://bench/out/", home, "--s3-endpoint", sink)

    def by_aws(folder: str) -> Run:
        objects = ("--recursive", f"s3://bench/{folder}/", "s3://bench/out/")
        return run(aws(*objects, endpoint=sink), home)

    found = contest(
        rounds,
        ours=lambda: by_us("small"),
        aws=lambda: by_aws("small"),
        ours_one=lambda: by_us("one"),
        aws_one=lambda: by_aws("one"),
    )
    yield net_of_start(found).faster("C8", "aws", TIMES)
    yield found.slower("C8 with the start", "aws", 1.0)
    yield found.memory("C8", MEMORY_MB)


def put(sink: str, count: int) -> None:
    """Objects in two folders: many, and one."""
    parts = urlsplit(sink)
    with closing(HTTPConnection(parts.hostname or "", parts.port)) as connection:
        for path in [*(f"/bench/small/{number:04}" for number in range(count)), "/bench/one/0"]:
            connection.request("PUT", path, bytes(SIZE))
            connection.getresponse().read()


def net_of_start(found: Contest) -> Contest:
    """What many objects took longer than one."""
    runs = {
        name: [
            Run(
                wall_s=max(many.wall_s - one.wall_s, 1e-3),
                cpu_s=max(many.cpu_s - one.cpu_s, 1e-3),
                rss_mb=many.rss_mb,
            )
            for many, one in zip(found.runs[name], found.runs[f"{name}_one"], strict=True)
        ]
        for name in ("ours", "aws")
    }
    return Contest(runs)

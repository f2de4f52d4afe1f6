r"""C3: PostgreSQL to gzip CSV in S3, beside `psql \copy | gzip | aws s3 cp -`, pigz, psql alone.

C9: the same job by sling, if its program is there (its package's wrapper calls itself without end).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import orders
from bench.copies import PEERS, ROUNDS, Run, aws, contest, ours, run
from bench.harness import Figure

GZIP, PIGZ, ALONE, SLING, MEMORY_MB = 6.0, 1.6, 1.1, 10.0, 130.0


def measure(rounds: int = ROUNDS) -> Iterator[Figure]:
    url, home, sink = orders.postgresql(), orders.home(), orders.sink()
    rows = f"psql -X -q {url} -c '\\copy orders to stdout csv'"
    upload = aws("-", "s3://bench/peer.csv.gz", endpoint=sink)
    programs: dict[str, Callable[[], Run]] = {
        "ours": lambda: ours(
            *(f"{url}/orders", "s3://bench/ours.csv.gz", home, "--s3-endpoint", sink)
        ),
        "gzip": lambda: run(f"{rows} | gzip | {upload}", home),
        "psql": lambda: run(f"{rows} > {home}/peer.csv", home),
    }
    if shutil.which("pigz"):
        programs["pigz"] = lambda: run(f"{rows} | pigz -1 | {upload}", home)
    found = contest(rounds, **programs)
    yield found.faster("C3", "gzip", GZIP)
    if "pigz" in programs:
        yield found.faster("C3", "pigz", PIGZ)
    yield found.slower("C3", "psql", ALONE)
    yield found.memory("C3", MEMORY_MB)


def measure_sling(rounds: int = 1) -> Iterator[Figure]:
    """Into a gzip file: sling's own S3 client takes no other endpoint without a configuration."""
    url, home = orders.postgresql(), orders.home()
    program = sling()
    if program is None:
        yield Figure(id="C9", what="sling", measured="not installed here")
        return
    command = [
        *(str(program), "run", "--src-conn", f"{url}?sslmode=disable"),
        *("--src-stream", "public.orders"),
        *("--tgt-object", f"file://{home}/sling.csv.gz", "--tgt-options", "{compression: gzip}"),
    ]
    found = contest(
        rounds,
        ours=lambda: ours(f"{url}/orders", f"{home}/ours.csv.gz", home),
        sling=lambda: run(command, home),
    )
    yield found.faster("C9", "sling", SLING)


def sling() -> Path | None:
    """Its binary, as the package sling-linux-amd64 brings it."""
    place = "lib/python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"
    found = next(PEERS.parent.glob(place), None)
    if found is not None:
        found.chmod(0o755)
    return found

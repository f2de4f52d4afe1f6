"""C4: MariaDB to gzip CSV in S3, beside `mariadb --batch | gzip | aws s3 cp -`."""

from __future__ import annotations

from collections.abc import Iterator

from bench import orders
from bench.copies import ROUNDS, aws, contest, ours, run
from bench.harness import Figure

GZIP, MEMORY_MB = 4.5, 130.0


def measure(rounds: int = ROUNDS) -> Iterator[Figure]:
    url, home, sink = orders.mariadb(), orders.home(), orders.sink()
    rows = f"{orders.client(url)} --batch --quick -e 'select * from orders'"
    upload = aws("-", "s3://bench/peer.csv.gz", endpoint=sink)
    found = contest(
        rounds,
        ours=lambda: ours(
            *(f"{url}/orders", "s3://bench/ours.csv.gz", home, "--s3-endpoint", sink)
        ),
        gzip=lambda: run(f"{rows} | gzip | {upload}", home),
    )
    yield found.faster("C4", "gzip", GZIP)
    yield found.memory("C4", MEMORY_MB)

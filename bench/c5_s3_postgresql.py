r"""C5: gzip CSV in S3 to PostgreSQL, beside `aws s3 cp - | gunzip | psql \copy`."""

from __future__ import annotations

from collections.abc import Iterator

from bench import orders
from bench.copies import ROUNDS, Run, aws, contest, ours, run
from bench.harness import Figure

MOST, MEMORY_MB = 0.95, 110.0


def measure(rounds: int = ROUNDS) -> Iterator[Figure]:
    url, home, sink = orders.postgresql(), orders.home(), orders.sink()
    orders.gzip_file()
    source = "s3://bench/orders.csv.gz"
    take = f"psql -X -q {url} -c \"\\copy loaded from stdin (delimiter ',')\""

    def load(by_us: bool) -> Run:
        orders.psql(url, "truncate loaded")
        if by_us:
            return ours(source, f"{url}/loaded", home, "--s3-endpoint", sink)
        return run(f"{aws(source, '-', endpoint=sink)} | gunzip | {take}", home)

    found = contest(rounds, ours=lambda: load(True), psql=lambda: load(False))
    yield found.slower("C5", "psql", MOST)
    yield found.memory("C5", MEMORY_MB)

"""C6: CSV in S3 to MariaDB, beside the client's LOAD DATA LOCAL from a file."""

from __future__ import annotations

from collections.abc import Iterator

from bench import orders
from bench.copies import ROUNDS, Run, contest, ours, run
from bench.harness import Figure

MOST, MEMORY_MB = 1.1, 110.0


def measure(rounds: int = ROUNDS) -> Iterator[Figure]:
    url, home, sink = orders.mariadb(), orders.home(), orders.sink()
    script = home / "load.sql"
    script.write_text(
        f"load data local infile '{orders.mariadb_file()}' into table loaded character set utf8mb4 "
        "fields terminated by ',' escaped by '\\\\'"
    )

    def load(by_us: bool) -> Run:
        orders.with_client(url, "truncate table loaded")
        if by_us:
            return ours("s3://bench/plain.csv", f"{url}/loaded", home, "--s3-endpoint", sink)
        return run(f"{orders.client(url)} --local-infile=1 < {script}", home)

    found = contest(rounds, ours=lambda: load(True), client=lambda: load(False))
    yield found.slower("C6", "client", MOST)
    yield found.memory("C6", MEMORY_MB)

"""C2: MariaDB to a CSV file, beside `mariadb --batch --quick`."""

from __future__ import annotations

from collections.abc import Iterator

from bench import orders
from bench.copies import ROUNDS, contest, ours, run
from bench.harness import Figure

MOST, MEMORY_MB = 1.0, 60.0


def measure(rounds: int = ROUNDS) -> Iterator[Figure]:
    url, home = orders.mariadb(), orders.home()
    batch = f"{orders.client(url)} --batch --quick -e 'select * from orders' > {home}/peer.tsv"
    found = contest(
        rounds,
        ours=lambda: ours(f"{url}/orders", f"{home}/ours.csv", home),
        mariadb=lambda: run(batch, home),
    )
    yield found.slower("C2", "mariadb", MOST)
    yield found.memory("C2", MEMORY_MB)

r"""C1: PostgreSQL to a CSV file, beside `psql \copy`, by one connection and by two.

And texts with a comma in every row, beside some without.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench import orders
from bench.copies import ROUNDS, contest, cpu, ours, run, wall
from bench.harness import Figure

MOST, COMMA, PARTITIONED, MEMORY_MB = 1.0, 1.2, 0.75, 60.0


def measure(rounds: int = ROUNDS) -> Iterator[Figure]:
    url, home = orders.postgresql(), orders.home()
    query = f"select {orders.COLUMNS} from orders"
    copy = f"\\copy ({query}) to '{home}/peer.csv' csv"
    found = contest(
        rounds,
        ours=lambda: ours(f"{url}/orders", f"{home}/ours.csv", home),
        psql=lambda: run(["psql", "-X", "-q", url, "-c", copy], home),
        by_two=lambda: ours(f"{url}/orders", f"{home}/two.csv", home, "--partitions", "2"),
        start=lambda: ours(url, f"{home}/one.csv", home, "--query", "select 1"),
    )
    yield found.slower("C1", "psql", MOST)
    yield found.slower("C1", "psql", PARTITIONED, mine="by_two")
    yield Figure(
        id="C1",
        what="the start of ours, which is in all of C1 to C9: a query of one row",
        measured=f"{found.median('start', wall):.2f} s, CPU {found.median('start', cpu):.2f} s",
    )
    yield found.memory("C1", MEMORY_MB)
    yield with_commas(url, rounds)


def with_commas(url: str, rounds: int) -> Figure:
    """A copy with a comma in every row beside one without: equal sizes, but for the escapes."""
    home = orders.home()

    def texts(between: str) -> str:
        select = f"select id, 'some text{between} and more of it, ' || id from orders"
        return select.replace(", ' ||", "' ||") if between == ";" else select

    found = contest(
        rounds,
        ours=lambda: ours(url, f"{home}/o.csv", home, "--query", texts(",")),
        without=lambda: ours(url, f"{home}/o.csv", home, "--query", texts(";")),
    )
    figure = found.slower("C1", "without", COMMA)
    return Figure(
        id="C1",
        what="a comma in every row, to none",
        measured=f"{figure.measured} (CPU {found.ratio('without', cpu):.2f} x)",
        goal=figure.goal,
        met=figure.met,
    )

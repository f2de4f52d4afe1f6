r"""C1: PostgreSQL to a CSV file, beside `psql \copy`; and texts with a comma in every row."""

from __future__ import annotations

from collections.abc import Iterator

from bench import orders
from bench.copies import ROUNDS, contest, cpu, ours, run
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
    )
    yield found.slower("C1", "psql", MOST)
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

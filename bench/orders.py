"""The table `orders` that C1 to C6 and C9 copy, in a PostgreSQL and a MariaDB of their own.

About 139 bytes of CSV a row: a key, numbers, short texts, a note (10 % NULL, 0.5 % empty, 1 % with
quotes, commas and newlines, 0.5 % beyond ASCII, 0.2 % with a backslash or a tab), two moments.
Servers and data live until the program ends, and serve all measurements.
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from bench import harness
from bench.copies import ROWS, ours, run
from tests import servers

COLUMNS = "id, customer_id, status, amount, note, created_at, updated_at"
_STACK = ExitStack()
atexit.register(_STACK.close)
_POSTGRESQL = """
    create table {name} (id bigint primary key, customer_id integer, status text,
        amount numeric(12,2), note text, created_at timestamp, updated_at timestamptz)
"""
_FILL = """
    insert into orders select n, n * 7919 % 100000,
        (array['new', 'paid', 'shipped', 'returned'])[1 + n::integer % 4],
        n * 37 % 10000000 / 100.0,
        case when n % 10 = 0 then null when n % 200 = 1 then ''
            when n % 100 = 2 then 'said "later", twice' || chr(10) || 'and left ' || md5(n::text)
            when n % 200 = 3 then 'caf' || chr(233) || ' ' || chr(128512) || ' ' || md5(n::text)
            when n % 500 = 4 then 'c:' || chr(92) || 'x' || chr(9) || md5(n::text)
            else 'a note of ' || md5(n::text) end,
        timestamp '2026-01-01' + n * interval '1.000017 s',
        timestamptz '2026-01-01 00:00:00+00' + n * interval '1.5 s'
    from generate_series(1::bigint, {rows}) n
"""
_MARIADB = """
    create table {name} (id bigint primary key, customer_id integer, status varchar(20),
        amount decimal(12,2), note varchar(200), created_at datetime(6), updated_at datetime(6))
"""


@cache
def home() -> Path:
    """A folder for all of it; in memory where there is room."""
    return _STACK.enter_context(harness.folder())


@cache
def postgresql() -> str:
    """The URL of a database that has `orders`, and `loaded`, which is empty."""
    url = _STACK.enter_context(servers.postgresql())
    psql(url, _POSTGRESQL.format(name="orders"))
    psql(url, _FILL.format(rows=ROWS))
    psql(url, _POSTGRESQL.format(name="loaded"))
    psql(url, "vacuum analyze orders")
    return url


@cache
def mariadb() -> str:
    """The same in MariaDB."""
    url = _STACK.enter_context(servers.mariadb())
    with_client(url, "set global innodb_buffer_pool_size = 2147483648")
    for name in ("orders", "loaded"):
        with_client(url, _MARIADB.format(name=name))
    ours(str(file()), f"{url}/orders", home())
    with_client(url, "analyze table orders")
    return url


@cache
def file() -> Path:
    """Its rows as CSV in AWS's dialect, in a folder that the sink serves: `bench/orders.csv`."""
    path = home() / "served" / "bench" / "orders.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    ours(f"{postgresql()}/orders", str(path), home())
    return path


@cache
def gzip_file() -> Path:
    """The same, compressed."""
    run(f"gzip -1 -k {file()}", home())
    return file().with_name("orders.csv.gz")


@cache
def mariadb_file() -> Path:
    """Its rows as MariaDB has them, which knows no zones: `bench/plain.csv`."""
    path = file().with_name("plain.csv")
    ours(f"{mariadb()}/orders", str(path), home())
    return path


@cache
def sink() -> str:
    """The URL of an S3 that costs next to nothing, and serves the files."""
    (home() / "served" / "bench").mkdir(parents=True, exist_ok=True)
    return _STACK.enter_context(harness.sink(home(), home() / "served")).url


def psql(url: str, sql: str) -> None:
    """Run a statement by PostgreSQL's client."""
    run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-c", sql], home())


def client(url: str) -> str:
    """MariaDB's client, as part of a script."""
    parts = urlsplit(url)
    return (
        f"mariadb --no-defaults --default-character-set=utf8mb4 -h{parts.hostname} -P{parts.port} "
        f"-u{parts.username} -p{parts.password} {parts.path[1:]}"
    )


def with_client(url: str, sql: str) -> None:
    """Run a statement by MariaDB's client."""
    script = home() / "statement.sql"
    script.write_text(sql)
    run(f"{client(url)} --local-infile=1 < {script}", home())

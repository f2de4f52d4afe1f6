"""A table that several connections read is the table as it is at one moment, in key order."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.script import split
from taskrunner.data.formats.compression import Compression
from taskrunner.data.formats.delimited import Csv, Delimited
from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.data.transfer import Transfer
from taskrunner.errors import PermanentTaskError
from taskrunner.host.local_files import LocalFiles
from taskrunner.testing import new_object, new_task
from tests import servers
from tests.integration.test_databases import database, ignore

ROWS = 3000
CSV = Csv()
SOURCE = TableNode(
    id="In",
    database=new_task(
        "CopyActivity",
        {},
        new_object("Orders", "JdbcDatabase", {"connectionString": "jdbc:none://none/"}),
    ).object("Orders"),
    table="orders",
    schema=None,
    select_query=None,
    insert_query=None,
    create_table_sql=None,
)


class Writing:
    """Told of progress: the first time, another connection changes the table."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_done = False

    def progress(self, **fields: str | int) -> None:
        if not self.is_done:
            self.is_done = True
            with database(self._url) as db:
                run(db, "delete from orders where id > 200000; update orders set note = 'new'")

    def check_canceled(self) -> None:
        pass


def run(db: Database, script: str) -> None:
    db.run(split(script, db.dialect), (), ignore)


@pytest.fixture(params=["postgresql", "mariadb"], scope="module")
def server(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def url(server: str) -> Iterator[str]:
    made = servers.postgresql_database if "postgresql" in server else servers.mariadb_database
    numbers = (
        f"generate_series(1, {ROWS}) as numbers (n)"
        if "postgresql" in server
        else f"(select cast(seq as signed) as n from seq_1_to_{ROWS}) as numbers"
    )
    with made(server) as found:
        with database(found) as db:
            run(db, "create table orders (id integer primary key, note varchar(200))")
            # Keys with gaps, and below zero.
            run(db, f"insert into orders select n * 150 - 9000, 'old, as it was' from {numbers}")
        yield found


def copy(
    url: str, to: Path, source: TableNode = SOURCE, form: Delimited = CSV, partitions: int = 3
) -> Writing:
    settings = DataSettings(databases={"Orders": url}, local=LocalFiles(folders=(to.parent,)))
    target = FileNode(
        id="Out", uri=str(to), is_directory=False, format=form, compression=Compression.GZIP
    )
    monitor = Writing(url)
    Transfer(open_store(settings), settings, monitor, file_name="x", partitions=partitions).copy(
        source, target
    )
    return monitor


@pytest.mark.parametrize("escape", ["\\", "^"], ids=["lines", "rows"])
def test_all_rows_are_of_one_moment_and_in_the_order_of_ranges(
    url: str, tmp_path: Path, escape: str
) -> None:
    """Another connection deletes and changes rows while the first range is written."""
    form = Delimited(escapes=Escapes(escape=escape))
    monitor = copy(url, tmp_path / "out.csv.gz", form=form)
    assert monitor.is_done
    comma = f"{escape},"
    wanted = "".join(f"{n * 150 - 9000},old{comma} as it was\n" for n in range(1, ROWS + 1))
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()).decode() == wanted


def test_what_cannot_be_read_by_ranges_is_refused(url: str, tmp_path: Path) -> None:
    with database(url) as db:
        run(db, "create table other (id varchar(9) primary key)")
        if url.startswith("postgresql"):
            # The key of a table says nothing of the rows of those that inherit from it.
            run(db, "create table heir () inherits (orders)")
    heirs = [SOURCE] if url.startswith("postgresql") else []
    for source, words in (
        (replace(SOURCE, select_query="select 1"), "found a query in 'In', wanted a table whose"),
        (replace(SOURCE, table="other"), "found the table 'other', which has no such key in 'In'"),
        *((heir, "found the table 'orders', which has no such key") for heir in heirs),
    ):
        with pytest.raises(PermanentTaskError, match=words):
            copy(url, tmp_path / "out", source)
    assert not (tmp_path / "out").exists()


def test_partitions_are_of_tables_that_go_into_files(tmp_path: Path) -> None:
    with pytest.raises(PermanentTaskError, match="wanted one of a table to a file or an object"):
        Transfer(
            open_store(DataSettings()),
            DataSettings(),
            Writing(""),
            file_name="x",
            partitions=2,
        ).copy(SOURCE, SOURCE)


def test_a_server_without_shared_snapshots_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    with database(url) as db, pytest.raises(PermanentTaskError, match="leave the field out"):
        db.share_snapshot([db], "orders")


def test_a_table_without_transactions_is_refused(mariadb_database: str, tmp_path: Path) -> None:
    with database(mariadb_database) as db:
        run(db, "create table orders (id integer primary key) engine=Aria")
        run(db, "insert into orders values (1), (200000)")
    with pytest.raises(PermanentTaskError, match="leave the field out"):
        copy(mariadb_database, tmp_path / "out")


def test_a_format_that_the_server_cannot_write_stays_within_the_moment(
    postgresql_database: str,
) -> None:
    """To find that out ended the transaction once, and with it what it saw."""
    with database(postgresql_database) as db:
        run(db, "create table t (n integer); insert into t values (1)")
    with database(postgresql_database) as db:
        db.begin_snapshot()
        with db.stream("select count(*) from t") as result:
            assert next(result.batches) == [("1",)]
        with database(postgresql_database) as other:
            run(other, "insert into t values (2)")
        with db.stream_text("select n from t", Escapes(escape="^")) as none:
            assert none is None
        with db.stream("select count(*) from t") as result:
            assert next(result.batches) == [("1",)]

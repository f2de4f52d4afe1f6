"""What goes into MariaDB as lines is what goes in by INSERT, or is refused as there: the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrunner.data.databases.base import Batch, Database, Target
from taskrunner.data.databases.lines_in import FileRows
from taskrunner.data.databases.mysql_load import LineLoader
from taskrunner.data.databases.script import parse_statement, split
from taskrunner.data.databases.text import Lines
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.formats.encoding import Decoder, Encoder, Escapes
from taskrunner.errors import TaskError
from tests import servers
from tests.integration.test_databases import database, ignore
from tests.integration.test_text_paths import TEXTS_OF_MARIADB

Row = Sequence[str | None]
CSV = Escapes()
#: A column a type, and texts of which the server keeps some, changes some and refuses some.
COLUMNS = {
    "int null": ["1", "-2147483648", "2147483648", "1.5", "", "x", "1e2", " 7", "0x10", "1abc"],
    "tinyint unsigned null": ["0", "255", "256", "-1", "00"],
    "bigint unsigned null": ["18446744073709551615", "18446744073709551616"],
    "decimal(5,2) null": ["1.25", "19.999", "999.99", "1000", "-0.00", ".5", "5.", "1,5"],
    "float null": ["0.1", "16777217", "1e39", "nan"],
    "double null": ["0.1", "1e308", "1e309", "9007199254740993", "-0"],
    "date null": ["2024-02-29", "2023-02-29", "0000-00-00", "2020-00-15", "20200101", "2020-1-1"],
    "datetime(3) null": ["2026-02-13 02:00:00.123", "2026-02-13 02:00:00.1234", "2026-02-13"],
    "timestamp null": ["2026-02-13 02:00:00", "2026-02-13T02:00:00Z", "1969-01-01 00:00:00"],
    "time null": ["-838:59:59", "839:00:00", "12:00", "1200", "12:00:00.5"],
    "year null": ["2026", "0", "0000", "70", "1900", "abc"],
    "varchar(3) null": ["", "abc", "abcd", "ab ", "abc ", "é😀x", "NULL", r"\N", "a,b", "\\\n"],
    "char(3) character set latin1 null": ["é", "😀", "a  "],
    "text null": ["\0", "\x1a", "end\r", "\ufeff", "a\nb", "\\", "\\\\n", '"q"', "'"],
    "enum('a','b','3') null": ["a", "A", "3", "1", "c", "", "0"],
    "set('a','b') null": ["a,b", "b,a", "c", "", "3", "a,a"],
    "json null": ['{"a": [1, "x,y\\n"]}', "{", "null"],
    "varchar(9) not null": ["here", ""],
    "int not null": ["1", ""],
    "timestamp not null default '2020-01-01 00:00:00'": ["2026-02-13 02:00:00"],
    "int null check (c20 > 0)": ["1", "0"],
    "int null unique": ["1", "2", "3"],
    "inet6 null": ["::1", "x"],
}
#: More of the good ones, or no table of several rows would be taken.
OF_TYPES = [
    st.just(values[0]) | st.just(values[0]) | st.none() | st.sampled_from(values)
    for values in COLUMNS.values()
]
GOOD: list[str | None] = [values[0] for values in COLUMNS.values()]
NAMES = [f"c{number}" for number in range(len(COLUMNS))]


@pytest.fixture(scope="module")
def mariadb(mariadb_url: str) -> Iterator[Database]:
    with servers.mariadb_database(mariadb_url) as url, database(url) as db:
        kinds = ", ".join(f"c{n} {kind}" for n, kind in enumerate(COLUMNS))
        run(db, f"create table t (id integer auto_increment primary key, {kinds})")
        run(db, "create table plain (a varchar(9), b text)")
        db.prepare_load()
        yield db


def run(db: Database, script: str) -> None:
    db.run(split(script, db.dialect), (), ignore)


def of_file(data: bytes, escapes: Escapes = CSV, width: int | None = None) -> FileRows:
    """The rows of one file, in pieces of a size at which rows are cut."""
    chunks = [data[start : start + 50] for start in range(0, len(data), 50)]
    decoder = Decoder(escapes, source="it", width=width, most=1 << 28)

    def opened() -> Iterator[tuple[str, nullcontext[Iterator[bytes]]]]:
        yield "it", nullcontext(iter(chunks))

    return FileRows(
        batches=decoder.decode(chunks),
        escapes=escapes,
        width=width,
        files=opened,
        count=lambda rows: None,
    )


def tried(db: Database, target: Target, source: Iterable[Batch]) -> tuple[list[Row], str]:
    """What a load puts into the table, and why it fails if it does; then it is undone."""
    told = ""
    db.on_lossy_value = target.on_lossy_value
    db.check_target(target)
    try:
        db.load_rows(target, source)
    except TaskError as error:
        told = str(error)
    names = ", ".join(target.columns)
    with db.stream(f"select {names} from {target.table}") as result:
        found: list[Row] = [[*row] for batch in result.batches for row in batch]
    db.execute(parse_statement("rollback", db.dialect), None, alone=False)
    return ([] if told else found), told


def both(
    db: Database, data: bytes, policy: OnLossyValue, columns: Sequence[str] = NAMES
) -> list[tuple[list[Row], str]]:
    """What comes of a load by lines, and of one by an INSERT of the author's."""
    places = ", ".join("?" * len(columns))
    query = f"insert into t ({', '.join(columns)}) values ({places})"
    target = partial(Target, table="t", columns=tuple(columns), on_lossy_value=policy)
    return [
        tried(db, to, of_file(data, width=len(columns)))
        for to in (target(), target(insert_query=query))
    ]


@pytest.mark.parametrize("kind", COLUMNS)
def test_each_value_is_kept_or_refused_as_by_insert(mariadb: Database, kind: str) -> None:
    number = list(COLUMNS).index(kind)
    for value in [*COLUMNS[kind], None]:
        row = [*GOOD[:number], value, *GOOD[number + 1 :]]
        by_lines, by_insert = both(mariadb, Encoder(CSV).encode([row]), OnLossyValue.FAIL)
        assert by_lines == by_insert


@settings(max_examples=40)
@given(
    table=st.lists(st.tuples(*OF_TYPES), min_size=1, max_size=4),
    policy=st.sampled_from(OnLossyValue),
)
def test_rows_by_chance(mariadb: Database, table: list[Row], policy: OnLossyValue) -> None:
    by_lines, by_insert = both(mariadb, Encoder(CSV).encode(table), policy)
    assert by_lines[0] == by_insert[0]
    # Of two values that are refused either may be the one that is told of.
    assert bool(by_lines[1]) == bool(by_insert[1])


@pytest.mark.parametrize("separator", [",", "\t", "|", "Z", "'", '"', " ", "Q"])
@pytest.mark.parametrize("escape", ["\\", "^"])
def test_nasty_texts(mariadb: Database, separator: str, escape: str) -> None:
    """By lines, by the lines that are made of rows, and from a database: all the same texts."""
    escapes = Escapes(separator=separator, escape=escape)
    table: list[Row] = [[str(n), text] for n, text in enumerate([*TEXTS_OF_MARIADB, None])]
    target = Target(table="plain", columns=("a", "b"))
    data = Encoder(escapes).encode(table)
    for source in (of_file(data, escapes), [table]):
        found, told = tried(mariadb, target, source)
        assert (found, told) == (table, "")


@pytest.mark.parametrize("insert", [None, "insert into odd (a, b) values (?, unhex(substr(?, 3)))"])
def test_the_servers_own_meaning_of_backslashes_and_quotes(
    mariadb: Database, insert: str | None
) -> None:
    """Neither lines nor values are read as the server's mode would read a statement."""
    table: list[Row] = [["C:\\dir\\", "\\x5c27"], ["it's", None], ["\\'\" or 1; --", "\\x00ff"]]
    mode = "NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_TRANS_TABLES"
    run(mariadb, "create table if not exists odd (a varchar(20), b varbinary(9))")
    run(mariadb, f"set session sql_mode = '{mode}'")
    try:
        target = Target(table="odd", columns=("a", "b"), insert_query=insert)
        assert tried(mariadb, target, of_file(Encoder(CSV).encode(table))) == (table, "")
        target = Target(table="plain", columns=("b",))
        lone = [row[:1] for row in table]
        found, told = tried(mariadb, target, of_file(Encoder(CSV).encode(lone)))
        assert (found, told) == (lone, "")
    finally:
        run(mariadb, "set session sql_mode = default")
        mariadb.prepare_load()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,\n", ""),
        ("1\n", "it: row 2 has 1 values, wanted 2"),
        ("1,2,3\n", "it: row 2 has 3 values, wanted 2"),
        ("1,\\x,\n", "it: row 2 has 3 values, wanted 2"),
        ("1,\xff\n", "it: row 2 is not UTF-8 text (bytes ff)"),
        ("1,2\\", "it: row 2 ends with an escape character and nothing after it"),
        ("1,2", ""),
        ("1,2\r\n", ""),
    ],
)
def test_lines_that_are_no_rows(mariadb: Database, row: str, words: str) -> None:
    data = b"a,b\n" + row.encode("latin-1")
    target = Target(table="plain", columns=("a", "b"))
    found, told = tried(mariadb, target, of_file(data, width=2))
    assert told == words
    assert len(found) == (0 if words else 2)


class Watched:
    """A connection that counts what is asked of it."""

    def __init__(self, db: Database) -> None:
        self._connection = getattr(db, "_connection")  # noqa: B009  what the driver gives
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def query(self, sql: str) -> None:
        self.asked.append(sql.split(maxsplit=1)[0])
        self._connection.query(sql)


def test_a_portion_that_the_server_objects_to_goes_by_insert(mariadb: Database) -> None:
    """The others stay as they were sent; after three in vain no more are."""
    connection, by_rows = Watched(mariadb), list[tuple[int, list[Row]]]()
    loader = LineLoader(
        *(connection, "t", ["c0", "c17", "c18"]),
        written=CSV,
        by_rows=lambda batch, first: by_rows.append((first, [*batch])),
        portion=1,
    )
    lines = [b"1,a,1\n", b"x,a,1\n1,b,1\n", b"y,a,1\n", b"2,a,1\n", b"z,a,1\n", b"3,a,1\n"]
    assert loader.load(Lines(line, line.count(b"\n")) for line in lines) == 7
    undone = ["SAVEPOINT", "ROLLBACK"]
    assert connection.asked == ["SAVEPOINT", *undone, *undone, "SAVEPOINT", *undone]
    assert [first for first, _ in by_rows] == [2, 4, 6, 7]
    assert by_rows[0][1] == [["x", "a", "1"], ["1", "b", "1"]]
    with mariadb.stream("select c0 from t order by id") as result:
        assert [row[0] for batch in result.batches for row in batch] == ["1", "2"]
    mariadb.execute(parse_statement("rollback", mariadb.dialect), None, alone=False)

"""Random tables by the fast paths and by their oracles, rows and INSERT: the same to the byte.

Ten thousand tables a server and direction in full, a few in short; TASKRUNNER_CHAOS_SEED repeats a
run. PostgreSQL writes and reads by COPY, MariaDB by the lines of a SELECT and by LOAD DATA.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from taskrunner.data.databases.base import Batch, Database, Row, Target
from taskrunner.data.databases.lines_in import FileRows
from taskrunner.data.databases.script import parse_statement, split
from taskrunner.data.formats.base import Column, Format
from taskrunner.data.formats.delimited import Csv, Delimited, Tsv
from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.formats.json_lines import JsonLines
from taskrunner.data.formats.parquet import Parquet
from taskrunner.data.formats.quoted import Quoted
from taskrunner.data.formats.quoting import Quoting
from taskrunner.data.transfer_parts import columns_of
from taskrunner.errors import TaskError
from tests.chaos.scale import Chaos
from tests.integration.test_databases import database, ignore

pytestmark = pytest.mark.external_service

_SPECIAL = ",;|\t\"'\\\r\n.N\ufeffab é😀"
_ALL = st.characters(codec="utf-8", exclude_characters="\0")
_TEXTS = st.text(st.sampled_from(_SPECIAL) | _ALL, max_size=6)
_MOMENTS = st.datetimes()
_BYTES = st.binary(max_size=4).map(lambda data: "\\x" + data.hex())
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
#: Columns that both servers have.
_COMMON: Mapping[str, st.SearchStrategy[str]] = {
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "decimal(6,2)": st.decimals(-9999, 9999, places=2).map(str),
    "text": _TEXTS | st.sampled_from(["\\.", "\\N", "", "a\n\\.\nb", "NULL", '""', "\ufeff"]),
    "varchar(5)": _TEXTS.map(lambda text: text[:5]),
    "date": st.dates().map(str),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A kind of database: its columns, and the values that they keep as they are written here."""

    name: str
    #: Columns that files are loaded into.
    loaded: Mapping[str, st.SearchStrategy[str]]
    #: More columns, of tables that are only written.
    written: Mapping[str, st.SearchStrategy[str]]

    @property
    def types(self) -> Mapping[str, st.SearchStrategy[str]]:
        return {**self.loaded, **self.written}


POSTGRESQL = Server(
    name="postgresql",
    loaded={
        **_COMMON,
        "timestamp": _MOMENTS.map(lambda moment: short(moment.isoformat(" ")) or ""),
        "boolean": st.sampled_from(["t", "f"]),
    },
    written={
        "double precision": _FLOATS.map(repr) | st.sampled_from(["NaN", "Infinity", "-0"]),
        "bytea": _BYTES,
        "timestamptz": _MOMENTS.map(lambda moment: moment.isoformat(" ") + "+00"),
        "text[]": st.lists(st.sampled_from(["a", '"b,c"', "NULL", '"\\\\"', '"\n"'])).map(
            lambda some: "{" + ",".join(some) + "}"
        ),
    },
)
MARIADB = Server(
    name="mariadb",
    loaded={
        **_COMMON,
        "datetime(6)": _MOMENTS.map(lambda moment: moment.isoformat(" ", "microseconds")),
        "tinyint": st.integers(-128, 127).map(str),
    },
    written={
        "double": _FLOATS.map(repr),
        "varbinary(9)": _BYTES,
        "bit(9)": st.integers(0, 511).map(str),
        "time(3)": st.times().map(lambda time: time.isoformat("milliseconds")),
    },
)
SERVERS = [POSTGRESQL, MARIADB]
#: All dialects that have lines. Those with names take them from the columns of `loaded`.
_NAMES = tuple(f"c{n}" for n in range(len(POSTGRESQL.loaded)))
_FORMS: list[Delimited | Quoted] = [
    Csv(), Tsv(), Delimited(escapes=Escapes(separator="|")),
    Delimited(escapes=Escapes(separator="N")), Delimited(escapes=Escapes(escape="^")),
    Delimited(escapes=Escapes(separator="|", record_separator=";")),
    Quoted(), Quoted(quoting=Quoting(separator=";", quote="'")),
    Quoted(quoting=Quoting(separator="\t")), Quoted(header=True, columns=_NAMES),
    Csv(header=True, columns=_NAMES),
]  # fmt: skip
FORMS = st.sampled_from(_FORMS)


def tables(types: Mapping[str, st.SearchStrategy[str]]) -> st.SearchStrategy[list[Row]]:
    row = st.tuples(*(st.none() | values for values in types.values()))
    return st.lists(row.map(list), max_size=12)


def many(chaos: Chaos) -> int:
    """How many tables; TASKRUNNER_EXAMPLES is for what is between the short form and the full."""
    return chaos.trials(int(os.environ.get("TASKRUNNER_EXAMPLES", "20")), 10_000)


def trials(chaos: Chaos) -> Callable[..., Callable[..., None]]:
    """Runs a property so many times, by the chaos's own seed; what it finds is not made smaller."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        bounded = settings(
            max_examples=many(chaos), deadline=None, database=None,
            phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        return seed(chaos.seed)(bounded(test))

    return decorate


def run(db: Database, sql: str) -> None:
    db.run(split(sql, db.dialect), (), ignore)


def fill(db: Database, table: str, rows: Sequence[Row]) -> None:
    run(db, f"delete from {table}")
    db.load(Target(table=table), [rows] if rows else [])


@pytest.fixture(params=SERVERS, ids=lambda server: str(server.name))
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.param
    return found


@pytest.fixture
def db(server: Server, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A connection with tables of its columns: `wide` has all, the others those for loads."""
    url: str = request.getfixturevalue(f"{server.name}_database")
    with database(url) as connection:
        for name, types in (
            *(("wide", server.types), ("back", server.types)),
            *((name, server.loaded) for name in ("one", "two", "three")),
        ):
            columns = ", ".join(f"c{n} {kind} null" for n, kind in enumerate(types))
            run(connection, f"create table {name} ({columns})")
        yield connection


def found_in(db: Database, table: str) -> list[Row]:
    with db.stream(f"select * from {table}") as result:
        return [[*row] for batch in result.batches for row in batch]


def test_what_the_server_writes_is_what_rows_are(
    chaos: Chaos, server: Server, db: Database
) -> None:
    fast_ones = 0

    @trials(chaos)
    @given(tables(server.types), FORMS)
    def check(table: Sequence[Row], form: Delimited | Quoted) -> None:
        nonlocal fast_ones
        fill(db, "wide", table)
        assert form.text is not None
        fast = None
        with db.stream_text("select * from wide", form.text) as lines:
            if lines is not None:
                fast = b"".join(some.data for some in lines.lines)
        fast_ones += fast is not None
        with db.stream("select * from wide") as result:
            slow = b"".join(map(form.encode, result.batches))
        assert fast is None or fast == slow

    check()
    # The forms with other escapes than backslashes are not any server's.
    assert fast_ones > many(chaos) // 10
    chaos.found("copies", f"{server.name}: {fast_ones} tables by lines as by rows")


def test_what_the_server_reads_is_what_rows_are(chaos: Chaos, server: Server, db: Database) -> None:
    """Files as lines, as rows, and by an INSERT of the author's: the same rows, or none."""
    places = ", ".join("?" * len(server.loaded))
    insert = f"insert into three values ({places})"
    kept = 0

    @trials(chaos)
    @given(
        *(tables(server.loaded), FORMS, st.integers(1, 60), st.randoms(use_true_random=False)),
    )
    def check(table: Sequence[Row], form: Delimited | Quoted, size: int, chance: Random) -> None:
        nonlocal kept
        data = spoiled(form.encode(table), chance)
        writer = form.writer([Column(name=name) for name in _NAMES])
        data = writer.begin() + data
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        for name in ("one", "two", "three"):
            run(db, f"delete from {name}")
        told = [
            loaded(db, Target(table="one"), file_rows(form, chunks)),
            loaded(db, Target(table="two"), batches(form, chunks)),
            loaded(db, Target(table="three", insert_query=insert), batches(form, chunks)),
        ]
        # Of two faults it may be another one that is found first.
        assert [bool(text) for text in told] in ([True] * 3, [False] * 3), told
        kept += not told[0]
        one, two, three = (found_in(db, name) for name in ("one", "two", "three"))
        assert one == two
        assert two == three

    check()
    count = many(chaos)
    assert kept > count // 10
    chaos.found("copies", f"{server.name}: {count} files by lines as by rows, {kept} of them good")


def spoiled(data: bytes, chance: Random) -> bytes:
    """Now and then other line ends, or a byte that should not be there."""
    if chance.random() < 0.2:
        data = data.replace(b"\n", b"\r\n")
    if data and chance.random() < 0.2:
        at = chance.randrange(len(data))
        data = data[:at] + chance.choice([b'"', b",", b"\n", b"\\", b"\xff", b"x"]) + data[at:]
    return data


def file_rows(form: Delimited | Quoted, chunks: Sequence[bytes]) -> FileRows:
    def files() -> Iterator[tuple[str, nullcontext[Iterator[bytes]]]]:
        yield "file", nullcontext(form.take_names(chunks, source="file")[1])

    width = len(form.columns) or None
    return FileRows(
        batches=batches(form, chunks), escapes=form.text, width=width, files=files,
        count=lambda rows: None, at_start=not form.has_names,
    )  # fmt: skip


def batches(form: Format, chunks: Sequence[bytes]) -> Iterator[Batch]:
    yield from form.decode(chunks, source="file")


def loaded(db: Database, target: Target, what: FileRows | Iterator[Batch]) -> str:
    """Why nothing was loaded; empty when it was."""
    try:
        db.load(target, what)
    except TaskError as error:
        db.execute(parse_statement("rollback", db.dialect), None, alone=False)
        return str(error)
    return ""


def test_formats_that_have_types_keep_every_value(
    chaos: Chaos, server: Server, db: Database
) -> None:
    """Out of a table into JSON Lines or Parquet, and from there into another table."""

    @trials(chaos)
    @given(tables(server.types), st.sampled_from([JsonLines(), Parquet()]), st.integers(1, 200))
    def check(table: Sequence[Row], form: JsonLines | Parquet, size: int) -> None:
        fill(db, "wide", table)
        with db.stream("select * from wide") as result:
            columns = columns_of(result)
            rows = [row for batch in result.batches for row in batch]
        writer = form.writer(columns)
        data = writer.begin() + writer.encode(rows) + writer.end()
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        names = tuple(column.name for column in columns)
        run(db, "delete from back")
        with closing(form.open(chunks, source="x", names=names)) as opened:
            db.load(Target(table="back", columns=opened.columns), opened.batches)
        assert found_in(db, "back") == [[*row] for row in rows]

    check()
    count = many(chaos)
    chaos.found("copies", f"{server.name}: {count} tables as JSON Lines or Parquet and back")


def short(moment: str | None) -> str | None:
    """Without zeros at the end of its fraction."""
    return moment.rstrip("0").rstrip(".") if moment is not None and "." in moment else moment

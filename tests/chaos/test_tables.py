"""Random tables by the fast paths and by their oracle, the way by rows: byte for byte the same.

Ten thousand tables in full, a few in short; TASKRUNNER_CHAOS_SEED repeats a run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from taskrunner.data.databases.base import Database, Row, Target
from taskrunner.data.databases.lines_in import FileRows
from taskrunner.data.databases.script import split
from taskrunner.data.formats.base import Column
from taskrunner.data.formats.delimited import Csv, Delimited, Tsv
from taskrunner.data.formats.json_lines import JsonLines
from taskrunner.data.formats.parquet import Parquet
from taskrunner.data.formats.quoted import Quoted
from taskrunner.data.formats.quoting import Quoting
from taskrunner.errors import TaskError
from tests.chaos.scale import Chaos
from tests.integration.test_databases import database, ignore

_TYPES = ("integer", "numeric(6,2)", "text", "varchar(5)", "timestamp", "boolean")
_TEXTS = st.text(
    st.sampled_from(",;\t\"'\\\r\n.N\ufeffab é😀")
    | st.characters(codec="utf-8", exclude_characters="\0"),
    max_size=6,
)
_VALUES = {
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "numeric(6,2)": st.decimals(-9999, 9999, places=2).map(str),
    "text": _TEXTS | st.sampled_from(["\\.", "\\N", "", "a\n\\.\nb", "NULL"]),
    "varchar(5)": _TEXTS.map(lambda text: text[:5]),
    "timestamp": st.datetimes().map(lambda moment: moment.isoformat(" ")),
    "boolean": st.sampled_from(["t", "f"]),
}
_FORMS: list[Delimited | Quoted] = [
    Csv(), Tsv(), Quoted(), Quoted(quoting=Quoting(separator=";", quote="'")),
    Quoted(header=True, columns=tuple(f"c{n}" for n in range(len(_TYPES)))),
]  # fmt: skip
TABLES = st.lists(st.tuples(*(st.none() | _VALUES[kind] for kind in _TYPES)).map(list), max_size=12)


def trials(chaos: Chaos, short: int = 25, full: int = 10_000) -> Callable[..., Callable[..., None]]:
    """Runs a property so many times, by the chaos's own seed; what it finds is not made smaller."""
    count = chaos.trials(short, full)

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        bounded = settings(
            max_examples=count, deadline=None, database=None, phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        return seed(chaos.seed)(bounded(test))

    return decorate


def run(db: Database, sql: str) -> None:
    db.run(split(sql, db.dialect), (), ignore)


def columns() -> str:
    return ", ".join(f"c{n} {kind}" for n, kind in enumerate(_TYPES))


@pytest.fixture
def db(postgresql_database: str) -> Iterator[Database]:
    """A connection with two tables of the same columns."""
    with database(postgresql_database) as connection:
        run(connection, f"create table one ({columns()}); create table two ({columns()})")
        yield connection


def test_what_the_server_writes_is_what_rows_are(chaos: Chaos, db: Database) -> None:
    @trials(chaos)
    @given(TABLES, st.sampled_from(_FORMS))
    def check(table: Sequence[Row], form: Delimited | Quoted) -> None:
        run(db, "truncate one")
        db.load(Target(table="one"), [table] if table else [])
        assert form.text is not None
        with db.stream_text("select * from one", form.text) as lines:
            assert lines is not None
            fast = b"".join(some.data for some in lines.lines)
        with db.stream("select * from one") as result:
            slow = b"".join(map(form.encode, result.batches))
        assert fast == slow

    check()
    chaos.found("copies", f"{chaos.trials(25, 10_000)} tables by COPY as by rows")


def test_what_the_server_reads_is_what_rows_are(chaos: Chaos, db: Database) -> None:
    @trials(chaos)
    @given(TABLES, st.sampled_from(_FORMS), st.integers(1, 60), st.randoms(use_true_random=False))
    def check(table: Sequence[Row], form: Delimited | Quoted, size: int, chance: Random) -> None:
        writer = form.writer(())
        data = writer.begin() + spoiled(writer.encode(table), chance)
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        run(db, "truncate one; truncate two")
        told = [
            loaded(db, "one", file_rows(form, chunks)),
            loaded(db, "two", batches(form, chunks)),
        ]
        # Of two faults it may be another one that is found first.
        assert [bool(text) for text in told] in ([True, True], [False, False]), told
        found = []
        for name in ("one", "two"):
            with db.stream(f"select * from {name}") as result:
                found.append([row for batch in result.batches for row in batch])
        assert found[0] == found[1]

    check()
    chaos.found("copies", f"{chaos.trials(25, 10_000)} files into a table by lines as by rows")


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
        batches=(), escapes=form.text, width=width, files=files, count=lambda rows: None,
        at_start=not form.has_names,
    )  # fmt: skip


def batches(form: Delimited | Quoted, chunks: Sequence[bytes]) -> Iterator[Sequence[Row]]:
    yield from form.decode(chunks, source="file")


def loaded(db: Database, table: str, what: FileRows | Iterator[Sequence[Row]]) -> str:
    """Why nothing was loaded; empty when it was."""
    try:
        db.load(Target(table=table), what)
    except TaskError as error:
        run(db, "rollback")
        return str(error)
    return ""


def test_formats_that_have_types_keep_every_value(chaos: Chaos) -> None:
    described = [Column(name=f"c{n}", type=kind) for n, kind in enumerate(_TYPES)]

    @trials(chaos, short=50)
    @given(TABLES, st.sampled_from([JsonLines(), Parquet()]), st.integers(1, 200))
    def check(table: Sequence[Row], form: JsonLines | Parquet, size: int) -> None:
        writer = form.writer(described)
        data = writer.begin() + writer.encode(table) + writer.end()
        chunks = [data[start : start + size] for start in range(0, len(data), size)]
        names = tuple(column.name for column in described)
        opened = form.open(chunks, source="x", names=names)
        found = [list(row) for batch in opened.batches for row in batch]
        opened.close()
        words = {"true": "t", "false": "f"}
        assert [[*row[:-1], words.get(row[-1] or "", row[-1])] for row in found] == [
            [*row[:4], short(row[4]) if isinstance(form, Parquet) else row[4], row[5]]
            for row in table
        ]

    check()
    chaos.found("copies", f"{chaos.trials(50, 10_000)} tables as JSON Lines or Parquet and back")


def short(moment: str | None) -> str | None:
    """Without zeros at the end of its fraction."""
    return moment.rstrip("0").rstrip(".") if moment is not None and "." in moment else moment

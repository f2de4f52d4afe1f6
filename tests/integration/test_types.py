"""The type table of docs/types.md, held true: every type by every format, and between databases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest

from taskrunner.data.databases.base import Batch, Database, Row, Target
from taskrunner.data.databases.lines_in import FileRows
from taskrunner.data.databases.script import split
from taskrunner.data.formats.base import Column, Format
from taskrunner.data.formats.charset import Charset
from taskrunner.data.formats.delimited import Csv, Custom, Delimited, Tsv
from taskrunner.data.formats.json_lines import JsonLines
from taskrunner.data.formats.parquet import Parquet
from taskrunner.data.formats.quoted import Quoted
from taskrunner.data.formats.quoting import Quoting, TextDialect
from taskrunner.data.formats.server_text import copies
from taskrunner.data.transfer_parts import columns_of, declared_types, with_types
from taskrunner.errors import TaskError
from taskrunner.testing.activity_environment import new_object, new_task
from tests import types_matrix as matrix
from tests.chaos.scale import is_full
from tests.integration.test_databases import database, ignore, rows, run

PAGE = Path(__file__).parents[2] / "docs" / "types.md"
KINDS = {"postgresql": matrix.POSTGRESQL, "mariadb": matrix.MARIADB, "sqlite": matrix.SQLITE}
HEADINGS = {"postgresql": "PostgreSQL", "mariadb": "MySQL and MariaDB", "sqlite": "SQLite"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh(kind, request, tmp_path)


def fresh(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/types.db"
    found: str = request.getfixturevalue(f"{kind}_database")
    return found


def formats(names: tuple[str, ...]) -> Iterator[Format]:
    """Each in both dialects, with and without names, and in other character sets."""
    yield Csv()
    yield Tsv()
    yield Tsv(header=True, columns=names)
    yield Csv(charset=Charset("utf-16"))
    fields = {"columnSeparator": "|", "recordSeparator": ";", "escapeChar": "^"}
    described = new_object("Bars", "Custom", fields)
    yield Custom.from_object(new_task("CopyActivity", {}, described).object("Bars"))
    yield Quoted()
    yield Quoted(quoting=Quoting(separator="\t"), charset=Charset("utf-8-sig"))
    yield Quoted(quoting=Quoting(separator=";", quote="'"), header=True, columns=names)


#: What the types of Parquet have no place for: refused, with row and column.
REFUSED_BY_PARQUET = {
    "postgresql": {
        "numeric(38,10)": ["NaN"],
        "date": ["infinity", "-infinity", "4713-01-01 BC", "0044-03-15 BC", "5874897-12-31"],
        "time": ["24:00:00"],
        "timestamp": [
            *("infinity", "-infinity", "4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999")
        ],
        "timestamptz": ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC"],
    },
    "mariadb": {
        "date": ["0000-00-00", "2020-00-15"],
        "datetime": ["0000-00-00 00:00:00"],
        "datetime(6)": ["0000-00-00 00:00:00.000000"],
        "timestamp null": ["0000-00-00 00:00:00"],
        "time": ["-838:59:59", "838:59:59"],
        "time(6)": ["-00:00:00.000001", "838:59:59.999999"],
    },
    "sqlite": {"date": [""], "datetime": ["0000-00-00 00:00:00"]},
}


def table_of(types: matrix.Types) -> list[Row]:
    """A row for each number, with the value of that number of every type; NULLs at the end."""
    most = max(map(len, types.values()))
    values = types.values()
    return [
        [str(number), *(each[number] if number < len(each) else None for each in values)]
        for number in range(most + 1)
    ]


def load(url: str, table: str, given: Sequence[Row]) -> None:
    with database(url) as db:
        db.load(Target(table=table), [given])


def through(form: Format, table: Sequence[Row], size: int = 1 << 18) -> list[list[str | None]]:
    """What is read from the bytes that are written, in pieces of this size."""
    writer = form.writer([Column(name=f"c{number}") for number, _ in enumerate(table[0])])
    data = writer.begin() + writer.encode(table) + writer.end()
    if not form.charset.is_utf8:
        data = form.charset.encoder().encode(data.decode(), final=True)
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    texts = form.charset.to_utf8(pieces, source="x")
    return [list(row) for batch in form.decode(texts, source="x") for row in batch]


def test_every_type_comes_back_as_it_was_by_every_format(kind: str, url: str) -> None:
    types = KINDS[kind]
    columns = ", ".join(f"c{number} {name}" for number, name in enumerate(types))
    if kind == "postgresql":
        run(url, matrix.POSTGRESQL_OWN)
    for name in ("given", "back"):
        run(url, f"create table {name} (n integer, {columns})")
    table = table_of(types)
    load(url, "given", table)
    found = rows(url, "select * from given order by n")
    wrong = [
        (name, want, got)
        for wanted, row in zip(table, found, strict=True)
        for name, want, got in zip(["n", *types], wanted, row, strict=True)
        if want != got
    ]
    assert wrong == []
    for form in formats(tuple(f"c{number}" for number in range(len(types) + 1))):
        assert through(form, found) == found
        assert through(form, found, size=7) == found
    load(url, "back", through(Csv(), found))
    assert rows(url, "select * from back order by n") == found
    if kind == "sqlite":
        kinds = ", ".join(f"typeof(c{number})" for number in range(len(types)))
        query = f"select n, {kinds} from {{}} order by n"
        assert rows(url, query.format("back")) == rows(url, query.format("given"))


#: Types of MariaDB whose texts it does not write in lines (of some character sets, not beside those
#: of others: tests/integration/test_text_paths.py has them alone), and those that no lines are
#: loaded of.
ONLY_BY_ROWS = re.compile("^float|utf16|ucs2|gbk|sjis|geometry|point|linestring|polygon")
ONLY_BY_INSERT = re.compile("binary|blob|bit|byte|geometry|point|linestring|polygon")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_every_type_goes_by_the_servers_own_lines(kind: str, url: str) -> None:
    """The bytes are those of the way by rows, and what is loaded of them is what it was."""
    types = {n: v for n, v in KINDS[kind].items() if kind == PG or not ONLY_BY_ROWS.search(n)}
    plain = {n: v for n, v in types.items() if kind == PG or not ONLY_BY_INSERT.search(n)}
    if kind == PG:
        run(url, matrix.POSTGRESQL_OWN)
    for table, some in (("given", types), ("plain", plain), ("back", plain)):
        columns = ", ".join(f"c{number} {name} null" for number, name in enumerate(some))
        run(url, f"create table {table} (n integer, {columns})")
        load(url, table, table_of(some))
    names = tuple(f"c{number}" for number in range(len(plain) + 1))
    for form in formats(names):
        dialect = form.text
        if dialect is None or not copies(dialect):
            continue
        assert written(url, "select * from given", form) == by_rows(url, "given", form)
        data = written(url, "select * from plain", form)
        assert data == by_rows(url, "plain", form)
        run(url, "delete from back")
        assert loaded_by_lines(url, data, dialect) == 0
        assert rows(url, "select * from back order by n") == table_of(plain)


def written(url: str, query: str, form: Format) -> bytes:
    """What the server itself writes in the format's dialect."""
    assert form.text is not None
    with database(url) as db, db.stream_text(query, form.text) as found:
        assert found is not None
        return b"".join(some.data for some in found.lines)


def by_rows(url: str, table: str, form: Format) -> bytes:
    return form.encode(rows(url, f"select * from {table}"))


def loaded_by_lines(url: str, data: bytes, dialect: TextDialect) -> int:
    """Loads a file into the table `back` by its lines; returns how many rows went otherwise."""
    taken: list[Batch] = []

    def batches() -> Iterator[Batch]:
        form = Quoted(quoting=dialect) if isinstance(dialect, Quoting) else Delimited(dialect)
        for batch in form.decode([data], source="x"):
            # MariaDB reads no quotes.
            taken.extend([batch] if url.startswith("postgresql") else [])
            yield batch

    def files() -> Iterator[tuple[str, AbstractContextManager[Iterator[bytes]]]]:
        yield "x", nullcontext(iter([data]))

    source = FileRows(
        batches=batches(), escapes=dialect, width=None, files=files, count=lambda rows: None
    )
    with database(url) as db:
        db.load(Target(table="back"), source)
    return len(taken)


def typed(url: str, query: str, table: str) -> tuple[list[Column], list[Row]]:
    """A query's columns with their types, and its rows."""
    with database(url) as db:
        declared = declared_types(db, table)
        with db.stream(query) as result:
            columns = columns_of(with_types(result, declared))
            return columns, [row for batch in result.batches for row in batch]


def test_every_type_comes_back_by_formats_that_have_types(kind: str, url: str) -> None:
    """Exact, or another text for the same value, or refused: then the column is named."""
    types = KINDS[kind]
    if kind == "postgresql":
        run(url, matrix.POSTGRESQL_OWN)
    columns = ", ".join(f"c{number} {name}" for number, name in enumerate(types))
    for name in ("given", "back"):
        run(url, f"create table {name} (n integer, {columns})")
    load(url, "given", table_of(types))
    described, found = typed(url, "select * from given order by n", "given")
    form = JsonLines()
    data = form.writer(described).encode(found)
    back = [[*row] for batch in form.open([data], source="x").batches for row in batch]
    assert [col for row in found for col in row if col is None or col not in {"t", "f"}] == [
        col for row in back for col in row if col is None or col not in {"true", "false"}
    ]
    load(url, "back", back)
    assert rows(url, "select * from back order by n") == [list(row) for row in found]
    refused: dict[str, list[str]] = {}
    for number, name in enumerate(["n", *types]):
        for row in found:
            value = row[number]
            kept, problem = by_parquet(described[number], value)
            if problem:
                assert f"column {described[number].name!r}" in problem
                refused.setdefault(name, []).append(value or "")
            back[int(row[0] or 0)][number] = kept
    assert refused == REFUSED_BY_PARQUET[kind]
    run(url, "delete from back")
    load(url, "back", back)
    left_out = [list(refused.get(name, ())) for name in ["n", *types]]
    wanted = [
        [None if value in gone else value for value, gone in zip(row, left_out, strict=True)]
        for row in found
    ]
    assert rows(url, "select * from back order by n") == wanted


def by_parquet(column: Column, value: str | None) -> tuple[str | None, str]:
    """What comes back of a value; or why it is not written."""
    writer = Parquet().writer([column])
    try:
        data = writer.begin() + writer.encode([[value]]) + writer.end()
    except TaskError as error:
        return None, str(error)
    [[[found]]] = Parquet().decode([data], source="x")
    return found, ""


def test_no_type_of_postgresql_is_missing(postgresql_database: str) -> None:
    query = (
        "select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace "
        "and typtype in ('b', 'r', 'm') and typcategory <> 'A'"
    )
    known = {matrix.POSTGRESQL_NAMES.get(name, name) for name in matrix.POSTGRESQL}
    known |= matrix.POSTGRESQL_LEFT_OUT
    assert {str(name) for (name,) in rows(postgresql_database, query)} <= known


class Across(NamedTuple):
    """A kind of value: its type in each database, and values that some have."""

    name: str
    postgresql: str
    mariadb: str
    sqlite: str
    #: What each database has, as it writes it.
    values: dict[str, list[str]]
    #: Pairs that are neither exact nor refused: what the target writes.
    told: dict[tuple[str, str], list[str] | None] = {}  # noqa: RUF012  nobody changes it


PG, MY, LITE = KINDS
EVERY = (PG, MY, LITE)


def same(*values: str) -> dict[str, list[str]]:
    return {kind: list(values) for kind in EVERY}


ACROSS = [
    Across("whole numbers", "bigint", "bigint", "integer",
           same("-9223372036854775808", "0", "42")),
    Across("unsigned beyond 63 bits", "numeric", "bigint unsigned", "text",
           {MY: ["18446744073709551615"]}),
    Across("decimals", "numeric(20,4)", "decimal(20,4)", "decimal(20,4)",
           {PG: ["1234567.1250"], MY: ["1234567.1250"], LITE: ["1234567.125"]},
           {(PG, LITE): ["1234567.125"], (MY, LITE): ["1234567.125"],
            (LITE, PG): ["1234567.1250"], (LITE, MY): ["1234567.1250"]}),
    Across("decimals beyond a double", "numeric(20,4)", "decimal(20,4)", "decimal(20,4)",
           {PG: ["1234567890123456.7891"], MY: ["1234567890123456.7891"]},
           {(PG, LITE): None, (MY, LITE): None}),
    Across("binary numbers", "double precision", "double", "real",
           {PG: ["0.1", "-2.5"], MY: ["0.1", "-2.5"], LITE: ["0.1", "-2.5"]}),
    Across("very large binary numbers", "double precision", "double", "real",
           {PG: ["1e+300"], MY: ["1e300"], LITE: ["1e+300"]},
           {(PG, MY): ["1e300"], (MY, PG): ["1e+300"], (MY, LITE): ["1e+300"],
            (LITE, MY): ["1e300"]}),
    Across("singles", "real", "float", "real", same("0.1", "0.12345679")),
    Across("infinite numbers", "double precision", "double", "real",
           {PG: ["Infinity", "-Infinity"], LITE: ["Infinity", "-Infinity"]},
           {(PG, MY): None, (LITE, MY): None}),
    Across("NaN", "double precision", "double", "real", {PG: ["NaN"]},
           {(PG, MY): None, (PG, LITE): None}),
    Across("texts", "text", "longtext", "text", same(*matrix.TEXTS)),
    Across("texts with NUL", "text", "longtext", "text", {MY: ["a\0b"], LITE: ["a\0b"]},
           {(MY, PG): None, (LITE, PG): None}),
    Across("binary values", "bytea", "longblob", "blob", same(*matrix.BYTES)),
    Across("Booleans", "boolean", "tinyint(1)", "boolean",
           {PG: ["t", "f"], MY: ["1", "0"], LITE: ["1", "0"]},
           {(PG, MY): None, (MY, PG): ["t", "f"], (LITE, PG): ["t", "f"]}),
    Across("bits", "bit(8)", "bit(8)", "text", {PG: ["00000101"], MY: ["5", "101"]},
           {(PG, MY): ["5"], (MY, PG): ["00000101", "01100101"]}),
    Across("dates", "date", "date", "date", same("0001-01-01", "2024-02-29", "9999-12-31")),
    Across("zero dates", "date", "date", "date",
           {MY: ["0000-00-00", "2020-00-15"], LITE: ["0000-00-00", "2020-00-15"]},
           {(MY, PG): None, (LITE, PG): None}),
    Across("infinite dates, dates BC", "date", "date", "date",
           {PG: ["infinity", "0044-03-15 BC"], LITE: ["infinity", "0044-03-15 BC"]},
           {(PG, MY): None, (LITE, MY): None}),
    Across("moments", "timestamp", "datetime(6)", "datetime",
           same("2026-02-13 02:00:00.123456")),
    Across("moments without a fraction", "timestamp", "datetime(6)", "datetime",
           {PG: ["2026-02-13 02:00:00"], MY: ["2026-02-13 02:00:00.000000"],
            LITE: ["2026-02-13 02:00:00"]},
           {(PG, MY): ["2026-02-13 02:00:00.000000"], (LITE, MY): ["2026-02-13 02:00:00.000000"],
            (MY, PG): ["2026-02-13 02:00:00"]}),
    Across("moments with a zone", "timestamptz", "timestamp(6) null", "datetime",
           {PG: ["2026-02-13 02:00:00.5+00"], MY: ["2026-02-13 02:00:00.500000"],
            LITE: ["2026-02-13 02:00:00.5+00"]},
           {(PG, MY): ["2026-02-13 02:00:00.500000"], (LITE, MY): ["2026-02-13 02:00:00.500000"],
            (MY, PG): ["2026-02-13 02:00:00.5+00"]}),
    Across("times of day", "time", "time(6)", "time", same("23:59:59.123456")),
    Across("times beyond a day", "time", "time", "time",
           {MY: ["838:59:59", "-00:00:01"], LITE: ["838:59:59", "-00:00:01"]},
           {(MY, PG): None, (LITE, PG): None}),
    Across("UUIDs", "uuid", "uuid", "text", same("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    Across("JSON", "json", "json", "text", same('{"a" :  1, "b": "é😀"}', "null")),
    Across("years", "integer", "year", "integer", same("1901", "2155")),
    Across("fixed lengths", "char(5)", "char(5)", "char(5)",
           {PG: ["ab   "], MY: ["ab"], LITE: ["ab"]},
           {(MY, PG): ["ab   "], (LITE, PG): ["ab   "], (PG, MY): ["ab"]}),
    Across("IP addresses", "inet", "inet6", "text", same("::1", "2001:db8::ff00:42:8329")),
    Across("spans of time", "interval", "time(6)", "text",
           {PG: ["1 mon -1 days +00:00:00.000001"], MY: ["-00:00:00.000001"]},
           {(PG, MY): None}),
    Across("arrays, ranges", "text[]", "text", "text", {PG: ['{a,"b,c",NULL,"\\""}', "{}"]}),
    Across("geometries", "bytea", "geometry", "blob",
           {MY: ["\\x" + "00" * 4 + "01010000" + "00" * 17]}),
    Across("moments out of range", "timestamp", "timestamp null", "datetime",
           {PG: ["1969-12-31 23:59:59", "2038-01-19 03:14:08"]}, {(PG, MY): None}),
]  # fmt: skip


def test_values_between_databases(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each is exact, another text for the same value, or refused: as the page says."""
    with ExitStack() as opened:
        dbs = {
            kind: opened.enter_context(database(fresh(kind, request, tmp_path))) for kind in EVERY
        }
        wrong = [w for number, across in enumerate(ACROSS) for w in differing(dbs, number, across)]
    assert wrong == []


def differing(dbs: Mapping[str, Database], number: int, across: Across) -> Iterator[object]:
    """What comes of values otherwise than the page has it."""
    table = f"t{number}"
    for kind, db in dbs.items():
        statement(db, f"create table {table} (n integer, v {getattr(across, kind)})")
    for source, values in across.values.items():
        kept = moved(dbs[source], table, [[str(n), value] for n, value in enumerate(values)])
        assert kept == values, (across.name, source)
        for target in EVERY:
            if target != source:
                wanted = across.told.get((source, target), values)
                # As they were read: some texts know of what kind they are.
                read: list[Row] = [[str(n), value] for n, value in enumerate(kept)]
                # What is refused ends a load, so that each needs one of its own.
                some = [[row] for row in read] if wanted is None else [read]
                found = [v for part in some for v in moved(dbs[target], table, part)]
                want = [None] * len(values) if wanted is None else wanted
                if found != want:
                    yield across.name, source, target, want, found


def moved(db: Database, table: str, given: Sequence[Row]) -> list[str | None]:
    """What a database writes of rows that it has been given; None when they were refused."""
    statement(db, f"delete from {table}")
    try:
        db.load(Target(table=table), [given])
    except TaskError as error:
        db.commit()  # what failed has left nothing
        named = re.search(r"column [^ ]*\bv\b", str(error).replace("'", "").replace('"', ""))
        return [None if named else f"refused, but the column is not named: {error}"]
    with db.stream(f"select v from {table} order by n") as result:
        return [value for batch in result.batches for (value,) in batch]


def statement(db: Database, sql: str) -> None:
    db.run(split(sql, db.dialect), (), ignore)


def named(heading: str) -> list[str]:
    """What the page's table under a heading has in its first cells."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")
    return re.findall(r"^\| ([^|]+) \|", section[0], re.MULTILINE)[2:]


def test_the_page_names_every_type(kind: str) -> None:
    cells = named(HEADINGS[kind])
    types = [name.replace("\\|", "|") for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(types) == sorted(KINDS[kind])


def test_the_page_says_what_becomes_of_values_between_databases() -> None:
    """Its last cell says in which directions values are refused, or change their text."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Between databases\n")[2]
    lines = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")][2:]
    found = {cells[0].strip(): cells[-1].strip() for cells in lines}
    assert found == {across.name: outcome(across) for across in ACROSS}


def outcome(across: Across) -> str:
    """The words for a row of the page."""
    short = {PG: "PostgreSQL", MY: "MySQL", LITE: "SQLite"}
    refused = [pair for pair, told in across.told.items() if told is None]
    changed = [pair for pair, told in across.told.items() if told is not None]
    parts = [
        f"{word} from {' and '.join(short[s] for s in sources)} to {short[target]}"
        for word, pairs in (("refused", refused), ("the same value", changed))
        for target in EVERY
        if (sources := [s for s, t in pairs if t == target])
    ]
    return "exact" if not parts else "; ".join(parts)


@pytest.mark.skipif(not is_full(), reason="every character of Unicode: TASKRUNNER_CHAOS=full")
def test_every_character_comes_back(kind: str, url: str) -> None:
    codes = [*range(0 if kind != "postgresql" else 1, 0xD800), *range(0xE000, 0x110000)]
    texts = ["".join(map(chr, codes[n : n + 4096])) for n in range(0, len(codes), 4096)]
    table: list[Row] = [[str(n), text] for n, text in enumerate(texts)]
    wide = "longtext" if kind == "mariadb" else "text"
    for name in ("given", "back"):
        run(url, f"create table {name} (n integer, v {wide})")
    load(url, "given", table)
    found = rows(url, "select * from given order by n")
    assert found == table
    for form in (*formats(("n", "v")), JsonLines(), Parquet()):
        run(url, "delete from back")
        back = through(form, found)
        assert back == found
        load(url, "back", back)
        assert rows(url, "select * from back order by n") == table
        if kind != LITE and form.text is not None and copies(form.text):
            data = written(url, "select * from given", form)
            assert data == by_rows(url, "given", form)
            run(url, "delete from back")
            assert loaded_by_lines(url, data, form.text) == 0
            assert rows(url, "select * from back order by n") == table

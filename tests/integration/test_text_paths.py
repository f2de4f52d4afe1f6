"""What a server writes itself is byte for byte what the way by rows writes: that is the oracle."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pytest

from taskrunner.data.databases.base import Database, Target
from taskrunner.data.databases.script import split
from taskrunner.data.databases.text import NotAsText
from taskrunner.data.formats.delimited import Csv, Delimited, Tsv
from taskrunner.data.formats.encoding import Escapes
from taskrunner.data.formats.quoted import Quoted
from taskrunner.data.formats.quoting import Quoting
from taskrunner.errors import ErrorId, TaskError
from tests import servers
from tests.integration.test_databases import MARIADB, POSTGRESQL, database, ignore

CSV, TSV = Csv(), Tsv()
FORMATS = [
    CSV,
    TSV,
    *(Delimited(escapes=Escapes(separator=c)) for c in ("|", ";", "\x01", "\x0b", " ", "Q", "'")),
]
#: Kinds of text in which a dialect can go wrong, as PostgreSQL's literals.
TEXTS = r"""E'\\N', 'NULL', '', 'a,b', E'a\tb', E'a\nb', E'\n', E'a\rb', E'end\r', E'end\r\n',
 E'\r', E'\\', E'\\\\', E'\\n', E'\\t', E'\\.', E'\\,', E'\\\n', E'\b\f\x0b\x07\x01\x7f',
 '"q"', 'é😀', E'\uFEFFmark', E'a\uFEFF', E'\n\uFEFF', '|', ';', '''', 'N', ' ', E'\\\r',
 E',\r', E'\u2028'"""


QUOTED = [
    Quoted(),
    *(Quoted(quoting=Quoting(separator=c, quote=q)) for c, q in (";'", "\tb", 'x"')),
]


def by_text(db: Database, query: str, form: Delimited | Quoted) -> bytes | None:
    """What the server writes; None where it says that the rows have to be read."""
    assert form.text is not None
    with db.stream_text(query, form.text) as result:
        if result is None:
            return None
        lines = list(result.lines)
    data = b"".join(some.data for some in lines)
    decoded = [row for batch in form.decode([data], source="it") for row in batch]
    assert sum(some.rows for some in lines) == len(decoded)
    return data


def by_rows(db: Database, query: str, form: Delimited | Quoted) -> bytes:
    with db.stream(query) as result:
        return b"".join(map(form.encode, result.batches))


def same(db: Database, query: str, form: Delimited | Quoted = CSV) -> bytes:
    """What both ways give, which must be equal, and be made in two ways."""
    text = by_text(db, query, form)
    assert text is not None
    assert text == by_rows(db, query, form)
    return text


def run(db: Database, script: str) -> None:
    db.run(split(script, db.dialect), (), ignore)


@pytest.fixture(scope="module")
def postgresql(postgresql_url: str) -> str:
    return postgresql_url


@pytest.mark.parametrize("form", [*FORMATS, *QUOTED], ids=lambda form: repr(form.text)[-30:])
def test_nasty_texts_of_postgresql(postgresql: str, form: Delimited | Quoted) -> None:
    with database(postgresql) as db:
        assert same(db, f"select v, v || v, null, v from unnest(array[{TEXTS}]) v", form)
        assert same(db, f"select v from unnest(array[{TEXTS}, null]) v", form)


def test_the_bytes_are_those_of_psql(postgresql_database: str, tmp_path: Path) -> None:
    """But for a row that begins with a byte order mark, which is quoted."""
    values = TEXTS.replace(r"E'\uFEFFmark'", "'mark'")
    target = tmp_path / "out"
    copy = f"\\copy nasty to '{target}' csv"
    with database(postgresql_database) as db:
        run(
            db,
            f"create table nasty as select v, v || v w, null n from unnest(array[{values}]) v",
        )
        subprocess.run(["psql", postgresql_database, "-qXc", copy], check=True, timeout=60)
        assert by_text(db, "select * from nasty", Quoted()) == target.read_bytes()


def test_all_types_of_postgresql(postgresql: str) -> None:
    with database(postgresql) as db:
        for kind, values in POSTGRESQL.items():
            texts = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
            query = f"select v::{kind}, null::{kind} from unnest(array[{texts}]::text[]) v"
            for form in (CSV, TSV):
                assert same(db, query, form).count(b"N") >= len(values)
            assert same(db, query, Quoted())


@pytest.mark.parametrize(
    "query",
    [
        "select 1 where false",
        "select 1 as a, 2 as a",
        "  select 1 ;; ",
        "select 1 -- and no more",
        "select 1 /* ) to stdout */",
        "(select 1 union select 2) order by 1 desc",
        "with x as (select generate_series(1, 3000) n) select n from x order by n desc",
        "values (1, 'a'), (2, null)",
        "table pg_catalog.pg_am",
        "select ')', '%', '%s', E'\\\\'",
        "select repeat('x', 100000) from generate_series(1, 20)",
    ],
)
def test_queries_that_postgresql_writes(postgresql: str, query: str) -> None:
    with database(postgresql) as db:
        same(db, query)


@pytest.mark.parametrize(
    "query",
    [
        "show timezone",
        "explain (costs off) select 1",
        "select 1; -- and no more",
        "select",
    ],
)
def test_queries_that_postgresql_does_not_write(postgresql: str, query: str) -> None:
    """The rows are read then, by the same connection."""
    with database(postgresql) as db:
        assert by_text(db, query, CSV) is None
        assert by_rows(db, query, CSV) is not None


@pytest.mark.parametrize(
    "form",
    [
        Delimited(escapes=Escapes(escape="^")),
        Delimited(escapes=Escapes(record_separator="\r")),
        Delimited(escapes=Escapes(separator="é")),
        Delimited(escapes=Escapes(separator="a")),
        Delimited(escapes=Escapes(also='"')),
        Quoted(quoting=Quoting(separator="é")),
        Quoted(quoting=Quoting(quote="é")),
    ],
)
def test_dialects_that_no_server_writes(postgresql: str, form: Delimited | Quoted) -> None:
    with database(postgresql) as db:
        assert by_text(db, "select 1", form) is None


@pytest.mark.parametrize(
    ("query", "words", "error_id"),
    [
        ("select 1) to program 'false' --", "cannot run the query", ErrorId.ACTIVITY_FAILED),
        ("select 1; select 2", "cannot insert multiple commands", ErrorId.ACTIVITY_FAILED),
        ("select * from nothing", 'relation "nothing" does not exist', ErrorId.NOT_FOUND),
        ("select 1 / (3 - n) from generate_series(1, 5) n", "division by zero", None),
        ("select 1 / (9999 - n) from generate_series(1, 20000) n", "division by zero", None),
    ],
)
def test_what_is_wrong_is_told_as_by_rows(
    postgresql: str, query: str, words: str, error_id: str | None
) -> None:
    told = []
    for way in (by_text, by_rows):
        with database(postgresql) as db, pytest.raises(TaskError, match=words) as caught:
            way(db, query, CSV)
        assert error_id in {None, caught.value.error_id}
        told.append(str(caught.value).partition(": ")[2])
    assert told[0] == told[1]


def test_what_a_query_does_besides_does_not_last(postgresql_database: str) -> None:
    with database(postgresql_database) as db:
        run(db, "create table t (n integer)")
    query = "with new as (insert into t values (1) returning n) select n from new"
    for way in (by_text, by_rows):
        with database(postgresql_database) as db:
            assert way(db, query, CSV) == b"1\n"
    with database(postgresql_database) as db:
        assert by_rows(db, "select count(*) from t", CSV) == b"0\n"


def test_a_reading_that_ends_early_ends_the_query(postgresql: str) -> None:
    query = "select generate_series(1, 100000000), pg_backend_pid()"
    with database(postgresql) as db, db.stream_text(query, Escapes()) as result:
        assert result is not None
        first = next(result.lines)
        assert first.data.startswith(b"1,")
    pid = first.data.split(b"\n", 1)[0].partition(b",")[2].decode()
    with database(postgresql) as db:
        wait = (
            "do $$ begin for i in 1..500 loop perform pg_stat_clear_snapshot(); exit when not"
            f" exists (select from pg_stat_activity where pid = {pid}); perform pg_sleep(0.02);"
            " end loop; end $$"
        )
        run(db, wait)
        assert (
            by_rows(db, f"select count(*) from pg_stat_activity where pid = {pid}", CSV) == b"0\n"
        )


@pytest.fixture(scope="module")
def mariadb(mariadb_url: str) -> Iterator[str]:
    """A database with the table `nasty`, a column a type, and `texts`, a row a text."""
    with servers.mariadb_database(mariadb_url) as url:
        with database(url) as db:
            kinds = ", ".join(f"c{n} {kind}" for n, kind in enumerate(MARIADB))
            run(db, f"create table nasty (id integer auto_increment primary key, {kinds})")
            run(db, "create table texts (id integer primary key, a text, b varchar(99))")
            names = tuple(f"c{n}" for n in range(len(MARIADB)))
            rows = list(zip_longest(*MARIADB.values()))
            db.load(Target(table="nasty", columns=names), [rows])
            values: list[str | None] = [*TEXTS_OF_MARIADB, None]
            lines = [[str(n), value, value] for n, value in enumerate(values)]
            db.load(Target(table="texts"), [lines])
        yield url


FLOAT = f"c{list(MARIADB).index('float')}"
TEXTS_OF_MARIADB = [
    r"\N", "NULL", "", "a,b", "a\tb", "a\nb", "\n", "a\rb", "end\r", "end\r\n", "\r", "\\", "\\\\",
    "\\n", "\\t", "\\\n", "\b\f\v\a\x01\x7f", '"q"', "'", "é😀", "\ufeffmark", "a\ufeff", "|", ";",
    "\n\ufeff", "N", " ", "x ", "\\\r", ",\r", "\0", "\x1a", "\u2028", "-:+eE", "%", "%s", "x" * 65,
]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: repr(form.escapes.separator))
def test_nasty_texts_of_mariadb(mariadb: str, form: Delimited) -> None:
    with database(mariadb) as db:
        same(db, "SELECT * FROM `texts`", form)
        same(db, "select a, b, null, a, 1 from texts where id >= 0", form)


@pytest.mark.parametrize("separator", [",", "\t", "-", ":", " ", "e", "+"])
def test_all_types_of_mariadb(mariadb: str, separator: str) -> None:
    """But FLOAT, whose text does not have all of its digits."""
    names = [f"c{n}" for n, kind in enumerate(MARIADB) if kind != "float"]
    form = Delimited(escapes=Escapes(separator=separator))
    with database(mariadb) as db:
        for name in names:
            query = f"select id, {name}, {name} from nasty"
            if separator == "e":
                assert by_text(db, query, form) is None
            else:
                same(db, query, form)
        if separator != "e":
            assert same(db, f"select {', '.join(names)} from nasty", form)


@pytest.mark.parametrize(
    "query",
    [
        "select a.id, b.id from texts a join texts b on a.id = b.id",
        "  select id from texts ;; ",
        "select id from texts -- and no more",
        "select id from texts # and no more",
        "select id /* ) */, ')' from texts where a is not null",
        "select count(*), max(b) from texts",
        "select 1, 'two', null, 3.50, 1e3, true, x'00ff', b'101', date '2020-01-01'",
        "select 1 from texts where false",
        "select id + 0.5, -id, concat(a, 1), a = b from texts",
        "select repeat('x', 100000) from texts",
        "select repeat('a,b\\\\', id * 300), repeat(',', id * 30), null, x'00' from texts",
        "select repeat('x', 9000000), id from texts where id < 2",
    ],
)
def test_queries_that_mariadb_writes(mariadb: str, query: str) -> None:
    with database(mariadb) as db:
        same(db, query)
        # The connection is of use afterwards.
        assert by_rows(db, "select 1", CSV) == b"1\n"


@pytest.mark.parametrize(
    "query",
    [
        "select id from texts order by b",
        "select b, count(*) from texts group by b",
        "select distinct b from texts",
        "select id from texts limit 3",
        "select 1 union all select 2",
        "with x as (select 1) select * from x",
        "show tables",
        "values (1), (2)",
        f"select {FLOAT} from nasty",
        "select cast(0.5 as float)",
        "select id from sorted",
        "select id from texts; -- and no more",
        "select point(1, 2)",
        "select id, uuid() from texts",
        "select id, one_more(id) from texts",
        "select id, `one_more` (id) from texts",
    ],
)
def test_queries_that_mariadb_does_not_write(mariadb: str, query: str) -> None:
    """Some because their order might be lost, some because nobody has looked at what they give."""
    with database(mariadb) as db:
        run(db, "create or replace view sorted as select * from texts order by b")
        run(db, "create or replace function one_more(n int) returns int return n + 1")
        assert by_text(db, query, CSV) is None
        if "no more" not in query:
            assert by_rows(db, query, CSV) is not None


def test_a_function_with_effects_is_asked_once_a_row(mariadb: str) -> None:
    """The text of a line takes each value several times."""
    with database(mariadb) as db:
        run(db, "create or replace sequence numbers")
        query = "select nextval(numbers) from texts where id < 3"
        assert by_text(db, query, CSV) is None
        assert by_rows(db, query, CSV) == b"1\n2\n3\n"


def test_a_whole_view_of_mariadb_keeps_its_order(mariadb: str) -> None:
    with database(mariadb) as db:
        run(db, "create or replace view sorted as select * from texts order by b desc")
        assert same(db, "SELECT * FROM `sorted`") != by_rows(db, "SELECT * FROM `texts`", CSV)


@pytest.mark.parametrize("form", QUOTED, ids=lambda form: repr(form.quoting))
def test_quoted_texts_of_mariadb(mariadb: str, form: Quoted) -> None:
    with database(mariadb) as db:
        # Those that begin with a byte order mark as the first, as another and as the only value.
        for columns in ("a, b, null", "id, a", "a", "b"):
            assert same(db, f"select {columns} from texts", form)
        same(db, "select '\\\\.' from texts", form)
        same(db, "select repeat('a,\"b\\n', id * 300), id, null, '' from texts", form)


#: Quotes and separators that the texts of numbers and of binary values may have in them.
ODD = [",", "\t", "-", ":", " ", "e", "+", ".", "0", "x", "\\", "c", "\b"]


@pytest.mark.parametrize("odd", ODD)
def test_all_types_of_mariadb_in_quotes(mariadb: str, odd: str) -> None:
    names = ", ".join(f"c{n}" for n, kind in enumerate(MARIADB) if kind != "float")
    forms = [Quoting(separator=odd)] if odd != '"' else []
    forms += [Quoting(separator="|", quote=odd)]
    with database(mariadb) as db:
        for quoting in forms:
            assert same(db, f"select {names} from nasty", Quoted(quoting=quoting))


@pytest.mark.parametrize(
    "collation",
    [
        *("utf8mb4_unicode_ci", "utf8mb4_bin", "latin1_german2_ci"),
        *("gbk_chinese_ci", "sjis_japanese_ci", "utf16_unicode_ci", "ucs2_bin"),
    ],
)
def test_no_collation_hides_what_has_to_be_quoted(mariadb: str, collation: str) -> None:
    """By some, a blank at the end, a mark or a letter's case count for nothing."""
    charset = collation.partition("_")[0]
    with database(mariadb) as db:
        text = f"varchar(9) character set {charset} collate {collation}"
        run(db, f"create or replace table collated (id integer primary key, v {text})")
        texts = ["", " ", "  ", "\\. ", "X", "x", "a,", "\r", "ss", "'", "A\n", "\\N", "end\r\n"]
        # Their second bytes are a backslash in these character sets.
        texts += {"gbk": ["誠,"], "sjis": ["表,"]}.get(charset, ["ß"])
        db.load(Target(table="collated"), [[[str(n), v] for n, v in enumerate(texts)]])
        for quoting in (Quoting(), Quoting(separator="X"), Quoting(quote="x"), Quoting(quote="s")):
            assert same(db, "select v from collated", Quoted(quoting=quoting))
        assert same(db, "select v from collated")


@pytest.mark.parametrize("mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "PAD_CHAR_TO_FULL_LENGTH"])
def test_whatever_the_servers_mode_is(mariadb: str, mode: str) -> None:
    with database(mariadb) as db:
        run(db, f"set session sql_mode = '{mode}'")
        same(db, "SELECT * FROM `texts`")
        same(db, "select c3 from nasty")


def test_a_character_set_of_a_column(mariadb: str) -> None:
    with database(mariadb) as db:
        run(
            db,
            "create or replace table sets (a text character set latin1,"
            " b varchar(9) character set utf16, c text character set utf8mb3 collate utf8mb3_bin,"
            " d char(3) character set ucs2)",
        )
        db.load(Target(table="sets"), [[["é,\n", "😀,\\", "é\r", "a,"], [None] * 4]])
        query = "SELECT * FROM `sets`"
        assert by_text(db, query, CSV) in {None, by_rows(db, query, CSV)}
        for name in "abcd":
            assert same(db, f"select {name} from sets")


def test_what_is_too_long_for_the_server_to_put_into_a_line(mariadb: str) -> None:
    """It makes NULL of it, which must not pass for the value."""
    query = "select repeat('x', 40000000) from texts where id = 1"
    with database(mariadb) as db, pytest.raises(NotAsText):
        by_text(db, query, CSV)


def test_an_error_in_the_midst_of_the_lines(mariadb: str) -> None:
    query = "select id, exp(id * 80) from texts"
    with database(mariadb) as db, pytest.raises(TaskError, match="out of range"):
        by_rows(db, query, CSV)
    with database(mariadb) as db, pytest.raises(TaskError, match="out of range"):
        by_text(db, query, CSV)


def test_an_early_end_of_mariadbs_lines_is_the_end_of_the_connection(mariadb: str) -> None:
    query = "select repeat('x', 1000000) from texts a join texts b join texts c"
    with database(mariadb) as db, db.stream_text(query, Escapes()) as result:
        assert result is not None
        next(result.lines)

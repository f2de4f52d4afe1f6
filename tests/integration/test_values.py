"""Values on their way into tables of real servers: kept, refused, or as `onLossyValue` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from taskrunner.data.databases.base import Target
from taskrunner.data.fitting.columns import LossyValueError
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.errors import PermanentTaskError, TaskError
from tests.integration.test_databases import MARIADB, database, rows, run

FAIL, ROUND, TRUNCATE = OnLossyValue
SERVERS = ["postgresql", "mariadb"]
#: Types, a value that each does not keep, and what the two policies store.
LOSSY = [
    ("integer", "1.5", "2", "1"),
    ("decimal(5,2)", "19.999", "20.00", "19.99"),
    ("date", "2026-02-13 12:00:00", "2026-02-13", "2026-02-13"),
    ("time(0)", "11:59:59.7", "12:00:00", "11:59:59"),
    ("{stamp}(0)", "2026-12-31 23:59:59.999999", "2027-01-01 00:00:00", "2026-12-31 23:59:59"),
    ("{stamp}(6)", "2026-02-13 02:00:00.1234567", "2026-02-13 02:00:00.123457",
     "2026-02-13 02:00:00.123456"),
    ("varchar(3)", "abc   ", "abc", "abc"),
    ("char(3)", "abc   ", "abc", "abc"),
    ("double precision", "0.1000000000000000000001", "0.1", "0.09999999999999999"),
]  # fmt: skip


@pytest.fixture(params=SERVERS)
def fresh(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_database")
    return found


def load(url: str, values: Sequence[Sequence[str | None]], **target: str | OnLossyValue) -> None:
    with database(url) as db:
        db.load(Target(**{"table": "t", **target}), [values])  # type: ignore[arg-type]


def made(url: str, columns: str) -> str:
    run(url, f"create table t ({columns.format(stamp=stamp_of(url))})")
    return url


def stamp_of(url: str) -> str:
    return "timestamp" if url.startswith("postgresql") else "datetime"


@pytest.mark.parametrize("query", [None, "insert into t (n, {names}) values (?, {places})"])
def test_what_a_column_does_not_keep(fresh: str, query: str | None) -> None:
    """By the way of the table and by the author's own INSERT alike."""
    names = [f"c{number}" for number in range(len(LOSSY))]
    made(fresh, f"n integer, {', '.join(f'{n} {t[0]}' for n, t in zip(names, LOSSY, strict=True))}")
    target: dict[str, str] = {}
    if query is not None:
        places = ", ".join("?" * len(names))
        target = {"insert_query": query.format(names=", ".join(names), places=places)}
    for position, (_, value, _, _) in enumerate(LOSSY):
        row = [None] * position + [value] + [None] * (len(LOSSY) - position - 1)
        with pytest.raises(LossyValueError, match=f"row 2, column 'c{position}' "):
            load(fresh, [["1", *[None] * len(LOSSY)], ["2", *row]], **target)
    assert rows(fresh, "select count(*) from t") == [["0"]]
    values = [value for _, value, _, _ in LOSSY]
    load(fresh, [["1", *values]], on_lossy_value=ROUND, **target)
    load(fresh, [["2", *values]], on_lossy_value=TRUNCATE, **target)
    assert rows(fresh, f"select {', '.join(names)} from t order by n") == [
        [rounded for _, _, rounded, _ in LOSSY],
        [cut for _, _, _, cut in LOSSY],
    ]


@pytest.mark.parametrize("auto", ["alone", "beside the number that the server would make up"])
def test_the_key_zero_of_mysql_is_a_key_like_any_other(mariadb_database: str, auto: str) -> None:
    run(mariadb_database, "create table t (n integer auto_increment primary key, v varchar(9))")
    given: list[list[str | None]] = [["0", "admin"], ["7", "other"]]
    if auto != "alone":
        given.append(["1", "main"])
    load(mariadb_database, given)
    assert rows(mariadb_database, "select n, v from t order by n") == sorted(given)


def test_what_mysql_alone_would_change(mariadb_database: str) -> None:
    run(
        mariadb_database,
        "create table t (f float, g float(7,2), y year, b binary(4), e enum('a','1'), s tinytext, "
        "z timestamp not null)",
    )
    kept = ["16777215", "1.25", "2026", "\\x01020304", "1", "é", "2026-02-13 02:00:00"]
    load(mariadb_database, [kept])
    for position, value in enumerate(
        ["16777217", "1.239", "26", "\\x0102", "2", "x" * 255 + " ", None]
    ):
        given = [*kept[:position], value, *kept[position + 1 :]]
        with pytest.raises(LossyValueError, match=f"column '{'fgybesz'[position]}' "):
            load(mariadb_database, [given])


@pytest.mark.parametrize("query", [None, "insert into t (n, b, e) values (?, ?, ?)",
                                   "insert into t set n = ?, b = ?, e = ?"])  # fmt: skip
def test_bits_bytes_and_words_are_the_same_by_every_way(
    mariadb_database: str, query: str | None
) -> None:
    run(
        mariadb_database,
        r"create table t (n bit(8), b varbinary(9), e enum('a', 'C:\\x', 'q''q', 'new\nline'))",
    )
    given = [["1", "\\x00ff", "C:\\x"], ["255", "\\x", "q'q"], ["0", "text", "new\nline"]]
    load(mariadb_database, given, **({"insert_query": query} if query else {}))
    found = rows(mariadb_database, "select cast(n as unsigned), lower(hex(b)), e from t")
    assert found == [["1", "00ff", "C:\\x"], ["255", "", "q'q"], ["0", "74657874", "new\nline"]]


def test_what_the_server_says_itself_of_a_changed_value_counts(mariadb_database: str) -> None:
    """By ways of which nothing is known before: a value that goes through an expression."""
    run(mariadb_database, "create table t (n integer, v decimal(5,2))")
    query = "insert into t (n, v) values (?, concat(?, ''))"
    with pytest.raises(TaskError, match=r"the server changed a value.*'v'.*\(in row 2 for"):
        load(mariadb_database, [["1", "1.25"], ["2", "1.999"]], insert_query=query)
    assert rows(mariadb_database, "select * from t") == []
    load(mariadb_database, [["2", "1.999"]], insert_query=query, on_lossy_value=ROUND)
    assert rows(mariadb_database, "select v from t") == [["2.00"]]


def test_what_postgresql_alone_would_change(postgresql_database: str) -> None:
    run(
        postgresql_database,
        "create domain price as numeric(5,2); create domain fee as price; "
        'create table t (p fee, a numeric(5,2)[], r real, m money, i interval(2), c "char", '
        "z timestamp)",
    )
    kept = ["1.25", "{1.25,NULL}", "16777215", "1.25", "1 day 02:03:04.56", "x",
            "2026-02-13 02:00:00+00"]  # fmt: skip
    load(postgresql_database, [kept])
    changed = ["1.999", "{1,1.999}", "16777217", "1.999", "02:03:04.567", "xy",
               "2026-02-13 02:00:00+05"]  # fmt: skip
    for position, value in enumerate(changed):
        given = [*kept[:position], value, *kept[position + 1 :]]
        with pytest.raises(LossyValueError, match=f"column '{'parmicz'[position]}' "):
            load(postgresql_database, [given])


def test_a_row_that_the_server_refuses_is_told_by_its_number(mariadb_database: str) -> None:
    run(mariadb_database, "create table t (n integer, v varchar(3))")
    words = r"Data too long for column 'v'.*\(in row 1002 for"
    with database(mariadb_database) as db, pytest.raises(TaskError, match=words):
        db.load(Target(table="t"), [[["1", "x"]] * 1000, [["1", "x"], ["2", "long"]]])


def test_what_is_inside_of_a_type_of_ones_own(postgresql_database: str) -> None:
    run(
        postgresql_database,
        "create type pair as (a numeric(5,2), b varchar(3)); create domain paired as pair; "
        "create type spans as range (subtype = double precision); "
        "create table t (p paired, a pair[], s spans, m money, d date, x numeric(5,2))",
    )
    kept = ["(1.50,abc)", '{"(1.50,)",NULL}', "[0.1,2)", "(1.50)", "2026-01-05", "1e-2"]
    load(postgresql_database, [kept])
    changed = ["(1.999,abc)", '{"(1.50,abc )"}', "[0.1,9007199254740993)", "(1.505)", "today",
               "1e-30000"]  # fmt: skip
    for position, value in enumerate(changed):
        given = [*kept[:position], value, *kept[position + 1 :]]
        with pytest.raises(LossyValueError, match=f"column '{'pasmdx'[position]}' "):
            load(postgresql_database, [given])


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("id", "a", "id"), "the column 'id' is listed twice"),
        (("id", "a", "b"), "the server makes the column 'b' itself"),
    ],
)
@pytest.mark.parametrize("kind", ["varchar(9)", "{binary}"])
def test_columns_of_which_the_server_would_drop_a_value(
    fresh: str, columns: tuple[str, ...], words: str, kind: str
) -> None:
    """LOAD DATA takes the last of two, and passes over what is for a column that it makes."""
    kind = kind.format(binary="bytea" if fresh.startswith("postgresql") else "blob")
    made(fresh, f"id integer, a {kind}, b integer generated always as (id * 2) stored")
    with pytest.raises(TaskError, match=words):
        load(fresh, [["1", "x", "99"]], columns=columns)  # type: ignore[arg-type]
    assert rows(fresh, "select * from t") == []


def test_a_view_takes_rows_where_the_server_can_put_them(fresh: str) -> None:
    made(fresh, "id integer primary key, v varchar(9), w integer")
    run(fresh, "create view w as select id, v from t where id < 10")
    with database(fresh) as db:
        assert db.load(Target(table="w"), [[["1", "a"], ["2", None]]]) == 2
    assert rows(fresh, "select id, v from t order by id") == [["1", "a"], ["2", None]]


@pytest.mark.parametrize(
    "query", [None, 'insert into t ("V", id) values (?, ?)', 'insert into t ("V", id) select ?, ?']
)
def test_a_name_in_capitals_is_no_others(postgresql_database: str, query: str | None) -> None:
    """`v` would keep what `V` does not."""
    run(postgresql_database, 'create table t (id integer, "V" numeric(5,2), v numeric)')
    names: dict[str, Any] = {"insert_query": query} if query else {"columns": ("V", "ID")}
    with pytest.raises(LossyValueError, match="row 2, column 'V' "):
        load(postgresql_database, [["1.25", "1"], ["1.999", "2"]], **names)
    load(postgresql_database, [["1.25", "1"]], **names)
    assert rows(postgresql_database, 'select id, "V" from t') == [["1", "1.25"]]


@pytest.mark.parametrize(
    "query",
    [
        "insert into t (sku, qty) values (?, ?) {} qty = ?",
        "insert into t (sku, qty) values (%s, %s) {} qty = %s",
        "insert into t (sku, qty) select ?, {cast} where {cast} > 0 {} qty = 7",
    ],
)
def test_placeholders_of_an_insert_may_stand_anywhere(fresh: str, query: str) -> None:
    run(fresh, "create table t (sku varchar(9) primary key, qty int)")
    run(fresh, "insert into t values ('tea', 1)")
    is_mysql = fresh.startswith("mysql")
    words = "on duplicate key update" if is_mysql else "on conflict (sku) do update set"
    query = query.format(words, cast="?" if is_mysql else "cast(? as int)")
    if is_mysql:
        query = query.replace(" where", " from dual where")
    load(fresh, [["tea", "5", "7"], ["mug", "2", "9"]], insert_query=query)
    assert rows(fresh, "select sku, qty from t order by sku") == [["mug", "2"], ["tea", "7"]]


def test_a_column_that_the_server_makes_is_named(fresh: str) -> None:
    run(fresh, "create table t (a int, twice int generated always as (a * 2) stored, b int)")
    load(fresh, [["1", "9"]])
    assert rows(fresh, "select * from t") == [["1", "2", "9"]]
    with pytest.raises(TaskError, match=r"3 values, but table 't' takes 2 \(a, b\); .* twice itse"):
        load(fresh, [["1", "2", "9"]])


def test_zero_dates_are_read_as_the_address_says(mariadb_database: str) -> None:
    run(mariadb_database, "create table t (n int, d date, s datetime(3), t timestamp null)")
    run(
        mariadb_database,
        "set sql_mode = ''; "
        "insert into t values (1, 0, 0, 0), (2, '2026-00-00', '2026-02-13 02:00:00', null)",
    )
    other = ["2", "2026-00-00", "2026-02-13 02:00:00.000", None]
    query = "select * from t order by n"
    kept = ["1", "0000-00-00", "0000-00-00 00:00:00.000", "0000-00-00 00:00:00"]
    assert rows(mariadb_database, query) == [kept, other]
    address = f"{mariadb_database}?zeroDateTimeBehavior="
    assert rows(f"{address}convertToNull", query) == [["1", None, None, None], other]
    first = [text.replace("0000-00-00", "0001-01-01") for text in kept]
    assert rows(f"{address}ROUND", query) == [first, other]
    with pytest.raises(TaskError, match="row 1, column 'd': the date 0000-00-00 is zero"):
        rows(f"{address}exception", query)


def test_singles_of_mysql_come_out_with_all_their_digits(mariadb_database: str) -> None:
    run(mariadb_database, "create table t (n int, v float, w float(7,2)); create table s like t")
    values = ["16777215", "0.123456789", "1234567.5", "3.4028234e38", "1e-45", "-1.5", None]
    given = [[str(number), value, "12345.67"] for number, value in enumerate(values)]
    load(mariadb_database, given, on_lossy_value=ROUND)
    found = rows(mariadb_database, "select * from t order by n")
    load(mariadb_database, found, table="s")
    same = "select count(*) from t join s using (n) where t.v <=> s.v and t.w = s.w"
    assert rows(mariadb_database, same) == [["7"]]
    assert found[0] == ["0", "16777215", "12345.67"]


def test_all_else_reads_alike_beside_a_single(mariadb_database: str) -> None:
    """Its query is read by another protocol, in which no value is a text."""
    kinds = {**MARIADB, "int(5) zerofill": ["7"], "time(6)": ["-838:59:59.999999", "00:00:00.5"]}
    columns = ", ".join(f"c{number} {kind} null" for number, kind in enumerate(kinds))
    run(mariadb_database, f"create table t (n int, {columns}, f float)")
    most = max(map(len, kinds.values()))
    table: list[list[str | None]] = [
        [str(n), *[values[n] if n < len(values) else None for values in kinds.values()], "1.5"]
        for n in range(most + 1)
    ]
    load(mariadb_database, table, on_lossy_value=ROUND)
    names = ", ".join(f"c{number}" for number in range(len(kinds)))
    plain = rows(mariadb_database, f"select n, {names} from t order by n")
    assert rows(mariadb_database, f"select n, {names}, f from t order by n") == [
        [*row, "1.5"] for row in plain
    ]


def test_a_single_of_a_procedure_is_refused(mariadb_database: str) -> None:
    run(mariadb_database, "create procedure p() select cast(1.5 as float) as f")
    with pytest.raises(TaskError, match=r"column 'f' is a FLOAT.*CAST"):
        rows(mariadb_database, "call p()")


@pytest.mark.parametrize("engine", ["MyISAM", "Aria", "MEMORY"])
def test_a_table_without_transactions_is_refused(mariadb_database: str, engine: str) -> None:
    create = f"create table t (n integer primary key) engine={engine}"
    words = f"'t' has the engine {engine}, which knows no transactions"
    with pytest.raises(PermanentTaskError, match=words):
        load(mariadb_database, [["1"]], create_table_sql=create)
    run(mariadb_database, create.replace("table t", "table if not exists t"))
    for query in (None, "insert into t values (?)"):
        with pytest.raises(PermanentTaskError, match=words):
            load(mariadb_database, [["1"]], **({"insert_query": query} if query else {}))
    for _ in range(2):
        load(mariadb_database, [["1"]], insert_query="replace into t values (?)")
    assert rows(mariadb_database, "select * from t") == [["1"]]


def test_a_view_and_a_table_of_a_secure_engine_are_loaded(mariadb_database: str) -> None:
    run(mariadb_database, "create table t (n integer); create view v as select * from t")
    load(mariadb_database, [["1"]])
    load(mariadb_database, [["2"]], table="v")
    assert rows(mariadb_database, "select * from t order by n") == [["1"], ["2"]]

r"""Every value is the server's own text: the nasty ones of each server, read and loaded back."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from taskrunner.data.databases.base import Database, Target
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.script import Statement, split
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, TaskError
from taskrunner.testing.activity_environment import new_object, new_task

#: What each server prints for values that clients like to change, by column type.
POSTGRESQL = {
    "numeric(38,10)": ["12345678901234567890.1234567891", "0.0000000000", "-1.5000000000"],
    "numeric": ["NaN", "0.1000"],
    "bigint": ["9223372036854775807", "-9223372036854775808"],
    "double precision": ["Infinity", "-Infinity", "NaN", "0.1", "1e+308", "1.797693134862315e+308"],
    "real": ["0.1", "3.4028235e+38"],
    "text": ["", "NULL", r"\N", "a\nb", "a\tb", "a\\b", "a\rb", "é😀", "a,b", '"q"', "\r\n", " x "],
    "char(5)": ["ab   "],
    "boolean": ["t", "f"],
    "bytea": ["\\x00ff6162", "\\x"],
    "date": ["infinity", "-infinity", "2024-02-29", "0044-03-15 BC", "9999-12-31"],
    "timestamp": ["2026-02-13 02:00:00", "2026-02-13 02:00:00.5", "infinity"],
    "timestamptz": ["2026-02-13 02:00:00+00", "2026-02-13 02:00:00.123456+00"],
    "time": ["24:00:00", "00:00:00.000001"],
    "interval": ["-1 days", "1 year 2 mons 3 days 04:05:06.7", "838:59:59"],
    "json": ['{"a" :  1, "b":"\\n"}'],
    "jsonb": ['{"a": 1}', "null"],
    "integer[]": ["{1,NULL,3}", "{}", "{{1,2},{3,4}}"],
    "text[]": ['{a,"b,c",NULL,"NULL","d\\"e"}'],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "inet": ["192.168.0.0/24"],
    "point": ["(1,2)"],
    "bit(4)": ["0101"],
    "int4range": ["[1,5)"],
    "money": ["$1.50"],
}  # fmt: skip
MARIADB = {
    "bigint unsigned": ["18446744073709551615", "0"],
    "decimal(38,10)": ["1234567890123456789012345678.1234567891", "0.0000000000"],
    "varchar(50)": ["", "NULL", r"\N", "a\nb", "a\tb", "a\\b", "a\rb", "é😀", "a,b", "x ", "\0nul"],
    "char(5)": ["ab"],
    "text": ["long 😀", ""],
    "date": ["0000-00-00", "2020-00-15", "2024-02-29"],
    "datetime": ["0000-00-00 00:00:00", "2026-02-13 02:00:00"],
    "datetime(6)": ["2026-02-13 02:00:00.000000", "2026-02-13 02:00:00.123456"],
    "timestamp(6) null": ["2026-02-13 02:00:00.500000"],
    "time": ["-838:59:59", "838:59:59", "00:00:00"],
    "time(6)": ["-00:00:00.000001"],
    "year": ["2026", "0000"],
    "bit(1)": ["1", "0"],
    "bit(64)": ["18446744073709551615", "5"],
    "tinyint(1)": ["1", "-128"],
    "double": ["1e308", "0.1", "-0.5", "1.2345678901234567e19"],
    "float": ["0.1"],
    "binary(4)": ["\\x00ff6100"],
    "varbinary(10)": ["\\x", "\\x00ff", "\\x5c78"],
    "blob": ["\\xf09f9880", "\\xff"],
    "json": ['{"a" :  1}'],
    "enum('a','b')": ["a", "b"],
    "set('a','b')": ["a,b", ""],
    "int(5) zerofill": ["00042"],
}
SQLITE = {
    "integer": ["9223372036854775807", "-1", "0"],
    "real": ["0.1", "1e+308", "Infinity", "-Infinity", "0.30000000000000004"],
    "text": ["", "NULL", r"\N", "a\nb", "a\\b", "é😀", "007", "1.50"],
    "blob": ["\\x00ff", "\\x"],
}


def database(url: str, object_id: str = "Orders") -> Database:
    described = new_object(object_id, "JdbcDatabase", {"connectionString": "jdbc:none://none/"})
    task = new_task("SqlActivity", {}, described)
    return open_database(task.object(object_id), DataSettings(databases={object_id: url}))


def run(url: str, script: str, *arguments: str) -> None:
    with database(url) as db:
        db.run(split(script, db.dialect), arguments, ignore)


def ignore(statement: Statement, number: int, count: int) -> None:
    pass


def rows(url: str, query: str) -> list[list[str | None]]:
    with database(url) as db, db.stream(query) as result:
        return [list(row) for batch in result.batches for row in batch]


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/orders.db"
    found: str = request.getfixturevalue(f"{request.param}_database")
    return found


def test_nasty_values_of_postgresql(postgresql_database: str) -> None:
    check_nasty(postgresql_database, POSTGRESQL)


def test_nasty_values_of_mariadb(mariadb_database: str) -> None:
    check_nasty(mariadb_database, MARIADB)


def test_nasty_values_of_sqlite(tmp_path: Path) -> None:
    check_nasty(f"sqlite:///{tmp_path}/nasty.db", SQLITE)


def check_nasty(url: str, table: dict[str, list[str]]) -> None:
    """Load each value as text and read the same text back; NULL stays NULL."""
    wrong = []
    for number, (kind, values) in enumerate(table.items()):
        with database(url) as db:
            db.run(split(f"create table t{number} (id integer, v {kind})", db.dialect), (), ignore)
            given: list[list[str | None]] = [[str(n), v] for n, v in enumerate(values)]
            given.append([str(len(values)), None])
            assert db.load(Target(table=f"t{number}"), [given]) == len(given)
        found = rows(url, f"select id, v from t{number} order by id")
        wrong += [(kind, want, got) for want, got in zip(given, found, strict=True) if want != got]
    assert wrong == []


def test_values_that_the_servers_own_client_wrote(mariadb_database: str) -> None:
    """The load above might err the same way as the reading: here the server's SQL makes them."""
    query = (
        "select cast(18446744073709551615 as unsigned), cast('-838:59:59' as time), "
        "cast(0 as decimal(38,10)), x'00ff', b'101', '', null, 'NULL', true, 1e308, "
        "timestamp('2026-02-13', '25:00:00'), json_object('a', 1), char(0)"
    )
    assert rows(mariadb_database, query) == [
        [
            "18446744073709551615", "-838:59:59", "0.0000000000", "\\x00ff", "\\x05", "", None,
            "NULL", "1", "1e308", "2026-02-14 01:00:00", '{"a": 1}', "\\x00",
        ]
    ]  # fmt: skip


def test_plain_types_read_alike(
    postgresql_database: str, mariadb_database: str, tmp_path: Path
) -> None:
    script = """
        create table orders (id integer, amount decimal(12,2), note varchar(50), created {});
        insert into orders values (1, 643.14, 'a,b', '2026-02-13 02:00:00');
        insert into orders values (2, -0.50, '', '2026-02-13 02:00:00.123456');
        insert into orders values (3, null, null, null);
    """
    stamps = {
        postgresql_database: "timestamp",
        mariadb_database: "varchar(26)",
        f"sqlite:///{tmp_path}/plain.db": "text",
    }
    found = []
    for url, stamp in stamps.items():
        text = script.format(stamp)
        if url.startswith("sqlite"):
            # SQLite has no decimals: what shall keep its zeros must be text.
            text = text.replace("decimal(12,2)", "text").replace("-0.50", "'-0.50'")
        run(url, text)
        found.append(rows(url, "select * from orders order by id"))
    assert found[0] == found[1] == found[2]
    assert found[0][0] == ["1", "643.14", "a,b", "2026-02-13 02:00:00"]


def test_times_with_zones_are_in_utc(postgresql_database: str, mariadb_database: str) -> None:
    run(
        postgresql_database,
        "create table t (v timestamptz); insert into t values ('2026-02-13 02:00:00+05');",
    )
    assert rows(postgresql_database, "select v from t") == [["2026-02-12 21:00:00+00"]]
    run(
        mariadb_database,
        "create table t (v timestamp); set time_zone = '+05:00'; "
        "insert into t values ('2026-02-13 02:00:00');",
    )
    assert rows(mariadb_database, "select v from t") == [["2026-02-12 21:00:00"]]


def test_an_empty_answer_has_columns_and_no_rows(url: str) -> None:
    run(url, "create table t (a integer, b integer)")
    with database(url) as db, db.stream("select a, b as c from t;") as result:
        assert result.columns == ("a", "c")
        assert list(result.batches) == []


def test_answers_come_in_batches_and_may_be_left_early(url: str) -> None:
    run(url, "create table t (a integer)")
    with database(url) as db:
        db.load(Target(table="t"), ([[str(n)] for n in range(1000)] for _ in range(20)))
        with db.stream("select a from t") as result:
            assert len(next(result.batches)) == 1000
    assert rows(url, "select count(*) from t") == [["20000"]]


def test_a_load_is_all_or_nothing(url: str) -> None:
    run(url, "create table t (a integer not null, b varchar(5))")

    def batches() -> Iterator[list[list[str | None]]]:
        yield [["1", "x"]] * 2000
        yield [["2", "x"], [None, "x"]]

    with database(url) as db, pytest.raises(TaskError) as caught:
        db.load(Target(table="t"), batches())
    assert caught.value.error_id == ErrorId.ACTIVITY_FAILED
    assert rows(url, "select count(*) from t") == [["0"]]


def test_a_value_that_does_not_fit_is_refused_not_cut(
    postgresql_database: str, mariadb_database: str
) -> None:
    for url in (postgresql_database, mariadb_database):
        run(url, "create table t (a integer, b varchar(3))")
        for row in (["1", "long"], ["abc", "x"], ["99999999999", "x"]):
            with database(url) as db, pytest.raises(TaskError, match="Orders"):
                db.load(Target(table="t"), [[["1", "x"], row]])
        assert rows(url, "select * from t") == []


def test_columns_and_insert_queries_say_where_values_go(url: str) -> None:
    run(url, "create table t (a integer, b varchar(9), c varchar(9))")
    with database(url) as db:
        db.load(Target(table="t", columns=("c", "a")), [[["x", "1"]]])
        query = "insert into t (b, a) values (?, ? + 1); "
        db.load(Target(table="t", insert_query=query), [[["100%", "1"], ["?", "2"]]])
        query = "insert into t (b, c, a) values ('%s?', %s, %s)"
        db.load(Target(table="t", insert_query=query), [[["y", "9"]]])
        with pytest.raises(TaskError, match=r"2 placeholders.*rows of 3 values"):
            db.load(Target(table="t", insert_query=query), [[["y", "9", "z"]]])
    assert rows(url, "select a, b, c from t order by a, b") == [
        ["1", None, "x"],
        ["2", "100%", None],
        ["3", "?", None],
        ["9", "%s?", "y"],
    ]


def test_tables_are_made_when_they_are_missing(url: str) -> None:
    target = Target(table="made", create_table_sql="create table made (a integer)")
    for _ in range(2):
        with database(url) as db:
            db.load(target, [[["1"]]])
    assert rows(url, "select a from made") == [["1"], ["1"]]


@pytest.mark.parametrize("name", ["order", "with space", "quo`te", 'quo"te', "per%cent", "ünïcode"])
def test_any_name_can_be_a_table(url: str, name: str) -> None:
    with database(url) as db:
        db.run(split(f"create table {db.quote(name)} (a integer)", db.dialect), (), ignore)
        assert db.load(Target(table=name), [[["7"]]]) == 1
        with db.stream(f"select * from {db.table(name)}") as result:
            assert [list(batch) for batch in result.batches] in ([[["7"]]], [[("7",)]])


def test_tables_may_be_in_schemas(postgresql_database: str) -> None:
    run(
        postgresql_database,
        "create schema s; create table s.t (a integer); create table adevents (a integer);",
    )
    with database(postgresql_database) as db:
        assert db.find_table("t", "s") == '"s"."t"'
        assert db.find_table("s.t") == '"s"."t"'
        assert db.find_table("adEvents") == '"public"."adevents"'
        assert db.find_table("t") is None


def test_a_missing_table_is_named(url: str) -> None:
    with database(url) as db:
        assert db.find_table("nothere") is None
        with pytest.raises(TaskError, match="nothere") as caught:
            db.load(Target(table="nothere"), [])
        assert caught.value.error_id == ErrorId.NOT_FOUND


def test_scripts_are_one_transaction(url: str) -> None:
    run(url, "create table t (a integer)")
    with pytest.raises(TaskError, match="run the INSERT in line 2"):
        run(url, "insert into t values (1);\ninsert into nothere values (2);")
    assert rows(url, "select * from t") == []
    run(url, "insert into t values (1); delete from t where a = 5; insert into t values (2);")
    assert rows(url, "select a from t order by a") == [["1"], ["2"]]


def test_scripts_may_mind_their_transactions_themselves(url: str) -> None:
    run(url, "create table t (a integer)")
    with pytest.raises(TaskError):
        run(url, "begin; insert into t values (1); commit; insert into nothere values (1)")
    assert rows(url, "select a from t") == [["1"]]


def test_arguments_are_bound_not_pasted(url: str) -> None:
    nasty = "'; drop table t; --\\"
    run(url, "create table t (a integer, b varchar(99))")
    script = "insert into t values (?, ?); -- what?\nupdate t set a = a + ? where b <> '?'"
    run(url, script, "1", nasty, "41")
    assert rows(url, "select a, b from t") == [["42", nasty]]
    with pytest.raises(TaskError, match=r"3 placeholders.*2 scriptArguments"):
        run(url, script, "1", "2")


def test_large_answers_in_scripts_are_dropped_as_they_come(url: str) -> None:
    counts = []
    with database(url) as db:
        script = "create table t (a integer); insert into t values (1), (2); select * from t"
        db.run(split(script, db.dialect), (), lambda s, n, count: counts.append((s.verb, count)))
    assert counts[1] == ("INSERT", 2)
    assert len(counts) == 3


def test_vacuum_may_follow_other_statements(postgresql_database: str) -> None:
    run(
        postgresql_database,
        "create table t (a integer); insert into t values (1); vacuum t; insert into t values (2)",
    )
    assert rows(postgresql_database, "select a from t order by a") == [["1"], ["2"]]


def test_syntax_errors_say_where(url: str) -> None:
    with pytest.raises(TaskError, match="Orders") as caught:
        rows(url if not url.startswith("sqlite") else touched(url), "selec 1")
    assert caught.value.error_id == ErrorId.ACTIVITY_FAILED
    assert "selec" in str(caught.value)


def touched(url: str) -> str:
    Path(url.removeprefix("sqlite://")).touch()
    return url


def changed(url: str, **parts: str | int) -> str:
    split_url = urlsplit(url)
    values = {
        "scheme": split_url.scheme, "user": split_url.username, "password": split_url.password,
        "host": split_url.hostname, "port": split_url.port, "name": split_url.path.strip("/"),
    } | parts  # fmt: skip
    return "{scheme}://{user}:{password}@{host}:{port}/{name}".format(**values)


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
@pytest.mark.parametrize(
    ("parts", "error_id"),
    [
        ({"password": "wrong-Passw0rd"}, ErrorId.ACCESS_DENIED),
        ({"user": "nobody-of-that-name"}, ErrorId.ACCESS_DENIED),
        ({"name": "no_such_database"}, ErrorId.NOT_FOUND),
    ],
)
def test_refused_connections(
    server: str, parts: dict[str, str], error_id: str, request: pytest.FixtureRequest
) -> None:
    url = changed(request.getfixturevalue(f"{server}_url"), **parts)
    with pytest.raises(TaskError) as caught, database(url):
        pass
    message = str(caught.value)
    assert caught.value.error_id == error_id
    assert "'Orders'" in message
    assert f"127.0.0.1:{urlsplit(url).port}" in message
    assert "right-password" not in message
    assert "wrong-Passw0rd" not in message


@contextmanager
def talking_server(greeting: bytes) -> Iterator[int]:
    """A server that says something and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with closing(server.accept()[0]) as connection:
                connection.sendall(greeting)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            thread.join()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 100])
def test_a_port_where_something_else_listens(scheme: str, greeting: bytes) -> None:
    with (
        talking_server(greeting) as port,
        pytest.raises(TaskError, match=f"127.0.0.1:{port}") as caught,
        database(f"{scheme}://u:pass-word@127.0.0.1:{port}/d?sslmode=disable"),
    ):
        pass
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_port_where_nobody_listens(scheme: str) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with (
            pytest.raises(TaskError, match=f"127.0.0.1:{port}") as caught,
            database(f"{scheme}://u:p@127.0.0.1:{port}/d"),
        ):
            pass
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_never_answers_is_given_up(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        unit = 1000 if scheme == "mysql" else 1
        with (
            pytest.raises(TaskError, match=f"127.0.0.1:{port}") as caught,
            database(f"{scheme}://u:p@127.0.0.1:{port}/d?connectTimeout={2 * unit}"),
        ):
            pass
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED


def test_a_missing_sqlite_file(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file") as caught:
        rows(f"sqlite:///{tmp_path}/none.db", "select 1")
    assert caught.value.error_id == ErrorId.NOT_FOUND
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TaskError, match="no folder"):
        rows(f"sqlite:///{tmp_path}/none/none.db", "select 1")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "a % file"
    path.write_text("not a database, although long enough to be taken for one" * 100)
    with pytest.raises(TaskError, match="not a database"):
        rows(f"sqlite://{quote(str(path))}", "select * from t")


def test_sessions_wait_for_a_slow_other_side(url: str) -> None:
    if url.startswith("mysql"):
        names = ("net_write_timeout", "net_read_timeout", "wait_timeout")
        found = rows(url, "select " + ", ".join(f"@@session.{name}" for name in names))
        assert found == [["86400"] * 3]
        assert rows(url, "select @@session.idle_transaction_timeout, @@session.time_zone") == [
            ["0", "+00:00"]
        ]
    elif url.startswith("postgresql"):
        names = (
            "idle_in_transaction_session_timeout",
            "idle_session_timeout",
            "tcp_keepalives_idle",
        )
        query = "select " + ", ".join(f"current_setting('{name}')" for name in names)
        assert rows(url, query) == [["0", "0", "60"]]


@pytest.mark.parametrize("server", ["postgresql", "mariadb"])
def test_the_kernel_tries_connections_that_are_silent(
    server: str, request: pytest.FixtureRequest
) -> None:
    with database(request.getfixturevalue(f"{server}_database")) as db:
        connection = getattr(db, "_connection")  # noqa: B009
        number = connection.fileno() if server == "postgresql" else connection._sock.fileno()
        with socket.socket(fileno=os.dup(number)) as opened:
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def test_rows_of_a_megabyte_come_one_by_one(url: str) -> None:
    """A thousand of them would fill the memory."""
    kind = "longtext" if url.startswith("mysql") else "text"
    many: list[list[str | None]] = [[str(n), "x" * (1 << 20)] for n in range(12)]
    with database(url) as db:
        db.run(split(f"create table large (id integer, v {kind})", db.dialect), (), ignore)
        assert db.load(Target(table="large"), [[row] for row in many]) == 12
    with database(url) as db, db.stream("select id, v from large order by id") as result:
        found = [[list(row) for row in batch] for batch in result.batches]
    assert [len(batch) for batch in found] == [1] * 12
    assert [batch[0] for batch in found] == many

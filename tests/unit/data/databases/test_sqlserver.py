"""SQL Server as ours speaks to it: by a driver that writes down what it is told (vendor_fakes).

No server of the real kind has been asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from taskrunner.data.claims import Claim
from taskrunner.data.databases.base import Script, Target
from taskrunner.data.databases.load_fence import LoadFence
from taskrunner.data.databases.spec import Login, from_jdbc
from taskrunner.data.databases.sqlserver import SESSION, SqlServerDatabase
from taskrunner.data.databases.sqlserver_columns import column_of
from taskrunner.data.databases.sqlserver_text import Described, literal, shown_query, texts_of
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from tests.unit.data.databases.vendor_fakes import DriverError, FakeSqlServer

ADDRESS = "jdbc:sqlserver://db.example:1444;databaseName=shop;loginTimeout=3"


def database(server: FakeSqlServer, more: str = "") -> SqlServerDatabase:
    spec = from_jdbc("Db", ADDRESS + more, Login(username="sa", password="pass-word"))
    return SqlServerDatabase(spec, server)


@pytest.fixture
def server() -> FakeSqlServer:
    return FakeSqlServer()


@pytest.fixture
def opened(server: FakeSqlServer) -> Iterator[SqlServerDatabase]:
    with database(server) as found:
        yield found


def read(opened: SqlServerDatabase, query: str) -> list[Sequence[str | None]]:
    with opened.stream(query) as result:
        return [row for batch in result.batches for row in batch]


def test_how_it_connects(server: FakeSqlServer) -> None:
    with database(server, ";encrypt=true;trustServerCertificate=true"):
        assert server.connected == {
            "server": "db.example",
            "port": "1444",
            "database": "shop",
            "user": "sa",
            "password": "pass-word",
            "charset": "UTF-8",
            "timeout": 0,
            "login_timeout": 3,
            "appname": "taskrunner",
            "autocommit": True,
            "tds_version": "7.4",
            "encryption": "require",
            "conn_properties": list(SESSION),
        }
    assert server.closed


@pytest.mark.parametrize(
    ("more", "encryption"),
    [("", "request"), (";encrypt=false", "off"), (";ssl=require", "require")],
)
def test_tls(server: FakeSqlServer, more: str, encryption: str) -> None:
    with database(server, more):
        assert server.connected["encryption"] == encryption


def test_an_answer_has_types_that_mean_the_same_for_every_server(
    server: FakeSqlServer, opened: SqlServerDatabase
) -> None:
    server.sql("create table t (a, b, c, d)")
    server.types = {"a": "float", "b": "time(7)", "c": "time(3)", "d": "datetime2(7)"}
    with opened.stream("SELECT * FROM t") as result:
        assert result.types == ("double precision", "", "time(3)", "datetime2(7)")


def test_that_nobody_looks_at_the_certificate_is_said(
    server: FakeSqlServer, caplog: pytest.LogCaptureFixture
) -> None:
    for more, said in ((";encrypt=false", 0), (";ssl=require", 0), ("", 1)):
        with database(server, more):
            assert len(caplog.messages) == said
    assert "the server's certificate is not verified" in caplog.messages[0]


def test_a_certificate_that_is_to_be_looked_at_is_refused(server: FakeSqlServer) -> None:
    with pytest.raises(PermanentTaskError, match="wanted trustServerCertificate=true") as caught:
        database(server, ";encrypt=true").connect()
    assert caught.value.error_id == ErrorId.INVALID_FIELD
    assert server.connected == {}


COLUMNS = [
    Described(name="a", type="int"),
    Described(name="at", type="datetime2(7)"),
    Described(name="m", type="money"),
]


def test_what_a_driver_would_lose_the_server_makes_texts_of() -> None:
    assert shown_query("SELECT 1", COLUMNS[:1], ["[a]"]) is None
    assert shown_query("SELECT x", COLUMNS, ["[a]", "[at]", "[m]"]) == (
        "SELECT q.[a], CONVERT(varchar(27), q.[at], 121) AS [at], "
        "CONVERT(varchar(32), q.[m], 2) AS [m] FROM (\nSELECT x\n) AS q"
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([Described(name="v", type="sql_variant")], "'v' is a sql_variant, of whose values nobody"),
        ([COLUMNS[1], Described(name="", type="int")], "not all columns have a name of their own"),
        ([COLUMNS[1], Described(name="AT", type="int")], "wanted `AS` in the query"),
    ],
)
def test_what_has_no_text_is_refused(columns: list[Described], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shown_query("SELECT x", columns, ["x"] * len(columns))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("int", 7, "7"),
        ("bit", True, "1"),
        ("decimal(38,10)", Decimal("1E+2"), "100"),
        ("decimal(38,10)", Decimal("1.5000000000"), "1.5000000000"),
        ("float", 0.1, "0.1"),
        ("real", 0.10000000149011612, "0.1"),
        ("real", 16777216.0, "16777216.0"),
        ("real", 3.4028234663852886e38, "3.4028235e+38"),
        ("varchar(9)", "", ""),
        ("varbinary(9)", b"\x00\xff", "\\x00ff"),
        ("uniqueidentifier", uuid.UUID(int=10), "00000000-0000-0000-0000-00000000000A"),
        ("int", None, None),
    ],
)
def test_texts_of_values(kind: str, value: object, text: str | None) -> None:
    assert texts_of([Described(name="c", type=kind)], [value]) == [text]


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "NULL"),
        ("it's %s", "N'it''s %s'"),
        ("", "N''"),
        (b"\x01", "0x01"),
        ("a\\\nb", "(CAST(N'' AS nvarchar(max)) + N'a\\' + NCHAR(10) + N'b')"),
        ("\0", "(CAST(N'' AS nvarchar(max)) + NCHAR(0))"),
        ("\\\r\n", "(CAST(N'' AS nvarchar(max)) + N'\\' + NCHAR(13) + NCHAR(10))"),
        ("a\\b\n", "N'a\\b\n'"),
    ],
)
def test_values_are_written_so_that_nothing_is_changed(value: object, sql: str) -> None:
    assert literal(value) == sql


def column(kind: str, size: int = 4, precision: int = 0, scale: int = 0, page: str = "") -> object:
    row = ["c", kind, str(size), str(precision), str(scale), "", page]
    return column_of(row).rule


@pytest.mark.parametrize(
    ("rule", "kept", "lost"),
    [
        (column("int"), ["5"], ["1.5"]),
        (column("decimal", 9, 5, 2), ["19.99"], ["19.999"]),
        (column("money", 8, 19, 4), ["1.2345"], ["1.23456"]),
        (column("bit"), ["0", "1", "true", "x"], ["2", "-1", "0.5"]),
        (column("date"), ["2026-01-02"], ["2026-01-02 03:04:05"]),
        (column("datetime2", scale=3), ["2026-01-02 03:04:05.123"], ["2026-01-02 03:04:05.1234"]),
        (column("datetimeoffset", scale=0), ["2026-01-02 03:04:05 +02:00"], []),
        (column("datetime"), ["2026-01-02 03:04:05.123"], ["2026-01-02 03:04:05.124"]),
        (column("datetime"), ["2026-01-02 03:04:05"], ["2026-01-02 03:04:05.1234"]),
        (column("smalldatetime"), ["2026-01-02 03:04:00"], ["2026-01-02 03:04:01"]),
        (column("varchar", 3, page="1252"), ["abé", "abcd"], ["ab\N{SNOWMAN}", "abc "]),
        (column("varchar", 3, page="65001"), ["abc"], ["é  "]),
        (column("varchar", -1, page="9999"), ["abc" * 9], ["é"]),
        (column("nvarchar", 6), ["ab\N{SNOWMAN}"], ["abc "]),
        (column("real", 4, 24), ["0.1"], ["16777217"]),
        (column("float", 8, 53), ["0.1"], ["9007199254740993"]),
        (column("binary", 2), ["\\x0001"], ["\\x00"]),
    ],
    ids=str,
)
def test_what_columns_keep(rule: object, kept: list[str], lost: list[str]) -> None:
    fit = getattr(rule, "fit")  # noqa: B009  each has one
    for text in kept:
        assert fit(text, OnLossyValue.FAIL).replace(" +", "+") == text.replace(" +", "+")
    for text in lost:
        with pytest.raises(NotKeptError):
            fit(text, OnLossyValue.FAIL)


@pytest.mark.parametrize(
    ("row", "shown", "generated"),
    [
        (["c", "nvarchar", "20", "0", "0", "", ""], "nvarchar(10)", False),
        (["c", "varchar", "-1", "0", "0", "", "1252"], "varchar(max)", False),
        (["c", "decimal", "9", "5", "2", "computed", ""], "decimal(5,2)", True),
        (["c", "datetime2", "8", "27", "7", "", ""], "datetime2(7)", False),
        (["c", "timestamp", "8", "0", "0", "", ""], "timestamp", True),
        (["c", "int", "4", "10", "0", "identity", ""], "int", False),
    ],
)
def test_columns_are_told_as_people_write_them(
    row: list[str | None], shown: str, generated: bool
) -> None:
    found = column_of(row)
    assert (found.type, found.is_generated) == (shown, generated)


def test_a_query_is_read_by_texts(server: FakeSqlServer, opened: SqlServerDatabase) -> None:
    server.sql("create table t (a, at)", "insert into t values ('x''y', '2026-01-02 03:04:05.1')")
    server.types = {"a": "varchar(9)", "at": "datetime2(7)"}
    assert read(opened, "SELECT * FROM [t];") == [["x'y", "2026-01-02 03:04:05.1"]]
    assert server.statements[-1].startswith("SELECT q.[a], CONVERT(varchar(27), q.[at], 121) AS")
    with pytest.raises(PermanentTaskError, match="wanted it without ORDER BY and WITH") as caught:
        read(opened, "SELECT * FROM t ORDER BY a")
    assert "column 'at' is a datetime2(7), whose text the server is to make" in str(caught.value)
    with pytest.raises(TaskError, match=r"cannot run the query: .*no such table.*\(error 208\)"):
        read(opened, "SELECT * FROM missing")


def test_a_load_is_one_transaction(server: FakeSqlServer, opened: SqlServerDatabase) -> None:
    server.sql("create table t (a varchar(5) primary key, b varbinary(9))")
    rows: list[list[str | None]] = [["it's", "\\x00ff"], ["y", None]]
    assert opened.load(Target(table="t", schema="dbo"), [rows]) == 2
    assert server.sql("select a, b from t") == [("it's", b"\x00\xff"), ("y", None)]
    inserts = [sql for sql in server.statements if sql.startswith("INSERT")]
    assert inserts == ["INSERT INTO [dbo].[t] VALUES (N'it''s', 0x00ff), (N'y', NULL)"]
    with pytest.raises(TaskError, match=r"UNIQUE.*: t.a \(error 2627\) \(in rows 2 to 2 "):
        opened.load(Target(table="t", schema="dbo"), [[["z", None]], [["y", None]]])
    opened.close()
    assert server.sql("select count(*) from t") == [(2,)]


@pytest.fixture(autouse=True)
def _schema(server: FakeSqlServer) -> None:
    """Names with `dbo` before them, which SQLite knows when there is such a database."""
    server.database.execute("ATTACH ':memory:' AS unused")
    original = server.translated
    server.translated = lambda sql: original(sql).replace("[dbo].", "")  # type: ignore[method-assign]


def test_many_rows_take_many_statements(server: FakeSqlServer, opened: SqlServerDatabase) -> None:
    server.sql("create table t (a varchar(5))")
    opened.load(Target(table="t"), [[[str(n)] for n in range(1500)]])
    inserts = [sql for sql in server.statements if sql.startswith("INSERT")]
    assert [sql.count("(N'") for sql in inserts] == [1000, 500]


def test_an_authors_insert_goes_row_by_row(
    server: FakeSqlServer, opened: SqlServerDatabase
) -> None:
    server.sql("create table t (a, b)")
    query = "INSERT INTO t (a, b) VALUES (?, ? || '?')"
    opened.load(Target(table="t", insert_query=query), [[["x", "y"], ["z", None]]])
    assert server.sql("select * from t") == [("x", "y?"), ("z", None)]


def test_a_column_that_is_numbered_is_given_its_numbers(
    server: FakeSqlServer, opened: SqlServerDatabase
) -> None:
    server.sql("create table t (number int, a varchar(5))")
    opened.load(Target(table="t"), [[["7", "x"]]])
    told = [sql for sql in server.statements if "IDENTITY" in sql or sql.startswith("INSERT")]
    assert told == [
        "SET IDENTITY_INSERT [t] ON",
        "INSERT INTO [t] ([number], [a]) VALUES (N'7', N'x')",
        "SET IDENTITY_INSERT [t] OFF",
    ]
    server.told.clear()
    opened.load(Target(table="t", columns=("a",)), [[["y"]]])
    assert not any("IDENTITY" in sql for sql in server.statements)


def claim(attempt: int, handout: str) -> Claim:
    return Claim(pipeline="df-1", instance="@A_1", run="r1", attempt=attempt, handout=handout)


def test_a_load_counts_once(server: FakeSqlServer) -> None:
    server.sql("create table t (a varchar(5))")
    for attempt, expected in ((1, True), (2, False)):
        with database(server) as opened:
            target = Target(table="t")
            fence = LoadFence(opened, target, claim(attempt, f"h{attempt}"))
            assert fence.may_load() is expected
            if expected:
                opened.load(target, [[["x"]]])
                fence.check()
                assert fence.was_applied()
    assert server.sql("select a from t") == [("x",)]
    assert server.sql("select run, attempt, handout from taskrunner_loads") == [("r1", 1, "h1")]


def test_a_script_is_batches_of_one_transaction(
    server: FakeSqlServer, opened: SqlServerDatabase
) -> None:
    server.sql("create table t (a)")
    done: list[int] = []
    script = Script(text="INSERT INTO t VALUES (?)\nGO\nINSERT INTO t VALUES ('?')\nGO\n")
    opened.read_script(script, ["it's"]).run(lambda _s, _n, count: done.append(count))
    assert server.sql("select a from t") == [("it's",), ("?",)]
    assert done == [1, 1]
    assert not server.database.in_transaction


def test_a_script_that_fails_leaves_nothing(server: FakeSqlServer) -> None:
    server.sql("create table t (a)")
    with database(server) as opened, pytest.raises(TaskError) as caught:
        opened.read_script(Script(text="INSERT INTO t VALUES (1)\nGO\nSELECT * FROM no"), []).run(
            lambda *_: None
        )
    assert "no such table: no (error 208)" in str(caught.value)
    assert "statement 2 of the script, line 3, column 1: 'SELECT * FROM no'" in str(caught.value)
    assert server.sql("select a from t") == []


def told(number: int, message: str) -> DriverError:
    return DriverError((number, f"{message}DB-Lib error message 20018, severity 16".encode()))


@pytest.mark.parametrize(
    ("error", "error_id", "text"),
    [
        (told(18456, "no pass-word"), ErrorId.ACCESS_DENIED, "no ******** (error 18456)"),
        (told(1105, "Could not allocate"), ErrorId.STORAGE_FULL, "allocate (error 1105)"),
        (told(20009, ""), ErrorId.CONNECTION_FAILED, "severity 16 (error 20009)"),
        (DriverError("It is closed"), ErrorId.CONNECTION_FAILED, "It is closed"),
        (OSError("reset"), ErrorId.CONNECTION_FAILED, "reset"),
        (told(50000, "own"), ErrorId.ACTIVITY_FAILED, "own (error 50000)"),
    ],
)
def test_what_the_server_says_is_told(
    server: FakeSqlServer, error: Exception, error_id: str, text: str
) -> None:
    server.answers = [("COMMIT", error)]
    with database(server) as opened, pytest.raises(TaskError) as caught:
        opened.commit()
    assert caught.value.error_id == error_id
    assert str(caught.value).startswith("cannot commit: database 'Db' (sqlserver at db.example:")
    assert text in str(caught.value)

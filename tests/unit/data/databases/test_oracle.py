"""Oracle as ours speaks to it: by a driver that writes down what it is told (vendor_fakes).

No server of the real kind has been asked.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from taskrunner.data.claims import Claim
from taskrunner.data.databases.base import Script, Target
from taskrunner.data.databases.load_fence import LoadFence
from taskrunner.data.databases.oracle import SESSION, OracleDatabase
from taskrunner.data.databases.oracle_columns import column_of
from taskrunner.data.databases.oracle_text import Described, shown_query, texts_of
from taskrunner.data.databases.spec import Login, from_jdbc
from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from tests.unit.data.databases.vendor_fakes import DriverError, FakeOracle

ADDRESS = "jdbc:oracle:thin:@//db.example:1522/shop"


def database(server: FakeOracle, address: str = ADDRESS) -> OracleDatabase:
    spec = from_jdbc("Db", address, Login(username="scott", password="pass-word"))
    return OracleDatabase(spec, server)


@pytest.fixture
def server() -> FakeOracle:
    return FakeOracle()


@pytest.fixture
def opened(server: FakeOracle) -> Iterator[OracleDatabase]:
    with database(server) as found:
        yield found


def read(opened: OracleDatabase, query: str) -> list[Sequence[str | None]]:
    with opened.stream(query) as result:
        return [row for batch in result.batches for row in batch]


@pytest.mark.parametrize(
    ("address", "named"),
    [(ADDRESS, {"service_name": "shop"}), ("jdbc:oracle:thin:@db.example:1522:X", {"sid": "X"})],
)
def test_how_it_connects(server: FakeOracle, address: str, named: dict[str, str]) -> None:
    with database(server, address):
        assert server.connected == {
            "user": "scott",
            "password": "pass-word",
            "host": "db.example",
            "port": 1522,
            "tcp_connect_timeout": 10.0,
            "expire_time": 1,
            "program": "taskrunner",
            **named,
        }
        assert server.statements == [SESSION]
    assert server.closed


@pytest.mark.parametrize(("query", "matches"), [("", True), ("?ssl_server_dn_match=off", False)])
def test_tls_looks_at_the_certificate(server: FakeOracle, query: str, matches: bool) -> None:
    with database(server, f"jdbc:oracle:thin:@tcps://db.example:2484/shop{query}"):
        context = server.connected["ssl_context"]
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, matches)
        assert server.connected["ssl_server_dn_match"] is matches
        assert server.connected["protocol"] == "tcps"


COLUMNS = [
    Described(name="A", type="DB_TYPE_NUMBER"),
    Described(name="AT", type="DB_TYPE_TIMESTAMP"),
    Described(name="Z", type="DB_TYPE_TIMESTAMP_TZ"),
]


def test_what_a_driver_would_lose_the_server_makes_texts_of() -> None:
    assert shown_query("SELECT 1", COLUMNS[:1], ['"A"']) is None
    assert shown_query("SELECT x ORDER BY 1", COLUMNS, ['"A"', '"AT"', '"Z"']) == (
        'SELECT q."A", TO_CHAR(q."AT", \'YYYY-MM-DD HH24:MI:SS.FF9\') AS "AT", '
        "TO_CHAR(SYS_EXTRACT_UTC(q.\"Z\"), 'YYYY-MM-DD HH24:MI:SS.FF9') || '+00' AS \"Z\" "
        "FROM (\nSELECT x ORDER BY 1\n) q"
    )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([Described(name="V", type="DB_TYPE_OBJECT")], "'V' is a object, of whose values nobody"),
        ([COLUMNS[1], COLUMNS[1]], "wanted `AS` in the query"),
        ([COLUMNS[1], Described(name="L", type="DB_TYPE_LONG")], "a LONG beside it cannot stand"),
    ],
)
def test_what_has_no_text_is_refused(columns: list[Described], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        shown_query("SELECT x", columns, ["x"] * len(columns))


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("NUMBER", "12345678901234567890.1234567890", "12345678901234567890.1234567890"),
        ("BINARY_DOUBLE", 0.1, "0.1"),
        ("BINARY_DOUBLE", float("inf"), "Infinity"),
        ("BINARY_FLOAT", 0.10000000149011612, "0.1"),
        ("BOOLEAN", True, "true"),
        ("RAW", b"\x00\xff", "\\x00ff"),
        ("TIMESTAMP", "2026-01-02 03:04:05.120000000", "2026-01-02 03:04:05.12"),
        ("TIMESTAMP", "2026-01-02 03:04:05.000000000", "2026-01-02 03:04:05"),
        ("TIMESTAMP_TZ", "2026-01-02 03:04:05.000000001+00", "2026-01-02 03:04:05.000000001+00"),
        ("VARCHAR", None, None),
    ],
)
def test_texts_of_values(kind: str, value: object, text: str | None) -> None:
    assert texts_of([Described(name="C", type=f"DB_TYPE_{kind}")], [value]) == [text]


def rule(kind: str, size: int = 0, characters: int = 0, *numbers: int | None) -> Rule:
    found = column_of(["C", kind, size, characters, *(numbers or (None, None)), "NO"]).rule
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("found", "kept", "lost"),
    [
        (rule("NUMBER", 22, 0, 5, 2), ["19.99"], ["19.999"]),
        (rule("NUMBER", 22, 0, None, 0), ["7"], ["7.5"]),
        (rule("NUMBER", 22), ["1." + "1" * 37, "1E+30"], ["1." + "1" * 38]),
        (rule("VARCHAR2", 3), ["abc"], ["", "abc ", "é  "]),
        (rule("VARCHAR2", 12, 3), ["é\N{SNOWMAN}a"], ["", "abc "]),
        (rule("CLOB"), ["x" * 70000], [""]),
        (rule("DATE"), ["2026-01-02 03:04:05"], ["2026-01-02 03:04:05.5"]),
        (rule("TIMESTAMP(3)"), ["2026-01-02 03:04:05.123"], ["2026-01-02 03:04:05.1234"]),
        (
            rule("TIMESTAMP(0) WITH TIME ZONE"),
            ["2026-01-02 03:04:05+02"],
            ["2026-01-02 03:04:05.5"],
        ),
        (rule("BINARY_DOUBLE"), ["0.1"], ["9007199254740993"]),
        (rule("BINARY_FLOAT"), ["0.1"], ["16777217"]),
    ],
    ids=str,
)
def test_what_columns_keep(found: Rule, kept: list[str], lost: list[str]) -> None:
    for text in kept:
        assert found.fit(text, OnLossyValue.FAIL) == text
    for text in lost:
        assert not found.keeps_all([text])
        with pytest.raises(NotKeptError):
            found.fit(text, OnLossyValue.FAIL)
    assert found.keeps_all([])


def test_an_empty_text_may_be_null_where_the_author_says_so() -> None:
    assert rule("VARCHAR2", 3).fit("", OnLossyValue.TRUNCATE) == ""


@pytest.mark.parametrize(
    ("row", "shown", "generated"),
    [
        (["C", "VARCHAR2", 40, 10, None, None, "NO"], "VARCHAR2(10 CHAR)", False),
        (["C", "VARCHAR2", 40, 0, None, None, "NO"], "VARCHAR2(40)", False),
        (["C", "NUMBER", 22, 0, 5, 2, "YES"], "NUMBER(5,2)", True),
        (["C", "NUMBER", 22, 0, None, None, "NO"], "NUMBER", False),
        (["C", "NUMBER", 22, 0, None, 0, "NO"], "NUMBER(*,0)", False),
        (["C", "RAW", 16, 0, None, None, "NO"], "RAW(16)", False),
        (["C", "TIMESTAMP(6)", 11, 0, None, 6, "NO"], "TIMESTAMP(6)", False),
    ],
)
def test_columns_are_told_as_people_write_them(row: list[Any], shown: str, generated: bool) -> None:
    found = column_of(row)
    assert (found.type, found.is_generated) == (shown, generated)


def test_a_query_is_read_by_texts(server: FakeOracle, opened: OracleDatabase) -> None:
    server.sql("create table T (A, AT)", "insert into T values ('x', '2026-01-02 03:04:05.10')")
    server.types = {"AT": "DB_TYPE_TIMESTAMP"}
    with opened.stream("SELECT * FROM T") as result:
        assert result.types == ("varchar", "timestamp")
    assert read(opened, "SELECT * FROM T ORDER BY A;") == [["x", "2026-01-02 03:04:05.1"]]
    assert server.statements[-1].startswith('SELECT q."A", TO_CHAR(q."AT", ')
    with pytest.raises(TaskError, match=r"cannot look at the query: .*ORA-00942: no such table"):
        read(opened, "SELECT * FROM missing")


def test_numbers_and_large_values_come_whole(server: FakeOracle, opened: OracleDatabase) -> None:
    cursor = SimpleNamespace(arraysize=5, var=lambda kind, arraysize: (kind, arraysize))
    handler = server.outputtypehandler
    told = {kind: handler(cursor, SimpleNamespace(type_code=kind)) for kind in ("number", "blob")}
    assert told == {"number": ("varchar", 5), "blob": ("long raw", 5)}
    assert handler(cursor, SimpleNamespace(type_code="date")) is None


def test_a_table_is_found_by_its_name_or_that_in_capitals(
    server: FakeOracle, opened: OracleDatabase
) -> None:
    server.sql("create table ORDERS (A)")
    assert opened.find_table("orders") == '"main"."ORDERS"'
    assert opened.find_table("missing") is None


def test_a_load_is_one_transaction(server: FakeOracle) -> None:
    server.sql("create table T (A varchar(5) primary key, B raw)")
    server.types = {"A": "VARCHAR2(5)", "B": "RAW(9)"}
    with database(server) as opened:
        assert opened.load(Target(table="t"), [[["x", "\\x00ff"], ["y", None]]]) == 2
    assert server.sql("select A, B from T") == [("x", b"\x00\xff"), ("y", None)]
    assert ('INSERT INTO "main"."T" VALUES (:1, :2)', ("x", b"\x00\xff")) in server.told
    with database(server) as opened, pytest.raises(TaskError) as caught:
        opened.load(Target(table="t"), [[["z", None], ["y", None], ["w", None]]])
    assert "ORA-00001: UNIQUE" in str(caught.value)
    assert str(caught.value).endswith("(in row 2 for table 't')")
    assert server.sql("select count(*) from T") == [(2,)]


def test_an_empty_text_is_refused_before_it_is_null(
    server: FakeOracle, opened: OracleDatabase
) -> None:
    server.sql("create table T (A varchar(5))")
    server.types = {"A": "VARCHAR2(5)"}
    with pytest.raises(TaskError, match=r"row 1, .*is empty, which Oracle stores as NULL"):
        opened.load(Target(table="T"), [[[""]]])


def claim(attempt: int, handout: str) -> Claim:
    return Claim(pipeline="df-1", instance="@A_1", run="r1", attempt=attempt, handout=handout)


def test_a_load_counts_once(server: FakeOracle) -> None:
    server.sql("create table T (A varchar(5))")
    for attempt, expected in ((1, True), (2, False)):
        with database(server) as opened:
            target = Target(table="T")
            fence = LoadFence(opened, target, claim(attempt, f"h{attempt}"))
            assert fence.may_load() is expected
            if expected:
                # An empty text would be NULL, which the column does not take.
                assert server.sql("select run, handout from taskrunner_loads") == [(" ", " ")]
                opened.load(target, [[["x"]]])
                fence.check()
                assert fence.was_applied()
    assert server.sql("select A from T") == [("x",)]
    assert server.sql("select run, attempt, handout from taskrunner_loads") == [("r1", 1, "h1")]


def test_a_script_is_one_transaction_but_for_what_commits(server: FakeOracle) -> None:
    server.sql("create table T (A)")
    script = "INSERT INTO T VALUES (?);\nCREATE TABLE U (B);\nINSERT INTO U VALUES (2);\nSELECT no;"
    with database(server) as opened, pytest.raises(TaskError) as caught:
        opened.read_script(Script(text=script), ["x"]).run(lambda *_: None)
    assert server.sql("select A from T") == [("x",)]
    assert server.sql("select B from U") == []
    assert "statement 4 of the script, line 4, column 1" in str(caught.value)
    assert "the first statement is committed" in str(caught.value)


def test_a_script_that_ends_well_is_committed(server: FakeOracle) -> None:
    server.sql("create table T (A)")
    with database(server) as opened:
        opened.read_script(Script(text="INSERT INTO T VALUES (1);"), []).run(lambda *_: None)
    assert server.sql("select A from T") == [(1,)]


def told(code: int, message: str) -> DriverError:
    return DriverError(SimpleNamespace(code=code, message=message))


@pytest.mark.parametrize(
    ("error", "error_id", "text"),
    [
        (told(1017, "no pass-word\nHelp: x"), ErrorId.ACCESS_DENIED, "no ********"),
        (told(1653, "ORA-01653: full"), ErrorId.STORAGE_FULL, "ORA-01653: full"),
        (told(3113, "ORA-03113"), ErrorId.CONNECTION_FAILED, "ORA-03113"),
        (told(0, "DPY-4011: closed"), ErrorId.CONNECTION_FAILED, "DPY-4011: closed"),
        (OSError("reset"), ErrorId.CONNECTION_FAILED, "reset"),
        (told(20001, "ORA-20001: own"), ErrorId.ACTIVITY_FAILED, "ORA-20001: own"),
    ],
)
def test_what_the_server_says_is_told(
    server: FakeOracle, error: Exception, error_id: str, text: str
) -> None:
    server.answers = [("all_objects", error)]
    with database(server) as opened, pytest.raises(TaskError) as caught:
        opened.find_table("x")
    assert caught.value.error_id == error_id
    assert str(caught.value).startswith("cannot look for table x: database 'Db' (oracle at db.exa")
    assert str(caught.value).endswith(text)


def test_what_has_no_text_fails_before_it_is_read(
    server: FakeOracle, opened: OracleDatabase
) -> None:
    server.sql("create table T (A)")
    server.types = {"A": "DB_TYPE_VECTOR"}
    with pytest.raises(PermanentTaskError, match="the query's column 'A' is a vector"):
        read(opened, "SELECT A FROM T")

"""Scripts on real servers: transactions of their own, what refuses one, modes, and what is told.

That statements are told apart as the servers' own clients do it is what
tests/chaos/test_sql_scripts.py compares.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskrunner.activities.sql import SqlActivity
from taskrunner.data.databases.registry import open_database
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, TaskError
from taskrunner.model.document import Ref, Value
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task

DATABASE = new_object("Db", "RdsDatabase", {"rdsInstanceId": "orders"})
PREPARED = """
    create table purged (n int);
    create table big (k int);
    insert into big values (1);
    create materialized view bigv as select k from big;
    create unique index on bigv (k);
    create type mood as enum ('ok');
    create table moods (m mood);
    create procedure purge(k int) language plpgsql as $$
        begin for i in 1..k loop insert into purged values (i); commit; end loop; end $$;
"""


@pytest.fixture
def postgresql(postgresql_database: str) -> Iterator[ActivityEnvironment]:
    settings = DataSettings(databases={"Db": postgresql_database})
    with ActivityEnvironment(data=settings) as environment:
        yield environment


@pytest.fixture
def mariadb(mariadb_database: str) -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment(data=DataSettings(databases={"Db": mariadb_database})) as environment:
        yield environment


def run(environment: ActivityEnvironment, script: str, **fields: Value | list[Value]) -> None:
    values: dict[str, Value | list[Value]] = {"database": Ref("Db"), "script": script, **fields}
    environment.run(SqlActivity(), new_task("SqlActivity", values, DATABASE))


def select(environment: ActivityEnvironment, query: str) -> list[list[str | None]]:
    task = new_task("SqlActivity", {}, DATABASE)
    with open_database(task.object("Db"), environment.data) as db, db.stream(query) as result:
        return [list(row) for batch in result.batches for row in batch]


def test_what_postgresql_runs_outside_of_transactions_only(postgresql: ActivityEnvironment) -> None:
    run(postgresql, PREPARED)
    run(
        postgresql,
        """
        create index concurrently big_k on big (k); insert into big values (2);
        refresh materialized view concurrently bigv; reindex table concurrently big;
        drop index concurrently big_k; vacuum analyze big; cluster; discard all;
        alter type mood add value if not exists 'meh'; insert into moods values ('meh');
        call purge(3); do $$ begin insert into purged values (0); commit; end $$;
        insert into purged values (99);
        """,
    )
    assert select(postgresql, "select k from bigv order by k") == [["1"], ["2"]]
    assert select(postgresql, "select * from moods") == [["meh"]]
    assert select(postgresql, "select n from purged order by n") == [
        [n] for n in ("0", "1", "2", "3", "99")
    ]


def test_a_partitioned_table_is_indexed_anew_in_transactions_of_its_own(
    postgresql: ActivityEnvironment,
) -> None:
    run(
        postgresql,
        """
        create table parts (a int primary key) partition by range (a);
        create table part partition of parts for values from (0) to (9);
        reindex table parts; insert into parts values (1)
        """,
    )
    assert select(postgresql, "select * from parts") == [["1"]]


def test_databases_are_made_outside_of_transactions(postgresql: ActivityEnvironment) -> None:
    name = select(postgresql, "select current_database() || '_made'")[0][0]
    run(postgresql, f"select 1; create database {name}; select 2; drop database {name}; select 3")
    with pytest.raises(TaskError, match=r"permission denied"):  # and not: within a transaction
        run(postgresql, "select 1; alter system set work_mem = '1MB'")


def test_a_procedure_that_does_not_commit_is_undone_with_the_rest(
    postgresql: ActivityEnvironment,
) -> None:
    run(
        postgresql,
        "create table t (a int); create procedure p() language sql as 'insert into t values (1)'",
    )
    with pytest.raises(TaskError, match=r"1/0|division by zero") as caught:
        run(postgresql, "call p(); select 1/0")
    assert "committed" not in str(caught.value)
    assert select(postgresql, "select * from t") == []


def test_own_transactions_of_postgresql(postgresql: ActivityEnvironment) -> None:
    run(postgresql, PREPARED)
    run(
        postgresql,
        """
        BEGIN; INSERT INTO purged VALUES (98); SAVEPOINT s; INSERT INTO purged VALUES (1);
        ROLLBACK TO s; COMMIT;
        CREATE INDEX CONCURRENTLY purged_n ON purged (n);
        BEGIN; INSERT INTO purged VALUES (97); ROLLBACK;
        CALL purge(1);
        """,
    )
    assert select(postgresql, "select n from purged order by n") == [["1"], ["98"]]


def test_own_transactions_of_mariadb(mariadb: ActivityEnvironment) -> None:
    run(
        mariadb,
        """
        create table t (a int); insert into t values (1);
        start transaction; insert into t values (2); rollback;
        set autocommit = 0; insert into t values (3); rollback; insert into t values (4); commit;
        """,
    )
    assert select(mariadb, "select a from t order by a") == [["1"], ["4"]]


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_transaction_without_an_end_fails(name: str, request: pytest.FixtureRequest) -> None:
    environment: ActivityEnvironment = request.getfixturevalue(name)
    run(environment, "create table t (a int)")
    words = r"ends within a transaction.*behind line 3, column 2; the first statement is committed"
    with pytest.raises(TaskError, match=words):
        run(environment, "insert into t values (1);\nbegin;\n insert into t values (2)")
    assert select(environment, "select * from t") == [["1"]]


def test_what_mysql_commits_unasked_is_told(mariadb: ActivityEnvironment) -> None:
    run(mariadb, "create table t (a int) engine = innodb")
    with pytest.raises(TaskError, match=r"the first statement is committed, and another"):
        run(mariadb, "insert into t values (1); create table t (b int)")
    with pytest.raises(TaskError, match=r"the first 2 statements \(up to line 2\) are committed"):
        run(mariadb, "insert into t values (2);\ntruncate t; insert into t values (3); fail")
    with pytest.raises(TaskError, match=r"syntax") as caught:
        run(mariadb, "insert into t values (4); fail")
    assert "committed" not in str(caught.value)
    assert select(mariadb, "select * from t") == []


def test_a_cancellation_says_what_stays(mariadb: ActivityEnvironment) -> None:
    mariadb.cancel_after = 2
    with pytest.raises(Canceled):
        run(mariadb, "create table t (a int);\ncreate table u (a int); create table v (a int)")
    assert mariadb.messages[-1].startswith("Canceled: the first 2 statements (up to line 2) are co")


def test_a_failure_has_the_place_that_postgresql_names(postgresql: ActivityEnvironment) -> None:
    fields = "select 1;\n  -- first\n  select 2,\n    nothing from t"
    postgresql.put("s3://scripts/x.sql", fields)
    task = new_task(
        "SqlActivity", {"database": Ref("Db"), "scriptUri": "s3://scripts/x.sql"}, DATABASE
    )
    with pytest.raises(TaskError, match=r"of s3://scripts/x.sql, line 4, column 18: 'select 2,"):
        postgresql.run(SqlActivity(), task)


def test_a_trigger_without_begin(mariadb: ActivityEnvironment) -> None:
    run(
        mariadb,
        "CREATE TABLE parcel (id INT PRIMARY KEY, ref VARCHAR(20));\n"
        "CREATE TRIGGER parcel_ref BEFORE INSERT ON parcel FOR EACH ROW "
        "IF NEW.ref IS NULL THEN SET NEW.ref = CONCAT('P', NEW.id); END IF;\n"
        "INSERT INTO parcel (id, ref) VALUES (1, NULL), (2, 'own');",
    )
    assert select(mariadb, "select * from parcel order by id") == [["1", "P1"], ["2", "own"]]


def test_a_delimiter_may_hold_more_than_one_statement(mariadb: ActivityEnvironment) -> None:
    run(mariadb, "delimiter //\ncreate table t (a int); insert into t values (1);\n//\n")
    # It is for those statements alone.
    task = new_task("SqlActivity", {}, DATABASE)
    with (
        open_database(task.object("Db"), mariadb.data) as db,
        pytest.raises(TaskError, match="syntax"),
        db.stream("select 1; select 2"),
    ):
        pass


@pytest.mark.parametrize("arguments", [['it\'s \\ "q"']])
def test_the_servers_own_sql_mode_holds(
    mariadb: ActivityEnvironment, arguments: list[Value]
) -> None:
    run(mariadb, "create table t (id int, v varchar(60))")
    mode = "set sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,PIPES_AS_CONCAT'"
    run(
        mariadb,
        f"{mode}; insert into t values (1, 'C:\\'); insert into \"t\" values (2, 'D:\\' || ?);"
        'set sql_mode = @@global.sql_mode; insert into t values (3, "it\\\'s")',
        scriptArgument=arguments,
    )
    assert select(mariadb, "select id, v from t order by id") == [
        ["1", "C:\\"],
        ["2", 'D:\\it\'s \\ "q"'],
        ["3", "it's"],
    ]


def test_the_databases_own_meaning_of_backslashes_holds(postgresql: ActivityEnvironment) -> None:
    run(
        postgresql,
        """
        create table t (v text);
        do $$ begin execute format(
            'alter database %I set standard_conforming_strings = off', current_database());
        end $$;
        """,
    )
    run(
        postgresql,
        r"""insert into t values ('it\'s'); insert into t values (?);
        select set_config('standard_conforming_strings', 'on', false);
        insert into t values ('C:\')""",
        scriptArgument=["a\\'b"],
    )
    assert select(postgresql, 'select v from t order by v collate "C"') == [
        ["C:\\"],
        ["a\\'b"],
        ["it's"],
    ]


def test_copy_loads_the_lines_of_the_script(postgresql: ActivityEnvironment) -> None:
    run(
        postgresql,
        "create table t (a int, b text);\ncopy t (a, b) from stdin;\n1\tx;y\n2\t\\N\n\\.\n"
        "insert into t values (3, '?'); copy t from stdin with (format csv);\n4,\"a, b\"\n\\.\n",
    )
    assert select(postgresql, "select * from t order by a") == [
        ["1", "x;y"],
        ["2", None],
        ["3", "?"],
        ["4", "a, b"],
    ]
    assert "Statement 2 (COPY, line 2) done, 2 rows" in postgresql.messages

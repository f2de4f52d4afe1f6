"""SqlActivity and Exists on real servers, and addresses looked up at AWS."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from taskrunner.activities.sql import SqlActivity
from taskrunner.data.databases.base import Target
from taskrunner.data.databases.lookup import AwsLookup
from taskrunner.data.databases.registry import open_database
from taskrunner.data.settings import DataSettings
from taskrunner.errors import Canceled, ErrorId, TaskError
from taskrunner.model.document import Ref, Value
from taskrunner.preconditions.exists import Exists
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object, new_task

DATABASE = new_object("Db", "RdsDatabase", {"rdsInstanceId": "orders"})


@pytest.fixture(params=["postgresql", "mariadb"])
def environment(request: pytest.FixtureRequest) -> Iterator[ActivityEnvironment]:
    url: str = request.getfixturevalue(f"{request.param}_database")
    with ActivityEnvironment(data=DataSettings(databases={"Db": url})) as environment:
        yield environment


def run(environment: ActivityEnvironment, script: str, **fields: Value | list[Value]) -> None:
    values: dict[str, Value | list[Value]] = {"database": Ref("Db"), "script": script, **fields}
    environment.run(SqlActivity(), new_task("SqlActivity", values, DATABASE))


def select(settings: DataSettings, query: str) -> list[list[str | None]]:
    task = new_task("SqlActivity", {}, DATABASE)
    with open_database(task.object("Db"), settings) as db, db.stream(query) as result:
        return [list(row) for batch in result.batches for row in batch]


def test_an_upsert_script_with_arguments(environment: ActivityEnvironment) -> None:
    run(environment, "create table t (id integer primary key, v varchar(99), day date)")
    script = """
        -- Replace the day; what is '?' here is text.
        delete from t where day = ?;
        insert into t values (1, 'what; is ?', ?), (2, ?, ?);
        /* the end; */
    """
    for _ in range(2):
        day = "2026-02-13"
        run(environment, script, scriptArgument=[day, day, "100% \\ 'quoted'", day])
    assert select(environment.data, "select * from t order by id") == [
        ["1", "what; is ?", "2026-02-13"],
        ["2", "100% \\ 'quoted'", "2026-02-13"],
    ]
    assert [m for m in environment.messages if "rows" in m][-1].endswith("2 rows")


def test_scripts_may_define_procedures(environment: ActivityEnvironment) -> None:
    url = environment.data.databases["Db"]
    run(environment, "create table t (a integer)")
    if url.startswith("mysql"):
        body = "begin insert into t values (1); if true then insert into t values (2); end if; end"
        run(environment, f"create procedure p() {body}; call p(); call p();")
    else:
        body = "begin insert into t values (1); insert into t values (2); end"
        run(
            environment,
            f"create procedure p() language plpgsql as $$ {body} $$; call p(); call p()",
        )
    assert select(environment.data, "select count(*) from t") == [["4"]]


def test_a_cancellation_between_statements_undoes_all(environment: ActivityEnvironment) -> None:
    run(environment, "create table t (a integer)")
    environment.cancel_after = len(environment.progress_reports) + 1
    with pytest.raises(Canceled):
        run(environment, "insert into t values (1); insert into t values (2);")
    assert select(environment.data, "select * from t") == []


def test_a_failure_names_the_statement_and_the_servers_reason(
    environment: ActivityEnvironment,
) -> None:
    with pytest.raises(TaskError, match=r"SELECT in line 3.*'Db'.*127.0.0.1.*no_such_table"):
        run(environment, "select 1;\n\nselect * from no_such_table")


@pytest.mark.no_cover
def test_large_answers_do_not_fill_the_memory(environment: ActivityEnvironment) -> None:
    mysql = environment.data.databases["Db"].startswith("mysql")
    source = "seq_1_to_30000" if mysql else "generate_series(1, 30000)"
    run(environment, f"select repeat('x', 10000) from {source}; select 1")
    assert environment.progress_reports == [
        {"statements": 1, "percent": 50},
        {"statements": 2, "percent": 100},
    ]


def test_exists_asks_the_server(environment: ActivityEnvironment) -> None:
    def exists(**fields: str) -> bool:
        node = new_object("Node", "SqlDataNode", {**fields, "database": Ref("Db")})
        return environment.check(
            Exists(), new_task("Exists", {"node": Ref("Node")}, node, DATABASE)
        )

    assert not exists(table="t")
    run(environment, "create table t (a integer)")
    assert exists(table="t")
    assert not exists(table="t", selectQuery="select * from t")
    run(environment, "insert into t values (1)")
    assert exists(table="t", selectQuery="select * from t")


def test_redshift_loads_by_insert(postgresql_database: str) -> None:
    """PostgreSQL stands in for Redshift: it takes everything that is sent there but the queue."""
    url = postgresql_database.replace("postgresql://", "redshift://")
    with ActivityEnvironment(data=DataSettings(databases={"Db": url})) as environment:
        run(environment, "create table t (a integer, b varchar(9))")
        task = new_task("SqlActivity", {}, DATABASE)
        with open_database(task.object("Db"), environment.data) as db:
            assert db.load(Target(table="t"), [[["1", None], ["2", "x"]]]) == 2
        assert select(environment.data, "select * from t order by a") == [["1", None], ["2", "x"]]
        with pytest.raises(TaskError, match="query_group"):
            run(environment, "select 1", queue="etl")


def test_addresses_of_rds_instances(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The S3 server of the tests answers for RDS as well."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    client = boto3.client("rds", region_name="eu-west-1")
    client.create_db_instance(
        DBInstanceIdentifier="orders",
        DBInstanceClass="db.t3.small",
        Engine="mysql",
        Port=3307,
        MasterUsername="me",
        MasterUserPassword="password-of-mine",
        AllocatedStorage=10,
    )
    try:
        found = AwsLookup().rds("orders", "eu-west-1")
        assert found.startswith("jdbc:mysql://orders.")
        assert found.endswith(":3307/")
        with pytest.raises(TaskError, match="RDS instance 'none'") as caught:
            AwsLookup().rds("none", "eu-west-1")
        assert caught.value.error_id == ErrorId.NOT_FOUND
    finally:
        client.delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)
        client.close()

"""The ways to Redshift itself, with a PostgreSQL at the other end.

The driver's own: its protocol, its transactions, and what its errors hold. The Data API's: a client
that answers as AWS's, and runs what it is sent on the PostgreSQL that stands in for Redshift.
"""

from __future__ import annotations

import itertools
import logging
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from taskrunner.data.databases.properties import Options
from taskrunner.data.databases.redshift import RedshiftDatabase
from taskrunner.data.databases.spec import DatabaseSpec, Login, from_url
from taskrunner.data.redshift.authorization import of_keys
from taskrunner.data.redshift.carrying_out import carry_out
from taskrunner.data.redshift.data_api import RedshiftDataApi
from taskrunner.data.redshift.load import Load
from taskrunner.data.redshift.nodes import read_request
from taskrunner.data.redshift.session import Done, Step
from taskrunner.data.redshift.stand_in.database import StandInDatabase
from taskrunner.data.redshift.unload import UnloadFiles
from taskrunner.errors import ErrorId, TaskError
from taskrunner.model.document import Ref
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object
from taskrunner.testing.clock import FakeClock
from tests.unit.data.redshift.fakes import FakeMonitor, copy_task

pytestmark = pytest.mark.external_service

HOST = "sales.c1.eu-west-1.redshift.amazonaws.com"
KEYS = of_keys("AKIAEXAMPLEEXAMPLE", "the-secret-key-of-the-agent", None)
#: What only Redshift's catalog has, and what says the same in PostgreSQL's.
CATALOG = {
    RedshiftDatabase.identity: StandInDatabase.identity,
    RedshiftDatabase.other: StandInDatabase.other,
}
#: What a COPY leaves behind it in Redshift.
TRACES = """
    create table stl_load_errors (session int, query int, filename char(30), line_number int,
        colname char(10), type char(10), raw_field_value text, err_reason char(20), starttime int);
    create function pg_last_copy_count() returns bigint language sql as 'select 5::bigint';
"""


@pytest.fixture
def redshift(postgresql_database: str) -> Iterator[RedshiftDatabase]:
    spec = from_url("Db", postgresql_database.replace("postgresql://", "redshift://"), Login())
    with RedshiftDatabase(spec) as database:
        yield database


def run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_a_connection_sends_a_transaction(
    redshift: RedshiftDatabase, postgresql_database: str
) -> None:
    run(postgresql_database, "create table orders (id int, note text)")
    steps = [
        Step(sql="insert into orders values (1, 'a\\b'), (2, 'b')", about="insert", moves=True),
        Step(sql="select 1 / count(*) from orders", about="check", is_guard=True),
    ]
    monitor = FakeMonitor()
    assert carry_out(redshift, steps, monitor, KEYS, "Copy") == 2
    assert redshift.rows("select count(*) from orders") == [("2",)]
    steps.append(Step(sql="select 1 / 0", about="check", is_guard=True))
    with pytest.raises(TaskError, match="another attempt"):
        carry_out(redshift, steps, monitor, KEYS, "Copy")
    assert redshift.rows("select count(*) from orders") == [("2",)]


def test_no_key_of_a_statement_is_in_its_error(
    redshift: RedshiftDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """The server quotes the line of the statement that it does not understand, keys and all."""
    sql = f"copy orders from 's3://b/f' {KEYS.clause} csv"
    with psycopg.connect(
        host=redshift.spec.host,
        port=redshift.spec.port,
        dbname=redshift.spec.database,
        user=redshift.spec.username,
        password=redshift.spec.password,
    ) as connection:
        with pytest.raises(psycopg.errors.SyntaxError, match="AKIAEXAMPLEEXAMP") as quoting:
            connection.execute(sql.encode())
        assert "LINE 1" in str(quoting.value)
    caplog.set_level(logging.DEBUG)
    step = Step(sql=sql, about="load the data", moves=True)
    with pytest.raises(TaskError, match=r"cannot load the data.*syntax error") as found:
        carry_out(redshift, [step], FakeMonitor(), KEYS, "RedshiftCopyActivity 'Load'")
    text = "".join(traceback.format_exception(found.value)) + caplog.text
    assert "the-secret-key-of-the-agent" not in text
    assert "AKIAEXAMPLEEXAMPLE" not in text


def test_rows_that_were_not_taken_are_read_from_redshifts_own_table(
    redshift: RedshiftDatabase, postgresql_database: str
) -> None:
    run(postgresql_database, TRACES)
    (process,) = redshift.rows("select pg_backend_pid()")[0]
    row = "insert into stl_load_errors values ({}, {}, 's3://b/f', 3, 'day', 'date', 'x', '{}', 1)"
    run(postgresql_database, row.format(process, 8, "of another load"))

    counts: list[int] = []

    def left(_step: Step, count: int) -> None:
        counts.append(count)
        run(postgresql_database, row.format(process, 9, "Invalid date"))
        run(postgresql_database, row.format(int(process or 0) + 1, 10, "of another session"))

    copy = Step(sql="select 1", about="load", is_copy=True)
    redshift.transact([copy], left)
    assert counts == [5]
    assert redshift._connection.info.get_parameters()["keepalives_idle"] == "30"
    (error,) = redshift.load_errors()
    assert str(error) == "s3://b/f, line 3, column day date: Invalid date (found 'x')"


def test_where_that_table_may_not_be_seen_the_load_goes_on(
    redshift: RedshiftDatabase, postgresql_database: str
) -> None:
    run(postgresql_database, TRACES[TRACES.index("create function") :])
    counts: list[int] = []
    copy = Step(sql="select 1", about="load", is_copy=True)
    redshift.transact([copy], lambda _, count: counts.append(count))
    assert (counts, redshift.load_errors()) == ([5], [])


def test_what_the_catalog_says_is_asked_as_redshift_has_it(
    postgresql_database: str, redshift: RedshiftDatabase
) -> None:
    run(
        postgresql_database,
        "create table t (a int, b int generated by default as identity, c int, primary key (c, a))",
    )
    with (
        ActivityEnvironment() as environment,
        StandInDatabase(redshift.spec, environment.objects) as database,
    ):
        name = database.find_table("T")
        assert name == '"public"."t"'
        shape = database.shape(name)
    assert (shape.columns, shape.identity) == (("a", "b", "c"), ("b",))
    assert (shape.primary_key, shape.short_name) == (("a", "c"), "t")


class DataApi:
    """Answers as the service of this name, for the PostgreSQL that stands in for Redshift."""

    def __init__(self, database: StandInDatabase) -> None:
        self._database = database
        self._ids = itertools.count(1)
        self._ended: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, list[tuple[str | None, ...]]] = {}
        self.sent: list[str] = []

    def execute_statement(self, *, Sql: str, **place: str) -> dict[str, str]:  # noqa: N803
        return self._run([Sql])

    def batch_execute_statement(self, *, Sqls: list[str], **place: str) -> dict[str, str]:  # noqa: N803
        return self._run(Sqls)

    def describe_statement(self, *, Id: str) -> dict[str, Any]:  # noqa: N803
        return {"Id": Id, **self._ended[Id]}

    def get_statement_result(self, *, Id: str) -> dict[str, Any]:  # noqa: N803
        records = [
            [{"isNull": True} if value is None else {"stringValue": value} for value in row]
            for row in self._rows[Id]
        ]
        return {"Records": records, "ColumnMetadata": []}

    def close(self) -> None:
        pass

    def _run(self, statements: Sequence[str]) -> dict[str, str]:
        name = str(next(self._ids))
        self.sent += statements
        if statements[0].startswith("SELECT") and len(statements) == 1:
            query = statements[0]
            for of_redshift, of_postgresql in CATALOG.items():
                query = query.replace(of_redshift, of_postgresql)
            self._rows[name] = self._database.rows(query)
            self._ended[name] = {"Status": "FINISHED"}
            return {"Id": name}
        parts: list[dict[str, Any]] = []
        try:
            self._database.transact(
                [Step(sql=sql, about=f"run statement {n}") for n, sql in enumerate(statements)],
                lambda _, count: parts.append({"Status": "FINISHED", "ResultRows": count}),
            )
            self._ended[name] = {"Status": "FINISHED", "SubStatements": parts}
        except TaskError as error:
            parts.append({"Status": "FAILED", "Error": str(error)})
            self._ended[name] = {"Status": "FAILED", "SubStatements": parts}
        return {"Id": name}


@pytest.fixture
def environment() -> Iterator[ActivityEnvironment]:
    with ActivityEnvironment() as found:
        yield found


@pytest.fixture
def service(postgresql_database: str, environment: ActivityEnvironment) -> Iterator[DataApi]:
    spec = from_url("Db", postgresql_database, Login())
    with StandInDatabase(spec, environment.objects) as database:
        yield DataApi(database)


def api(service: DataApi) -> RedshiftDataApi:
    options = Options(other={"iamrole": "default"})
    spec = DatabaseSpec(id="Db", scheme="redshift", host=HOST, database="dev", options=options)
    database = RedshiftDataApi(spec, client=service, clock=FakeClock())
    database.connect()
    return database


def test_a_load_and_an_unload_by_the_data_api(
    service: DataApi, environment: ActivityEnvironment, postgresql_database: str
) -> None:
    run(postgresql_database, "create table orders (id int primary key, note text)")
    run(postgresql_database, "insert into orders values (1, 'old')")
    environment.put("s3://b/f.csv", "1,new\n2,new\n")
    task = copy_task(insertMode="OVERWRITE_EXISTING")
    monitor = FakeMonitor()
    for _ in range(2):  # the second time there is nothing to do
        Load(api(service), read_request(task.main), environment.objects, monitor).run(task)
    assert monitor.told[-1] == {"rows": 2}
    copies = [sql for sql in service.sent if sql.startswith("COPY")]
    assert copies == [
        r"COPY staging FROM 's3://b/f.csv' IAM_ROLE default DELIMITER ',' ESCAPE NULL AS '\\N'"
    ]
    task = copy_task(source={"filePath": "s3://b/out.csv"}, unloads=True)
    UnloadFiles(api(service), read_request(task.main), environment.objects, monitor).run("x")
    assert environment.read("s3://b/out.csv") == b"1,new\n2,new\n"


def test_a_superseded_attempt_by_the_data_api(
    service: DataApi, environment: ActivityEnvironment, postgresql_database: str
) -> None:
    """Its batch is undone as a whole: the last statement divides by zero."""
    run(postgresql_database, "create table orders (id int, note text)")
    environment.put("s3://b/f.csv", "1,new\n")
    task = copy_task()
    database = api(service)
    transact = database.transact

    def overtaken(steps: Sequence[Step], done: Done) -> None:
        if len(steps) > 1:
            run(postgresql_database, "update taskrunner_loads_orders set attempt = 9")
        transact(steps, done)

    database.transact = overtaken  # type: ignore[method-assign]
    with pytest.raises(TaskError, match="another attempt of the instance was faster"):
        Load(database, read_request(task.main), environment.objects, FakeMonitor()).run(task)
    assert database.rows("SELECT * FROM orders") == []


def test_a_copy_from_dynamodb(
    s3_endpoint: str,
    postgresql_database: str,
    environment: ActivityEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The S3 server of the tests answers for DynamoDB as well."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    client = boto3.client("dynamodb", region_name="eu-west-1")
    key = {"AttributeName": "Id", "KeyType": "HASH"}
    client.create_table(
        TableName="redshift-items",
        KeySchema=[key],
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    try:
        client.put_item(
            TableName="redshift-items",
            Item={"Id": {"N": "7"}, "NOTE": {"S": "a"}, "other": {"SS": ["x"]}},
        )
        client.put_item(TableName="redshift-items", Item={"Id": {"N": "8"}})
        run(postgresql_database, "create table orders (id int, note text)")
        fields = {"tableName": "redshift-items", "region": "eu-west-1"}
        node = new_object("Items", "DynamoDBDataNode", fields)
        task = copy_task(others=[node], input=Ref("Items"))
        spec = from_url("Db", postgresql_database, Login())
        with StandInDatabase(spec, environment.objects) as database:
            load = Load(database, read_request(task.main), environment.objects, FakeMonitor())
            load.run(task)
            assert database.rows("select * from orders order by id") == [("7", "a"), ("8", None)]
    finally:
        client.delete_table(TableName="redshift-items")
        client.close()


def test_addresses_and_temporary_credentials(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The S3 server of the tests answers for Redshift as well."""
    import boto3

    from taskrunner.data.databases.lookup import AwsLookup
    from taskrunner.data.databases.spec import from_jdbc
    from taskrunner.data.redshift.credentials import temporary_login

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    client = boto3.client("redshift", region_name="eu-west-1")
    client.create_cluster(
        ClusterIdentifier="sales",
        NodeType="dc2.large",
        MasterUsername="me",
        MasterUserPassword="Password-1",
    )
    try:
        address = AwsLookup().redshift("sales", "eu-west-1")
        assert address.startswith("jdbc:redshift://sales.")
        spec = from_jdbc("Db", address, Login(username="etl", database="dev"))
        found = temporary_login(spec)
        assert found.username == "IAM:etl"
        assert found.password
        with pytest.raises(TaskError, match="Redshift cluster 'none'") as caught:
            AwsLookup().redshift("none", "eu-west-1")
        assert caught.value.error_id == ErrorId.NOT_FOUND
    finally:
        client.delete_cluster(ClusterIdentifier="sales", SkipFinalClusterSnapshot=True)
        client.close()

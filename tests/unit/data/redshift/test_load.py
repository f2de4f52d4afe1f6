from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskrunner.data.redshift.load import Load
from taskrunner.data.redshift.nodes import read_request
from taskrunner.data.redshift.session import Shape
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.document import Ref, Value
from taskrunner.testing.activity_environment import ActivityEnvironment, new_object
from taskrunner.testing.clock import FakeClock
from tests.unit.data.redshift.fakes import FakeMonitor, FakeSession, Fields, copy_task

LOADS = '"public"."taskrunner_loads_orders"'


def load(
    session: FakeSession,
    *,
    target: Fields | None = None,
    source: Fields | None = None,
    dynamodb: bool = False,
    **fields: Value | list[Value],
) -> None:
    items = new_object("Items", "DynamoDBDataNode", {"tableName": "items"})
    typed = new_object("Typed", "CSV", {"column": "note STRING"})
    if dynamodb:
        fields = {**fields, "input": Ref("Items")}
    others = [items, typed]
    task = copy_task(target=target, source=source, others=others, unloads=False, **fields)
    with ActivityEnvironment() as environment:
        environment.put("s3://b/f.csv", "1,a\n")
        clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
        wanted = read_request(task.main)
        Load(session, wanted, environment.objects, FakeMonitor(), clock).run(task)


def test_what_is_sent_for_a_first_load() -> None:
    session = FakeSession()
    load(session, commandOptions="CSV IAM_ROLE default")
    made, begun, lock, copy, update, check = session.sent
    assert made.startswith(f"CREATE TABLE IF NOT EXISTS {LOADS}")
    assert begun.startswith(f"INSERT INTO {LOADS} VALUES ('df-TESTING', '@Load_2026")
    assert lock == f"LOCK TABLE {LOADS}"
    assert copy == 'COPY "public"."orders" FROM \'s3://b/f.csv\' IAM_ROLE default CSV'
    assert update.startswith(f"UPDATE {LOADS}")
    assert check.startswith("SELECT 1 / COUNT(*)")


def test_a_copy_from_dynamodb() -> None:
    session = FakeSession()
    load(session, dynamodb=True)
    assert session.sent[3] == (
        "COPY \"public\".\"orders\" FROM 'dynamodb://items' ACCESS_KEY_ID 'testing' "
        "SECRET_ACCESS_KEY 'testing' READRATIO 50"
    )


def test_columns_whose_values_the_server_makes_are_left_out() -> None:
    shape = Shape(
        name='"s"."orders"', short_name="orders", columns=("id", "note"), identity=("id",)
    )
    session = FakeSession(tables={"orders": shape})
    load(session)
    assert session.sent[3].startswith('COPY "s"."orders" ("note") FROM')
    session = FakeSession(tables={"orders": shape})
    load(session, commandOptions="CSV EXPLICIT_IDS")
    assert session.sent[3].startswith('COPY "s"."orders" FROM')


def test_columns_of_the_data_format() -> None:
    session = FakeSession()
    load(session, source={"filePath": "s3://b/f.csv", "dataFormat": Ref("Typed")})
    assert session.sent[3].startswith('COPY "public"."orders" ("note") FROM')


def test_what_has_been_loaded_is_not_loaded_again() -> None:
    session = FakeSession(applied=[("", "1")])
    load(session)
    assert not any(statement.startswith("COPY") for statement in session.sent)


def test_a_right_that_is_missing_is_named() -> None:
    session = FakeSession(fails=("CREATE TABLE IF NOT", "permission denied for schema public"))
    with pytest.raises(TaskError, match=r"permission denied.*the right to make and change"):
        load(session)


def test_a_table_that_is_not_made_by_its_own_statement() -> None:
    """As Amazon's own example has it: createTableSql makes a table of another name."""
    session = FakeSession(tables={})
    expected = r"'tableName'.*nor does createTableSql make one"
    with pytest.raises(PermanentTaskError, match=expected) as found:
        load(session, target={"createTableSql": "create table StructuredLogs (a int); select 1;"})
    assert session.sent == ["create table StructuredLogs (a int)", "select 1"]
    assert found.value.error_id == ErrorId.NOT_FOUND

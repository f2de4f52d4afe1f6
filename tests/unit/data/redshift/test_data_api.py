"""The Data API, with a client that answers as AWS's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import botocore.exceptions
import pytest

from taskrunner.data.databases.script import split
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.redshift.data_api import RedshiftDataApi
from taskrunner.data.redshift.session import Step, StepFailed
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.testing.clock import FakeClock

SPEC = DatabaseSpec(
    id="Db",
    scheme="redshift",
    host="sales.c1.eu-west-1.redshift.amazonaws.com",
    database="dev",
    username="etl",
)


class Client:
    """Runs nothing; each statement takes two looks to end."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.ends = list(results)
        self._looks = 0

    def execute_statement(self, **wanted: Any) -> dict[str, Any]:
        self.calls.append(("execute", wanted))
        return {"Id": "1"}

    def batch_execute_statement(self, **wanted: Any) -> dict[str, Any]:
        self.calls.append(("batch", wanted))
        return {"Id": "1"}

    def describe_statement(self, **wanted: Any) -> dict[str, Any]:
        self._looks += 1
        if self._looks % 2:
            return {"Id": "1", "Status": "STARTED"}
        return {"Id": "1", "Status": "FINISHED", **self.ends.pop(0)}

    def get_statement_result(self, **wanted: Any) -> dict[str, Any]:
        self.calls.append(("result", wanted))
        if "NextToken" in wanted:
            return {"Records": [[{"isNull": True}, {"booleanValue": True}]]}
        first = [{"stringValue": "a"}, {"longValue": 12}]
        second = [{"doubleValue": 2.0}, {"blobValue": b"\x01"}]
        return {
            "ColumnMetadata": [{"name": "x"}, {"name": "y"}],
            "Records": [first, second],
            "NextToken": "more",
        }

    def cancel_statement(self, **wanted: Any) -> None:
        self.calls.append(("cancel", wanted))

    def close(self) -> None:
        self.calls.append(("close", {}))


def api(client: Any, spec: DatabaseSpec = SPEC) -> RedshiftDataApi:
    database = RedshiftDataApi(spec, client=client, clock=FakeClock())
    database.connect()
    return database


STEPS = [
    Step(sql="SET query_group TO 'q'", about="set the query group"),
    Step(sql="COPY t", about="load the data", is_copy=True, moves=True),
    Step(sql="SELECT 1 / 0", about="note", is_guard=True),
]


def test_a_transaction_is_one_batch() -> None:
    client = Client({"SubStatements": [{"ResultRows": -1}, {"ResultRows": 7}, {"ResultRows": 1}]})
    counts: list[int] = []
    api(client).transact(STEPS, lambda _, count: counts.append(count))
    place = {"ClusterIdentifier": "sales", "Database": "dev", "DbUser": "etl"}
    assert client.calls == [("batch", {"Sqls": [step.sql for step in STEPS], **place})]
    assert counts == [-1, 7, 1]


def failed(*statuses: str) -> dict[str, Any]:
    parts = [
        {"Status": status, "Error": "ERROR:  Divide by zero\n " if status == "FAILED" else None}
        for status in statuses
    ]
    return {"Status": "FAILED", "Error": "whole", "SubStatements": parts, "RedshiftPid": 42}


def test_the_statement_that_failed_is_told() -> None:
    client = Client(failed("FINISHED", "FINISHED", "FAILED"))
    with pytest.raises(
        StepFailed, match=r"cannot note: database 'Db'.*ERROR: Divide by zero$"
    ) as f:
        api(client).transact(STEPS, lambda *_: None)
    assert f.value.step is STEPS[2]


def test_rows_that_a_copy_did_not_take_are_those_of_its_session() -> None:
    client = Client(failed("FINISHED", "FAILED", "ABORTED"), {})
    database = api(client)
    with pytest.raises(StepFailed):
        database.transact(STEPS, lambda *_: None)
    with pytest.raises(ValueError, match="unpack"):  # the answer above is of another shape
        database.load_errors()
    assert "WHERE session = 42 AND query > 0" in client.calls[1][1]["Sql"]


def test_rows_come_page_by_page_as_text() -> None:
    with api(Client({})).stream("select 1;") as result:
        assert result.columns == ("x", "y")
        assert [[list(row) for row in batch] for batch in result.batches] == [
            [["a", "12"], ["2", "01"]],
            [[None, "t"]],
        ]


def test_a_script_is_one_transaction_but_for_vacuum() -> None:
    client = Client(
        {"SubStatements": [{"ResultRows": -1}, {"ResultRows": 1}, {"ResultRows": 2}]},
        {"ResultRows": -1},
    )
    database = api(client)
    assert database.use_queue("q")
    done: list[tuple[str, int, int]] = []
    statements = split("insert into t values (1); delete from t; vacuum t", database.dialect)
    database.run(statements, (), lambda s, number, count: done.append((s.verb, number, count)))
    assert done == [("INSERT", 1, 1), ("DELETE", 2, 2), ("VACUUM", 3, -1)]
    (_, first), (_, second) = client.calls
    assert first["Sqls"] == ["SET query_group TO 'q'", "insert into t values (1)", "delete from t"]
    assert second["Sql"] == "vacuum t"


def test_what_it_does_not_take_is_refused() -> None:
    database = api(Client())
    statement = split("insert into t values (?)", database.dialect)
    with pytest.raises(PermanentTaskError, match="takes no scriptArgument"):
        database.run(statement, ["1"], lambda *_: None)
    with pytest.raises(PermanentTaskError, match="takes no rows"):
        database.insert(statement[0], [["1"]])
    with pytest.raises(PermanentTaskError, match="41 statements in one transaction"):
        database.transact(STEPS[:1] * 41, lambda *_: None)


class Refusing(Client):
    def execute_statement(self, **wanted: Any) -> dict[str, Any]:
        error = {"Error": {"Code": "AccessDeniedException", "Message": "not yours"}}
        raise botocore.exceptions.ClientError(error, "ExecuteStatement")  # type: ignore[arg-type]


def test_a_refusal_is_told_without_the_statement() -> None:
    with pytest.raises(TaskError, match=r"by the Data API.*not yours \(AccessDenied") as found:
        api(Refusing()).rows("select 1")
    assert found.value.error_id == ErrorId.ACCESS_DENIED
    assert found.value.__cause__ is None


class Interrupted(Client):
    def describe_statement(self, **wanted: Any) -> dict[str, Any]:
        raise KeyboardInterrupt


def test_whoever_gives_up_leaves_nothing_running() -> None:
    client = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        api(client).rows("select 1")
    assert client.calls[-1] == ("cancel", {"Id": "1"})


def test_a_workgroup_has_no_user_to_name() -> None:
    host = "wg.123456789012.us-east-2.redshift-serverless.amazonaws.com"
    client = Client({})
    api(client, replace(SPEC, host=host)).rows("select 1")
    assert client.calls[0][1] == {"Sql": "select 1", "WorkgroupName": "wg", "Database": "dev"}


@pytest.mark.parametrize("spec", [replace(SPEC, host="db.example"), replace(SPEC, database="")])
def test_an_address_that_names_no_cluster(spec: DatabaseSpec) -> None:
    with pytest.raises(PermanentTaskError, match="needs the clusterId"):
        api(Client(), spec)

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from taskrunner.data.databases.base import Database, Dialect
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.redshift.data_api import RedshiftDataApi
from taskrunner.data.redshift.sessions import connected, open_session
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import TaskObject
from taskrunner.testing.activity_environment import new_object, new_task

LOG = logging.getLogger("taskrunner.testing.redshift")


def database(**fields: str) -> TaskObject:
    task = new_task("SqlActivity", {}, new_object("Db", "RedshiftDatabase", dict(fields)))
    return task.object("Db")


def test_no_other_database_will_do(tmp_path: Path) -> None:
    settings = DataSettings(databases={"Db": f"sqlite:///{tmp_path}/x.db"})
    with (
        pytest.raises(PermanentTaskError, match="wanted Redshift, or a PostgreSQL that stands in"),
        open_session(database(), settings, LOG),
    ):
        pass


def test_redshift_cannot_read_a_folder(tmp_path: Path) -> None:
    settings = DataSettings(databases={"Db": "redshift://me:pw@127.0.0.1:1/dev"}, s3_root=tmp_path)
    with (
        pytest.raises(PermanentTaskError, match=r"s3:// is the folder.*--database Db=postgresql"),
        open_session(database(), settings, LOG),
    ):
        pass


def test_an_address_of_no_cluster_has_no_other_way() -> None:
    settings = DataSettings(databases={"Db": "redshift://me:pw@127.0.0.1:1/dev"})
    with (
        pytest.raises(TaskError, match=r"cannot connect: database 'Db' \(redshift at 127") as found,
        open_session(database(), settings, LOG),
    ):
        pass
    assert found.value.error_id == ErrorId.CONNECTION_FAILED


def test_the_data_api_may_be_the_first_way() -> None:
    host = "sales.c1.eu-west-1.redshift.amazonaws.com"
    url = f"jdbc:redshift://{host}:5439/dev?dataApi=true"
    with open_session(database(connectionString=url), DataSettings(), LOG) as session:
        assert not session.takes_keys
        assert session.literal("a\\b") == "'a\\\\b'"


class Unreachable(Database):
    """A cluster that no route leads to."""

    dialect = Dialect()
    reason = ErrorId.CONNECTION_FAILED
    closed = False

    def connect(self) -> None:
        raise TaskError("cannot connect", error_id=self.reason)

    def close(self) -> None:
        self.closed = True

    stream = find_table = insert = prepare_load = execute = commit = None  # type: ignore[assignment]


def test_a_cluster_that_does_not_answer_is_reached_by_its_data_api(
    caplog: pytest.LogCaptureFixture,
) -> None:
    host = "sales.c1.eu-west-1.redshift.amazonaws.com"
    spec = DatabaseSpec(id="Db", scheme="redshift", host=host, database="dev", username="me")
    unreachable = Unreachable(spec)
    other = connected(unreachable, LOG)
    other.close()
    assert isinstance(other, RedshiftDataApi)
    assert unreachable.closed
    assert "cannot connect; trying Redshift's Data API" in caplog.text


def test_whoever_is_refused_is_not_let_in_by_another_door() -> None:
    host = "sales.c1.eu-west-1.redshift.amazonaws.com"
    unreachable = Unreachable(DatabaseSpec(id="Db", scheme="redshift", host=host, database="dev"))
    unreachable.reason = ErrorId.ACCESS_DENIED
    with pytest.raises(TaskError, match="cannot connect"):
        connected(unreachable, LOG)

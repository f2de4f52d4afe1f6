"""A load counts once: whatever is repeated, superseded, or never answered."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from taskrunner.clock import SystemClock
from taskrunner.data.claims import Claim
from taskrunner.data.databases.base import Batch, Target
from taskrunner.data.databases.load_fence import TABLE, LoadFence
from taskrunner.data.formats.delimited import Csv
from taskrunner.data.nodes import FileNode, TableNode
from taskrunner.data.objects.store import open_store
from taskrunner.data.settings import DataSettings
from taskrunner.data.transfer import Transfer
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.testing.activity_environment import new_object, new_task
from tests.database_line import DatabaseLine, database_line
from tests.integration.test_databases import database, rows, run

FIRST = Claim(pipeline="df-1", instance="@Copy_é", run="r1", attempt=1, handout="h1")
SECOND = replace(FIRST, attempt=2, handout="h2")
ROWS: Batch = [[str(number), "x"] for number in range(1000)]


class Nobody:
    """Who is not told."""

    def progress(self, **fields: str | int) -> None:
        """Nothing."""

    def check_canceled(self) -> None:
        """Never."""


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path}/orders.db"
    else:
        found = request.getfixturevalue(f"{request.param}_database")
    run(found, "create table orders (id integer, a varchar(50))")
    return found


@pytest.fixture(params=["postgresql", "mariadb"])
def server_url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(f"{request.param}_database")
    run(found, "create table orders (id integer, a varchar(50))")
    return found


def load(
    url: str,
    claim: Claim,
    folder: Path,
    *,
    insert: str | None = None,
    monitor: Nobody | None = None,
) -> None:
    """A file into the table `orders`, as CopyActivity does it."""
    settings = DataSettings(s3_root=folder, databases={"Orders": url}, claim=claim)
    objects = open_store(replace(settings, claim=None))
    with objects.open_write("s3://b/in.csv") as writer:
        writer.write(Csv().encode(ROWS))
    described = new_object("Orders", "JdbcDatabase", {"connectionString": "jdbc:none://none/"})
    task = new_task("CopyActivity", {}, described)
    source = FileNode(id="In", uri="s3://b/in.csv", is_directory=False, format=Csv())
    target = TableNode(
        id="Out",
        database=task.object("Orders"),
        table="orders",
        schema=None,
        select_query=None,
        insert_query=insert,
        create_table_sql=None,
    )
    Transfer(objects, settings, monitor or Nobody(), file_name="x").copy(source, target)


def count(url: str) -> int:
    return int(rows(url, "select count(*) from orders")[0][0] or 0)


@pytest.mark.parametrize("insert", [None, "insert into orders (id, a) values (?, ?)"])
def test_a_run_is_loaded_once_and_a_rerun_again(
    url: str, tmp_path: Path, insert: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    for claim, wanted in (
        (FIRST, 1000),
        (FIRST, 1000),  # the same, given to another runner
        (SECOND, 1000),  # its verdict was lost
        (replace(SECOND, run="r2", attempt=3), 2000),  # a rerun
        (replace(FIRST, instance="@Copy_2027"), 3000),
    ):
        load(url, claim, tmp_path, insert=insert)
        assert count(url) == wanted
    assert caplog.text.count("Nothing is loaded: attempt 1 of this run has loaded") == 2
    seen = rows(
        url, f"select pipeline, instance, target, run, attempt from {TABLE} order by attempt"
    )
    assert seen[1] == ["df-1", "@Copy_\\xe9", "orders", "r2", "3"]


def test_a_superseded_attempt_loads_nothing(url: str, tmp_path: Path) -> None:
    load(url, replace(SECOND, attempt=7), tmp_path)
    with pytest.raises(PermanentTaskError, match="a later attempt has loaded, says"):
        load(url, SECOND, tmp_path)
    assert count(url) == 1000


@pytest.mark.parametrize(("slow", "quick"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_of_two_attempts_at_once_one_counts(
    server_url: str, tmp_path: Path, slow: Claim, quick: Claim
) -> None:
    class Meanwhile(Nobody):
        done = False

        def progress(self, **fields: str | int) -> None:
            if not self.done:
                self.done = True
                load(server_url, quick, tmp_path / "quick")

    with pytest.raises(TaskError, match=f"another attempt of .* was faster, says .*{TABLE}"):
        load(server_url, slow, tmp_path / "slow", monitor=Meanwhile())
    assert count(server_url) == 1000
    # And the next attempt learns it.
    load(server_url, replace(FIRST, attempt=3), tmp_path / "slow")
    assert count(server_url) == 1000


@pytest.fixture
def line(server_url: str) -> Iterator[DatabaseLine]:
    with database_line(server_url) as line:
        yield line


class LosesItsCommit(Nobody):
    """Breaks the line in the middle of the load: what commits then is the load itself."""

    def __init__(self, line: DatabaseLine) -> None:
        self._line = line

    def progress(self, **fields: str | int) -> None:
        self._line.loses_commit = not self._line.lost


def test_a_commit_whose_answer_is_lost_is_found_out(
    line: DatabaseLine, server_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(line.url, FIRST, tmp_path, monitor=LosesItsCommit(line))
    assert line.lost == 1
    assert count(server_url) == 1000
    assert "The load was committed, though no answer came" in caplog.text


def test_where_that_cannot_be_asked_the_next_attempt_loads_nothing(
    line: DatabaseLine, server_url: str, tmp_path: Path
) -> None:
    line.then_closed = True
    with pytest.raises(TaskError) as caught:
        load(line.url, FIRST, tmp_path, monitor=LosesItsCommit(line))
    assert caught.value.error_id == ErrorId.CONNECTION_FAILED
    load(server_url, SECOND, tmp_path)
    assert count(server_url) == 1000


def test_without_the_fence_such_a_load_counts_twice(
    line: DatabaseLine, server_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoadFence, "may_load", lambda _self: True)
    line.then_closed = True
    with pytest.raises(TaskError):
        load(line.url, FIRST, tmp_path, monitor=LosesItsCommit(line))
    load(server_url, SECOND, tmp_path)
    assert count(server_url) == 2000


def test_a_load_that_fails_is_not_noted(url: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nothere"):
        load(url, FIRST, tmp_path, insert="insert into nothere values (?, ?)")
    load(url, SECOND, tmp_path)
    assert count(url) == 1000


def test_without_the_service_saying_so_a_rerun_is_not_guessed(url: str, tmp_path: Path) -> None:
    load(url, replace(FIRST, run=""), tmp_path)
    with pytest.raises(PermanentTaskError, match="does not say whether this is a rerun; delete"):
        load(url, replace(SECOND, run=""), tmp_path)
    assert count(url) == 1000


def test_a_user_who_may_make_no_table_loads_and_is_told(
    postgresql_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgresql_database
    run(url, "create table orders (id integer, a varchar(50))")
    run(url, "revoke create on schema public from public, pg_database_owner, current_user")
    load(url, FIRST, tmp_path)
    assert count(url) == 1000
    assert f"is not kept from counting twice, since there is no usable table {TABLE}" in caplog.text


def test_old_rows_go(url: str, tmp_path: Path) -> None:
    class Later(SystemClock):
        def now(self):  # type: ignore[no-untyped-def]
            return super().now() + timedelta(days=91)

    load(url, FIRST, tmp_path)
    with database(url) as db:
        assert LoadFence(
            db, Target(table="orders"), replace(FIRST, instance="@b"), clock=Later()
        ).may_load()
        db.load(Target(table="orders"), [])
    assert rows(url, f"select instance from {TABLE}") == [["@b"]]


def test_a_load_that_does_not_note_itself_is_told(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database(url) as db:
        kind = type(db)
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(kind, "commit_load", kind.commit)  # as a plugin's own load may
    load(url, FIRST, tmp_path)
    assert "the driver did not note the load" in caplog.text

"""`taskrunner copy` with real servers, logins from the environment, and a look before."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taskrunner.cli import main
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.script_run import Script
from taskrunner.data.settings import DataSettings
from taskrunner.testing.activity_environment import new_object, new_task

TABLES = """
    create table t (a integer primary key, b varchar(20), c decimal(10,2));
    insert into t values (1, 'x', 1.50), (2, null, -0.25);
    create table u (a integer primary key, b varchar(20), c decimal(10,2));
"""


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database with tables, without its password."""
    found: str = request.getfixturevalue(f"{request.param}_database")
    task = new_task(
        "SqlActivity", {}, new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:none://n/"})
    )
    with open_database(task.object("Db"), DataSettings(databases={"Db": found})) as database:
        # Counts of rows are told by statistics only.
        analyze = "analyze t" if request.param == "postgresql" else "analyze table t"
        script = Script(text=f"{TABLES} {analyze}")
        database.read_script(script, ()).run(lambda *done: None)
    parts = urlsplit(found)
    monkeypatch.setenv("TASKRUNNER_SOURCE_PASSWORD", parts.password or "")
    monkeypatch.setenv("TASKRUNNER_TARGET_PASSWORD", parts.password or "")
    return parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port}").geturl()


def test_tables_and_queries(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.csv"
    assert main(["copy", f"{url}/t", str(out)]) == 0
    assert out.read_text() == "1,x,1.50\n2,\\N,-0.25\n"
    assert main(["copy", str(out), f"{url}?table=u"]) == 0
    assert main(["copy", f"{url}?query=select a, c from u order by a desc", "-"]) == 0
    told = capfd.readouterr()
    assert told.out == "2,-0.25\n1,1.50\n"
    assert "password" not in told.err
    # It is a transaction: nothing stays of a load that fails.
    out.write_text("3,y,1\n1,x,1.50\n")
    assert main(["copy", str(out), f"{url}/u"]) == 1
    assert main(["copy", f"{url}?query=select count(*) from u", "-"]) == 0
    assert capfd.readouterr().out == "2\n"


def test_a_dry_run_tells_types_and_size(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "--dry-run", f"{url}/t", f"{url}/u"]) == 0
    told = capsys.readouterr().out
    assert "size    about 2 rows, " in told
    assert "decimal(10,2)" in told or "numeric(10,2)" in told
    assert "  1        x  " in told
    assert main(["copy", "--dry-run", f"{url}?query=select a, b from t", "-"]) == 0
    told = capsys.readouterr().out
    assert "size    not known before it is read" in told
    assert "int" in told
    assert "varchar" in told


def test_a_wrong_password_fails_without_being_shown(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TASKRUNNER_SOURCE_PASSWORD", "wrong-password")
    assert main(["copy", f"{url}/t", "-"]) == 1
    told = capsys.readouterr()
    assert "SOURCE" in told.err
    assert "wrong-password" not in told.err

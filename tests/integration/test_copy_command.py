"""`taskrunner copy` with real servers, logins from the environment, and a look before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from taskrunner.cli import main
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.script_run import Script
from taskrunner.data.settings import DataSettings
from taskrunner.testing.activity_environment import new_object, new_task
from tests.integration.test_databases import rows, run

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
    # It is a transaction: nothing stays of a load that fails. The row is told, of whatever form.
    out.write_text("3,y,1\n1,x,1.50\n4,z,1\n")
    insert = "insert into u (a, b, c) values (?, ?, ?)"
    for more in ([], ["--insert", insert]):
        assert main(["copy", str(out), f"{url}/u", *more]) == 1
        error = capfd.readouterr().err
        assert f"{out}: row 2: cannot" in error
        assert "uplicate" in error
    out.write_text("3,y\n")
    assert main(["copy", str(out), f"{url}/u"]) == 1
    assert f"{out}: row 1: rows have 2 values, but table 'u' takes 3" in capfd.readouterr().err
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


#: Rows of a MiB each, and what a process may hold that copies them: a batch of them all is more.
WIDE_ROWS, MOST_MEMORY = 64, 90 << 20


def test_wide_rows_do_not_fill_the_memory(url: str, tmp_path: Path) -> None:
    """Both ways, by whole processes as the agent's are."""
    repeated = "repeat('x', 1 << 20)"
    kind, numbers = "text", f"generate_series(1, {WIDE_ROWS}) as n (n)"
    if url.startswith("mysql"):
        kind, numbers = "longtext", f"(select seq as n from seq_1_to_{WIDE_ROWS}) as n"
    database = url_with_password(url)
    run(
        database,
        f"create table doc (n integer, body {kind}); create table back (n integer, body {kind})",
    )
    run(database, f"insert into doc select n, {repeated} from {numbers}")
    file = tmp_path / "doc.csv"
    for source, target in ((f"{url}/doc", str(file)), (str(file), f"{url}/back")):
        most = memory_of("copy", "--quiet", source, target)
        assert most < MOST_MEMORY, (source, most >> 20)
    assert file.stat().st_size > WIDE_ROWS << 20
    file.unlink()
    query = "select count(*), min(length(body)) from back"
    assert rows(database, query) == [[str(WIDE_ROWS), str(1 << 20)]]


def memory_of(*words: str) -> int:
    """The most memory that the command held at any time, in bytes; it has to succeed."""
    # By a small process: what a new one is told to have held begins with what its parent holds.
    command = [sys.executable, "-m", "taskrunner", *words]
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURED, *command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) << 10


_MEASURED = """
import os, resource, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def url_with_password(url: str) -> str:
    parts = urlsplit(url)
    password = os.environ["TASKRUNNER_SOURCE_PASSWORD"]
    place = f"{parts.username}:{password}@{parts.hostname}:{parts.port}"
    return parts._replace(netloc=place).geturl()

"""SqlActivity and the servers' own clients: the same statements of the same script, and effects.

The oracle is the client itself: what psql and mariadb send to a real server is listened to, and
what they have left in it is compared with what SqlActivity leaves in a database beside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.registry import open_database
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.script_run import Script
from taskrunner.data.settings import DataSettings
from taskrunner.testing.activity_environment import new_object, new_task
from tests.chaos.scale import Chaos
from tests.chaos.sql_clients import by_mariadb, by_psql
from tests.chaos.sql_corpus import MariaDbCorpus, PostgreSqlCorpus
from tests.servers import mariadb_database, postgresql_database

_COMMENT = re.compile(r"/\*~.*?~\*/|(?:--|#) ?~[^\n]*?~(?=\n|$)", re.DOTALL)
#: So many go into a database: a catalog of many thousand objects slows everything down.
_AT_ONCE = 250
#: What a script may leave changed in its session.
_RESET = {"postgresql": "select 1", "mysql": "set sql_mode = default"}
_OBJECTS = {
    "postgresql": (
        (
            "select pg_get_functiondef(p.oid) from pg_proc p"
            " where pronamespace = 'public'::regnamespace order by proname"
        ),
        "select definition from pg_rules where schemaname = 'public' order by tablename",
    ),
    "mysql": (
        (
            "select routine_name, routine_definition, sql_mode from information_schema.routines"
            " where routine_schema = database() order by routine_name"
        ),
        (
            "select trigger_name, action_statement from information_schema.triggers"
            " where trigger_schema = database() order by trigger_name"
        ),
        (
            "select event_name, event_definition from information_schema.events"
            " where event_schema = database() order by event_name"
        ),
    ),
}


def test_scripts_mean_what_psql_has_them_mean(
    chaos: Chaos, postgresql_url: str, tmp_path: Path
) -> None:
    corpus = PostgreSqlCorpus(chaos.random)
    total = chaos.trials(150, 1000)
    for first in range(0, total, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, total))
        with (
            postgresql_database(postgresql_url) as theirs,
            postgresql_database(postgresql_url) as ours,
        ):
            scripts = [corpus.script(number) for number in numbers]
            _prepare((theirs, ours), "create table log_{} (i serial primary key, v text)", numbers)
            sent = by_psql(theirs, [script.client for script in scripts], tmp_path)
            _compare(sent, [script.ours for script in scripts], numbers, theirs, ours)
    chaos.found("SQL scripts", f"{total} scripts, as psql reads and runs them")


def test_scripts_mean_what_mariadb_has_them_mean(
    chaos: Chaos, mariadb_url: str, tmp_path: Path
) -> None:
    corpus = MariaDbCorpus(chaos.random)
    total = chaos.trials(150, 1000)
    for first in range(0, total, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, total))
        with mariadb_database(mariadb_url) as theirs, mariadb_database(mariadb_url) as ours:
            scripts = [corpus.script(number) for number in numbers]
            table = "create table log_{} (i integer auto_increment primary key, v text)"
            _prepare((theirs, ours), table, numbers)
            sent = by_mariadb(theirs, [script.client for script in scripts], tmp_path)
            _compare(sent, [script.ours for script in scripts], numbers, theirs, ours)
    chaos.found("SQL scripts", f"{total} scripts, as mariadb reads and runs them")


def _compare(
    sent: Sequence[Sequence[str]],
    scripts: Sequence[str],
    numbers: Sequence[int],
    theirs: str,
    ours: str,
) -> None:
    assert len(sent) == len(scripts)
    with _database(ours) as database:
        for statements, script in zip(sent, scripts, strict=True):
            _run(database, _RESET[theirs.partition(":")[0]])
            found = _run(database, script)
            assert found == [text for text in map(_told, statements) if text], script
    queries = [f"select {number}, i, v from log_{number}" for number in numbers]
    rows = " union all ".join(queries)
    logs = f"select n, v from (select 0 as n, 0 as i, '' as v union all {rows}) r order by n, i"
    kind = theirs.partition(":")[0]
    for query in (logs, *_OBJECTS[kind]):
        # The mariadb client leaves comments out, in bodies as well.
        assert _without_comments(_rows(ours, query)) == _without_comments(_rows(theirs, query))


def _run(database: Database, script: str) -> list[str]:
    """Run a script as SqlActivity does; its statements, as the server got them."""
    found: list[str] = []

    def done(statement: Statement, number: int, count: int) -> None:
        found.append(_told(statement.text))
        if statement.data is not None:
            found.append(_told(f"data: {statement.data}"))

    database.read_script(Script(text=script), ()).run(done)
    return found


def _told(statement: str) -> str:
    """A statement without comments, blanks, and semicolons behind it."""
    return "".join(_COMMENT.sub(" ", statement).split()).rstrip(";")


def _without_comments(rows: list[list[str | None]]) -> list[list[str | None]]:
    return [[value and _told(value) for value in row] for row in rows]


def _prepare(urls: Sequence[str], table: str, numbers: Sequence[int]) -> None:
    script = ";".join(table.format(number) for number in numbers)
    for url in urls:
        with _database(url) as database:
            _run(database, script)


def _rows(url: str, query: str) -> list[list[str | None]]:
    with _database(url) as database, database.stream(query) as result:
        return [list(row) for batch in result.batches for row in batch]


def _database(url: str) -> Database:
    described = new_object("Db", "JdbcDatabase", {"connectionString": "jdbc:none://none/"})
    task = new_task("SqlActivity", {}, described)
    return open_database(task.object("Db"), DataSettings(databases={"Db": url}))

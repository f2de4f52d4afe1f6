"""T21: a server that a definition names is shown no login but the definition's.

Wherever the agent's user has passwords and certificates for tools of his own, the database drivers
would find them, and show them to whom an author names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from taskrunner.data.databases.libpq import without_environment
from taskrunner.data.databases.lookup import AwsLookup
from taskrunner.data.databases.registry import open_database
from taskrunner.data.settings import DataSettings
from taskrunner.errors import TaskError
from taskrunner.testing import new_object, new_task
from tests.integration.test_rogue_mysql import Rogue
from tests.integration.tls import certificate
from tests.security.rogue_postgresql import RoguePostgreSql, rogue_postgresql

CANARY = "c4nary-of-the-agent"


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return str(path)


def service_file(path: Path) -> str:
    return write(path, f"[own]\npassword={CANARY}\nuser=u\n")


#: What the agent's user may have at home and in his environment: variables, made of his home.
SOURCES: Mapping[str, Callable[[Path], Mapping[str, str]]] = {
    "PGPASSWORD": lambda _home: {"PGPASSWORD": CANARY},
    "~/.pgpass": lambda home: {"": write(home / ".pgpass", f"*:*:*:*:{CANARY}\n")},
    "PGPASSFILE": lambda home: {"PGPASSFILE": write(home / "other", f"*:*:*:*:{CANARY}\n")},
    "PGSERVICE, ~": lambda home: {"PGSERVICE": "own", "": service_file(home / ".pg_service.conf")},
    "PGSERVICEFILE": lambda home: {
        "PGSERVICE": "own",
        "PGSERVICEFILE": service_file(home / "services"),
    },
    "PGSYSCONFDIR": lambda home: {
        "PGSERVICE": "own",
        "PGSYSCONFDIR": str(Path(service_file(home / "etc" / "pg_service.conf")).parent),
    },
    "PGOPTIONS": lambda _home: {"PGOPTIONS": f"-c search_path={CANARY}"},
    "PGUSER": lambda _home: {"PGUSER": CANARY},
    "PGDATABASE": lambda _home: {"PGDATABASE": CANARY},
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def connect_as_defined(port: int, scheme: str = "postgresql", login: str = "") -> str:
    """Run what a definition says that gives no password; what its author is told."""
    fields = {"connectionString": f"jdbc:{scheme}://127.0.0.1:{port}/{login}"}
    task = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields))
    with pytest.raises(TaskError) as told, open_database(task.object("Db"), DataSettings()):
        pytest.fail("it let us in")
    return str(told.value)


def connect_as_library(port: int) -> None:
    """The same by the client library alone."""
    with suppress(psycopg.Error):
        psycopg.connect(host="127.0.0.1", port=port, connect_timeout=10)


@pytest.mark.parametrize("source", SOURCES)
def test_a_server_gets_no_password_of_the_agents_own(
    source: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SOURCES[source](home).items():
        if name:
            monkeypatch.setenv(name, value)
    with rogue_postgresql() as server:
        told = connect_as_defined(server.port)

        assert b"user\0" in server.heard
        assert CANARY.encode() not in server.heard
        assert CANARY not in told
        connect_as_library(server.port)
        assert CANARY.encode() in server.heard, "this shows nothing"


@pytest.mark.parametrize("source", SOURCES)
def test_what_calls_itself_redshift_gets_a_password_of_nobodys(
    source: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Temporary credentials go to the addresses of AWS's clusters alone."""
    for name, value in SOURCES[source](home).items():
        if name:
            monkeypatch.setenv(name, value)
    with rogue_postgresql() as server:
        told = connect_as_defined(server.port, "redshift")
        assert server.heard == b""
        assert "there is no password" in told

        connect_as_defined(server.port, "redshift", login="db?user=me&password=mine")
        assert b"mine\0" in server.heard
        assert CANARY.encode() not in server.heard


@pytest.mark.parametrize("source", ["~/.postgresql", "PGSSLCERT"])
def test_a_server_is_shown_no_certificate_of_the_agents_own(
    source: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = certificate(home, "localhost")
    folder = home / ".postgresql"
    folder.mkdir()
    crt, key = own[0].rename(folder / "postgresql.crt"), own[1].rename(folder / "postgresql.key")
    key.chmod(0o600)
    if source == "PGSSLCERT":
        crt, key = crt.rename(home / "crt"), key.rename(home / "key")
        monkeypatch.setenv("PGSSLCERT", str(crt))
        monkeypatch.setenv("PGSSLKEY", str(key))
    with rogue_postgresql(certificate=(crt, key)) as server:
        connect_as_defined(server.port)

        assert b"user\0" in server.heard
        assert server.shown is None
        connect_as_library(server.port)
        assert server.shown is not None, "this shows nothing"


def test_a_server_gets_no_ticket_of_kerberos(home: Path) -> None:
    with rogue_postgresql(kerberos=True) as server:
        told = connect_as_defined(server.port)

        assert server.heard.endswith(b"\0\0")  # the client's parameters, and nothing after them
    assert "GSS" in told


def test_no_variable_leads_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rogue_postgresql() as named, rogue_postgresql() as other:
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")
        monkeypatch.setenv("PGHOST", "127.0.0.1")
        monkeypatch.setenv("PGPORT", str(other.port))
        connect_as_defined(named.port)

        assert (bool(named.heard), other.heard) == (True, b"")


def test_what_the_definition_gives_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", CANARY)

    def ask(server: RoguePostgreSql) -> None:
        connect_as_defined(server.port, login="db?user=me&password=mine")

    with rogue_postgresql() as server:
        ask(server)
        assert b"mine\0" in server.heard


def test_the_rules_of_the_host_hold(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGREQUIREAUTH", "scram-sha-256")
    with rogue_postgresql() as server:
        told = connect_as_defined(server.port, login="db?user=me&password=mine")

        assert b"mine" not in server.heard
    assert "scram-sha-256" in told


def test_the_environment_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", CANARY)
    with without_environment():
        assert "PGPASSWORD" not in os.environ
    assert os.environ["PGPASSWORD"] == CANARY


@pytest.mark.parametrize("kind", ["RdsDatabase", "RedshiftDatabase"])
@pytest.mark.parametrize(
    "region",
    [
        "evil.example",
        "evil.example/#",
        "evil.example:443/?",
        "x@evil.example",
        "us-east-1.evil.example",
        "..",
        "a b",
        "é",
    ],
)
def test_no_region_sends_a_signed_call_elsewhere(kind: str, region: str) -> None:
    """AWS's names of hosts are made of it, and the call is signed with the agent's keys."""
    look_up = AwsLookup().rds if kind == "RdsDatabase" else AwsLookup().redshift

    with pytest.raises(TaskError, match="region"):
        look_up("name", region)


def heard_by_mysql(folder: Path, login: str) -> bytes:
    server = Rogue(folder / "none", polite_queries=9)
    with suppress(TaskError):
        fields = {"connectionString": f"jdbc:mysql://127.0.0.1:{server.port}/db?{login}"}
        task = new_task("SqlActivity", {}, new_object("Db", "JdbcDatabase", fields))
        with open_database(task.object("Db"), DataSettings()):
            pass
    server.close()
    return server.heard


def test_a_mysql_server_gets_none_either(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = heard_by_mysql(home, "user=me")
    write(home / ".my.cnf", f"[client]\nuser={CANARY}\npassword={CANARY}\n")
    write(home / ".mylogin.cnf", CANARY)
    monkeypatch.setenv("MYSQL_PWD", CANARY)
    monkeypatch.setenv("MYSQL_TEST_LOGIN_FILE", str(home / ".mylogin.cnf"))

    assert heard_by_mysql(home, "user=me") == without
    assert heard_by_mysql(home, f"user=me&password={CANARY}") != without

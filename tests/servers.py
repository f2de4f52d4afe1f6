"""Real servers for the tests: each on a free port and in a folder of its own, gone at the end.

Every starter is a context manager that yields a URL. Whatever ends the block (a failed start,
Ctrl-C, SIGTERM turned into KeyboardInterrupt) ends the server and removes its folder; if the test
process itself is killed, the kernel sends the server a signal: its stop signal, or `abandoned`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import shutil
import signal
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql
from psycopg import sql

from tests.server_process import Account, ServerMissing, run, serving, temporary_folder

__all__ = [
    "ServerMissing",
    "dynalite",
    "mariadb",
    "mariadb_database",
    "moto",
    "postgresql",
    "postgresql_database",
]

USER = "taskrunner"
PASSWORD = "right-password"
DATABASE = "taskrunner"


#: What no test's server needs that is shared and thrown away: that anything outlives it.
_HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server with scram passwords; yields the URL of an ordinary role's database."""
    account = Account.unprivileged("postgres")
    admin_password = secrets.token_hex(16)
    with temporary_folder("pg", account) as folder:
        postgresql_folder(folder, account, admin_password)

        def command(port: int) -> list[str]:
            return postgresql_argv(folder, port, _HASTY)

        def prepare(port: int) -> None:
            postgresql_prepare(port, admin_password)

        with serving(command, prepare, folder, account, stop=signal.SIGINT) as port:
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}"


def postgresql_folder(folder: Path, account: Account, admin_password: str, *more: str) -> None:
    """Make the files of a new server; `more` are options of initdb."""
    password_file = folder / "password"
    password_file.write_text(admin_password)
    account.own(password_file)
    run(
        [
            str(_postgresql_programs() / "initdb"),
            *("-D", str(folder / "data"), "-U", "postgres", "-E", "UTF8", "-A", "scram-sha-256"),
            *("--no-locale", "--no-sync", f"--pwfile={password_file}", *more),
        ],
        folder,
        account,
    )


def postgresql_argv(folder: Path, port: int, more: Mapping[str, str]) -> list[str]:
    """How a server of such a folder is started; `more` are settings."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        # Its owner cannot end it, to drop a database, and no test's tables need it.
        "autovacuum": "off",
        "max_connections": "200",
        **more,
    }
    options = [part for item in settings.items() for part in ("-c", "=".join(item))]
    return [str(_postgresql_programs() / "postgres"), "-D", str(folder / "data"), *options]


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB server (utf8mb4, local_infile on); yields the URL of a user's database."""
    server = _program("mariadbd", "mysqld", package="mariadb-server")
    install = _program("mariadb-install-db", "mysql_install_db", package="mariadb-server")
    account = Account.unprivileged("mysql")
    with temporary_folder("my", account) as folder:
        data = folder / "data"
        common = ["--no-defaults", f"--datadir={data}"]
        run(
            [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
            folder,
            account,
        )
        # Without the anonymous users that an installation makes, a wrong password is refused.
        statements = (
            f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%';\n"
            f"CREATE DATABASE {DATABASE};\n"
            "DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\n"
            "FLUSH PRIVILEGES;\n"
        )
        init_file = folder / "init.sql"
        init_file.write_text(statements)
        account.own(init_file)

        def command(port: int) -> list[str]:
            return [
                server,
                *common,
                "--bind-address=127.0.0.1",
                f"--port={port}",
                f"--socket={folder / 's'}",
                f"--pid-file={folder / 'pid'}",
                f"--tmpdir={folder}",
                f"--init-file={init_file}",
                "--skip-name-resolve",
                "--skip-log-bin",
                "--character-set-server=utf8mb4",
                "--local-infile=1",
                "--max-allowed-packet=64M",
                "--innodb-flush-log-at-trx-commit=0",
                "--innodb-doublewrite=0",
                "--innodb-buffer-pool-size=256M",
            ]

        def prepare(port: int) -> None:
            _mysql(f"mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}").close()

        with serving(
            *(command, prepare, folder, account),
            stop=signal.SIGTERM,
            # Shutting down while its folder is removed it may never end.
            abandoned=signal.SIGKILL,
        ) as port:
            yield f"mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}"


@contextmanager
def moto() -> Iterator[str]:
    """A moto server: S3, SNS, SQS and the rest of AWS over HTTP; yields its endpoint URL."""

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    def prepare(port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/", timeout=5) as reply:
            reply.read()

    account = Account()
    with (
        temporary_folder("moto", account) as folder,
        serving(command, prepare, folder, account, stop=signal.SIGTERM) as port,
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def dynalite() -> Iterator[str]:
    """A DynamoDB that counts capacity units as AWS's does; yields its endpoint URL."""
    program = Path(__file__).with_name("dynalite") / "node_modules" / "dynalite" / "cli.js"
    node = shutil.which("node")
    if node is None or not program.exists():
        raise ServerMissing("dynalite is not installed (scripts/install-servers dynalite)")

    def command(port: int) -> list[str]:
        return [node, str(program), "--port", str(port), "--createTableMs", "0"]

    def prepare(port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as reply:
            reply.read()

    account = Account()
    with (
        temporary_folder("dynalite", account) as folder,
        serving(command, prepare, folder, account, stop=signal.SIGTERM) as port,
    ):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def postgresql_database(server_url: str) -> Iterator[str]:
    """A fresh empty database on a server that runs; dropped at the end, connections cut."""
    name = f"t_{secrets.token_hex(6)}"
    _postgresql_run(server_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield _with_database(server_url, name)
    finally:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        _postgresql_run(server_url, drop)


@contextmanager
def mariadb_database(server_url: str) -> Iterator[str]:
    """A fresh empty database on a server that runs; dropped at the end."""
    name = f"t_{secrets.token_hex(6)}"
    with closing(_mysql(server_url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield _with_database(server_url, name)
    finally:
        with closing(_mysql(server_url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")


def _postgresql_programs() -> Path:
    """The folder that holds initdb and postgres: the newest of Debian's, else the one in PATH."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True
    )
    in_path = shutil.which("initdb")
    if in_path is not None:
        folders.append(Path(in_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise ServerMissing("PostgreSQL's server is not installed (package postgresql)")


def _program(*names: str, package: str) -> str:
    # Daemons stand in sbin, which an ordinary user's PATH leaves out.
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    for name in names:
        found = shutil.which(name, path=path)
        if found is not None:
            return found
    raise ServerMissing(f"{names[0]} is not installed (package {package})")


def postgresql_prepare(port: int, admin_password: str) -> None:
    """Make the ordinary role and its database; raises while the server does not answer yet."""
    role = sql.Identifier(USER)
    with psycopg.connect(
        host="127.0.0.1",
        port=port,
        user="postgres",
        password=admin_password,
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
    ) as connection:
        secret = sql.Literal(_scram_secret(PASSWORD))
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN CREATEDB PASSWORD {}").format(role, secret)
        )
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), role)
        )


def _scram_secret(password: str) -> str:
    """What PostgreSQL keeps of a password, with one round of hashing where it takes 4,096.

    Tests connect some thousand times, and each side hashes at each of them.
    """
    salt, rounds = secrets.token_bytes(16), 1
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    client, server = (
        hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key")
    )
    stored = hashlib.sha256(client).digest()
    salt_, stored_, server_ = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${rounds}:{salt_}${stored_}:{server_}"


def postgresql_reached(url: str) -> None:
    """Raises what psycopg raises while the server of this URL does not answer."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        connection.execute("SELECT 1")


def _postgresql_run(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        connection.execute(statement)


def _mysql(url: str) -> pymysql.Connection[pymysql.cursors.Cursor]:
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username,
        password=parts.password or "",
        database=parts.path.lstrip("/"),
        connect_timeout=10,
        autocommit=True,
        ssl_disabled=True,  # else all authorities of the system are loaded, 30 ms each time
    )


def _with_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()

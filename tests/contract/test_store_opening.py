"""Opening a store: what makes it durable and private, and what is said when it cannot be."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from taskrunner.errors import ConfigError, StoreError, StoreLost
from taskrunner.service.store.database import Store
from taskrunner.service.store.sqlite_backend import BUSY_TIMEOUT_S
from taskrunner.testing import FakeClock
from tests.contract.stores import OPENING


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def test_sqlite_is_opened_so_that_no_commit_is_lost(tmp_path: Path) -> None:
    store = Store(url(tmp_path / "deep" / "down" / "s.db"))
    with store.write() as conn:
        pragmas = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    store.close()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


class Patience(FakeClock):
    """A clock on which something happens while somebody waits."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self._meanwhile()
        return super().wait(event, timeout_s)


def test_a_new_file_that_another_process_writes_to_is_waited_for(tmp_path: Path) -> None:
    """SQLite's own waiting does not help there: the switch to its write-ahead log fails at once."""
    path = tmp_path / "s.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        store = Store(url(path), clock=Patience(lambda: other.execute("COMMIT")))
        with store.read() as conn:
            assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        store.close()


def test_but_not_for_ever(tmp_path: Path) -> None:
    path, clock = tmp_path / "s.db", Patience(lambda: None)
    began = clock.monotonic()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked"):
            Store(url(path), clock=clock)
    assert BUSY_TIMEOUT_S <= clock.monotonic() - began < BUSY_TIMEOUT_S + 1


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(url(tmp_path / "s.db"))
        with store.write() as conn:
            conn.exec_driver_sql("CREATE TABLE t (x)")
            files = list(tmp_path.iterdir())
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        store.close()
    finally:
        os.umask(before)


def broken(path: Path) -> None:
    path.write_text("these are not the bytes of a database, whatever the name says\n" * 50)


def cut(path: Path) -> None:
    Store(url(path)).close()
    with path.open("r+b") as file:
        file.truncate(5000)


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE recipes (title TEXT)")


def newer(path: Path) -> None:
    Store(url(path)).close()
    with closing(sqlite3.connect(path)) as own:
        own.execute("UPDATE alembic_version SET version_num = '9999'")
        own.commit()


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (broken, "file is not a database"),
        (cut, "malformed"),
        (foreign, "belongs to another program: it holds tables such as recipes"),
        (newer, "made by another version of this program"),
        (folder, "unable to open database file"),
    ],
)
def test_a_file_that_is_no_store_is_told_from_one_that_is(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "s.db"
    damage(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError, match=says) as error:
        Store(url(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    if damage in {broken, foreign}:
        assert path.read_bytes()[100:] == before[100:], "somebody else's file was touched"


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot make the file .*s\.db: "):
        Store(url(tmp_path / "file" / "s.db"))


def test_a_file_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    Store(url(path)).close()
    path.chmod(0o400)
    opening = f"from taskrunner.service.store.database import Store; Store({url(path)!r})"
    # Root may write everything, but for one without that right.
    under = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if os.geteuid() == 0 and shutil.which(under[0]) is None:
        pytest.skip("root writes everything, and there is no `setpriv` (package util-linux)")
    done = subprocess.run(
        [*(under if os.geteuid() == 0 else ()), sys.executable, "-c", opening],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("taskrunner.errors.StoreError: ")
    assert "readonly database" in last


def test_what_the_driver_itself_refuses_is_told_alike(tmp_path: Path) -> None:
    """The counting of changes goes past SQLAlchemy; root may write any file, but not this."""
    path = tmp_path / "s.db"
    Store(url(path)).close()
    refuse = "BEGIN SELECT RAISE(ABORT, 'not today'); END"
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"CREATE TRIGGER refuse BEFORE UPDATE ON store_identity {refuse}")
    with pytest.raises(StoreError, match=r"s\.db cannot be used: not today"):
        Store(url(path))


def test_a_store_that_breaks_while_it_is_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    Store(url(path)).close()
    store = Store(url(path))
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.look()  # nothing is wrong with a log that SQLite itself has emptied
    with path.open("r+b") as file:  # the same file, with its first page and its size
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(StoreLost, match=r"s\.db cannot be used: .*malformed"), store.read() as conn:
        conn.exec_driver_sql("SELECT * FROM instances").all()
    with pytest.raises(StoreLost, match="malformed"), store.write() as conn:
        pytest.fail("a store that is lost was used again")
    store.close()


def test_a_wrong_statement_is_not_the_databases_fault(tmp_path: Path) -> None:
    store = Store(url(tmp_path / "s.db"))
    insert = "INSERT INTO pauses (pipeline_id) VALUES ('p')"
    with pytest.raises(sa.exc.IntegrityError), store.write() as conn:
        conn.exec_driver_sql(insert)
    store.close()


@pytest.mark.parametrize(
    "wrong",
    [
        "nonsense",
        "mysql://u:s3cret@h/d",
        "oracle://u:s3cret@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql+nodriver://u:s3cret@h/d",
        "postgresql://u:s3cret@h:port/d",
    ],
)
def test_a_url_that_cannot_be_is_told_without_its_password(wrong: str) -> None:
    with pytest.raises(ConfigError) as error:
        Store(wrong)
    assert "s3cret" not in str(error.value)
    assert "database" in str(error.value) or "SQLite" in str(error.value)


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"at 127\.0\.0\.1:1 cannot be used") as error:
        Store("postgresql://u:s3cret@127.0.0.1:1/d", opening=OPENING)
    assert "s3cret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.external_service
def test_a_wrong_password_is_told_without_it(postgresql_database: str) -> None:
    wrong = make_url(postgresql_database).set(password="s3cret")
    with pytest.raises(StoreError, match="password authentication failed") as error:
        Store(wrong.render_as_string(hide_password=False), opening=OPENING)
    assert "s3cret" not in str(error.value)


@pytest.mark.external_service
def test_a_database_shared_with_others_is_fine_unless_names_collide(
    postgresql_database: str,
) -> None:
    engine = sa.create_engine(make_url(postgresql_database).set(drivername="postgresql+psycopg"))
    with engine.begin() as conn:
        conn.execute(sa.text("CREATE TABLE instances (theirs text)"))
    with pytest.raises(StoreError, match="another program: it holds tables such as instances"):
        Store(postgresql_database, opening=OPENING)
    with engine.begin() as conn:
        conn.execute(sa.text("ALTER TABLE instances RENAME TO recipes"))
    engine.dispose()
    Store(postgresql_database, opening=OPENING).close()

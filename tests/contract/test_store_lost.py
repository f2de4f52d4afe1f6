"""A store that somebody takes away, exchanges or damages while it is open, of either kind."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from taskrunner.errors import ConfigError, StoreError, StoreInUse, StoreLost, StoreTrouble
from taskrunner.service.store.backend import Opening
from taskrunner.service.store.database import Store
from taskrunner.service.store.file_guard import FileGuard
from taskrunner.service.store.tables import pauses
from taskrunner.testing.service import TEST_KEY
from tests.contract.stores import OPENING
from tests.integration.agent_harness import wait_for

CREATE = Opening(create=True, store_key=TEST_KEY)
RESTORED = Opening(restored=True, store_key=TEST_KEY)


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def add(store: Store, name: str) -> None:
    with store.write() as conn:
        conn.exec_driver_sql(
            "INSERT INTO pauses (pipeline_id, object_id, paused_at, paused_by) "
            f"VALUES ('p', '{name}', '2026-01-01', 'somebody')"
        )


def names(store: Store) -> list[str]:
    with store.read() as conn:
        return list(conn.execute(sa.select(pauses.c.object_id).order_by("object_id")).scalars())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder / "s.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(url(path), opening=OPENING)
    for number in range(3):
        add(store, f"r{number}")
    store.look()
    yield store
    store.close()


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


# -- SQLite: taken away -----------------------------------------------------------------------


def delete(path: Path) -> None:
    path.unlink()


def delete_all(path: Path) -> None:
    for file in path.parent.glob("s.db*"):
        file.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def move_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


def delete_log(path: Path) -> None:
    beside(path, "-wal").unlink()


def replace_log(path: Path) -> None:
    replace(beside(path, "-wal"))


def delete_index(path: Path) -> None:
    beside(path, "-shm").unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (delete, r"s\.db is gone: it was deleted or moved while the service ran"),
        (delete_all, r"s\.db is gone"),
        (move, r"s\.db is gone"),
        (move_folder, r"s\.db is gone"),
        (replace, r"s\.db was replaced by another file while the service ran"),
        (delete_log, r"s\.db-wal, a part of the service's database, is gone"),
        (replace_log, r"s\.db-wal, a part of the service's database, was replaced"),
        (delete_index, r"s\.db-shm, a part of the service's database, is gone"),
    ],
)
def test_a_file_that_is_not_there_any_more_ends_all_use_at_once(
    store: Store, path: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(path)
    with capture_logs() as log:
        for use in (store.read, store.write):
            with pytest.raises(StoreLost, match=says), use():
                pytest.fail("it was used")
        with pytest.raises(StoreLost, match=says):
            store.look()
    assert [told["log_level"] for told in log] == ["error"]


def test_a_commit_into_a_file_that_just_went_is_not_said_to_be_kept(
    store: Store, path: Path
) -> None:
    def change() -> None:
        with store.write() as conn:
            conn.exec_driver_sql("DELETE FROM pauses")
            path.unlink()

    with pytest.raises(StoreLost, match="is gone"):
        change()


@pytest.mark.parametrize("size", [0, 1, 4096, 2 * 4096 + 17])
def test_a_file_that_is_cut_short_is_lost(store: Store, path: Path, size: int) -> None:
    os.truncate(path, size)
    with pytest.raises(StoreLost, match=rf"s\.db was cut short .*: it has {size} bytes of"):
        store.look()


@pytest.mark.parametrize("size", [0, 32, 4096 + 24 + 32])
def test_a_log_that_is_cut_short_is_lost(store: Store, path: Path, size: int) -> None:
    os.truncate(beside(path, "-wal"), size)
    with pytest.raises(StoreLost, match=rf"s\.db-wal.* was cut short .*: it has {size} bytes of"):
        store.look()


def test_what_sqlite_itself_makes_smaller_is_whole(store: Store, path: Path) -> None:
    with store.write() as conn:
        conn.exec_driver_sql("CREATE TABLE big (x)")
        conn.exec_driver_sql("INSERT INTO big VALUES (zeroblob(400000))")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.look()
        before = path.stat().st_size
        other.execute("DROP TABLE big")
        other.execute("VACUUM")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < before
    store.look()
    assert names(store) == ["r0", "r1", "r2"]


def test_another_stores_rows_under_the_same_name_are_seen(store: Store, path: Path) -> None:
    """Such as by `.restore`, which writes into the very same file."""
    with closing(sqlite3.connect(path.with_name("other"))) as other:
        with closing(sqlite3.connect(path)) as here:
            here.backup(other)
        other.execute("UPDATE store_identity SET store_id = 'another'")
        other.commit()
        with closing(sqlite3.connect(path)) as here:
            other.backup(here)
    with pytest.raises(StoreLost, match="holds another store than before"):
        add(store, "more")


def ended(path: Path, damage: Callable[[Path], None]) -> None:
    """What comes of a process that had the store open when it was damaged."""
    store = Store(url(path), opening=OPENING)
    add(store, "r0")
    damage(path)
    with pytest.raises(StoreLost):
        store.look()
    store.close()
    del store
    gc.collect()  # as at the end of a process: it closes what nobody holds


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def all_replaced(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        replace(beside(path, suffix))


@pytest.mark.parametrize("damage", [half, emptied, all_replaced])
def test_nothing_of_a_lost_store_is_touched_any_more(
    path: Path, damage: Callable[[Path], None]
) -> None:
    """SQLite's last connection would move the log into what is there, and remove it."""
    kept: list[bytes] = []

    def damage_and_look(path: Path) -> None:
        damage(path)
        kept.extend(beside(path, suffix).read_bytes() for suffix in ("", "-wal"))

    ended(path, damage_and_look)
    assert [beside(path, suffix).read_bytes() for suffix in ("", "-wal")] == kept


@pytest.mark.parametrize("damage", [delete_log, replace_log])
def test_a_store_that_only_lost_its_log_is_brought_into_its_file(
    path: Path, damage: Callable[[Path], None]
) -> None:
    """The log is still held open: nothing that was answered is lost."""
    ended(path, damage)
    assert not beside(path, "-wal").exists()
    with closing(Store(url(path), opening=OPENING)) as again:
        assert names(again) == ["r0"]


@contextmanager
def undefended(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(FileGuard, "check", lambda _self: None)
        patch.setattr(FileGuard, "has_shrunk", lambda _self: False)
        patch.setattr(FileGuard, "take_sizes", lambda _self: None)
        yield


@pytest.mark.parametrize("damage", [delete, move, delete_log])
def test_without_looking_all_is_answered_and_gone(
    store: Store, path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    names(store)  # so that who reads has the file open, as who writes has
    with undefended(monkeypatch):
        damage(path)
        add(store, "answered")
        assert "answered" in names(store)
        store.look()
        assert "answered" not in after_a_kill(path)
    with pytest.raises(StoreLost):
        store.look()


def after_a_kill(path: Path) -> list[str]:
    """What a restart would find under the name."""
    place = path.parent.parent / "found"
    place.mkdir()
    for file in (path, beside(path, "-wal")):
        if file.exists():
            shutil.copy(file, place)
    with closing(sqlite3.connect(place / path.name)) as found:
        if not found.execute("SELECT 1 FROM sqlite_master WHERE name = 'pauses'").fetchone():
            return []
        return [name for (name,) in found.execute("SELECT object_id FROM pauses")]


# -- SQLite: one owner ------------------------------------------------------------------------


def test_a_second_owner_is_told_of_the_first(store: Store, path: Path) -> None:
    for name in (path, path.parent / "." / path.name):
        with pytest.raises(StoreInUse, match=rf"in use by process {os.getpid()} \("):
            Store(url(name), opening=OPENING)
    add(store, "r3")
    store.close()
    with closing(Store(url(path), opening=OPENING)) as again:
        assert names(again) == ["r0", "r1", "r2", "r3"]


def test_a_link_does_not_hide_the_owner(store: Store, path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(StoreInUse):
        Store(url(link), opening=OPENING)
    assert names(store)


def test_without_the_lock_there_are_two_owners(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with closing(Store(url(path), opening=OPENING)) as second:
        add(second, "theirs")
    assert "theirs" in names(store)


def test_an_owner_whose_state_file_goes_takes_it_again_or_ends(store: Store, path: Path) -> None:
    state = beside(path, "-state")
    state.unlink()
    with capture_logs() as log:
        store.look()
    (told,) = log
    assert told["path"] == str(state)
    with pytest.raises(StoreInUse):
        Store(url(path), opening=OPENING)
    state.unlink()
    with state.open("wb") as thief:
        fcntl.flock(thief, fcntl.LOCK_EX)
        with pytest.raises(StoreLost, match="state was removed while the service ran, and "):
            store.look()


def test_a_state_file_that_says_nothing_is_made_anew(store: Store, path: Path) -> None:
    store.close()
    for text in ("", "x", "12\n{", "0" * 20 + "\n[]\n", "0" * 20 + '\n{"store": 7}\n'):
        beside(path, "-state").write_text(text)
        with closing(Store(url(path), opening=OPENING)) as again:
            assert not again.is_new
            assert names(again) == ["r0", "r1", "r2"]


# -- SQLite: at the opening -------------------------------------------------------------------


def test_a_first_store_is_new_and_a_missing_one_is_not(store: Store, path: Path) -> None:
    assert store.is_new
    store.close()
    path.unlink()
    with pytest.raises(StoreLost, match=r"s\.db is gone, and there was one .*--create"):
        Store(url(path), opening=OPENING)
    assert not path.exists()
    with closing(Store(url(path), opening=CREATE)) as made:
        assert made.is_new
        assert names(made) == []


def test_older_than_what_was_answered_for_is_refused(store: Store, path: Path) -> None:
    store.close()
    backup = path.with_name("backup")
    shutil.copy(path, backup)
    with closing(Store(url(path), opening=OPENING)) as later:
        add(later, "r3")
        add(later, "r4")
    shutil.copy(backup, path)
    # Two, and the openings in between, which count as well.
    with pytest.raises(StoreLost, match="lacks the last 3 changes of the one that was here"):
        Store(url(path), opening=OPENING)
    with (
        capture_logs() as log,
        closing(Store(url(path), opening=RESTORED)) as back,
    ):
        assert names(back) == ["r0", "r1", "r2"]
    assert [told["log_level"] for told in log] == ["warning"]
    Store(url(path), opening=OPENING).close()


def test_what_need_not_be_asked_for_is_refused(store: Store, path: Path, tmp_path: Path) -> None:
    """So that a flag that was needed once does not stay for ever."""
    store.close()
    for opening in (
        CREATE,
        RESTORED,
    ):
        with pytest.raises(ConfigError, match="start without it"):
            Store(url(path), opening=opening)
    with pytest.raises(ConfigError, match="there is no store at"):
        Store(url(tmp_path / "none.db"), opening=RESTORED)
    with closing(Store(url(path), opening=OPENING)) as again:
        assert names(again) == ["r0", "r1", "r2"]


def test_a_program_that_fails_to_start_leaves_no_state_file(tmp_path: Path) -> None:
    foreign = tmp_path / "f.db"
    with closing(sqlite3.connect(foreign)) as other:
        other.execute("CREATE TABLE recipes (title TEXT)")
    with pytest.raises(StoreError, match="belongs to another program"):
        Store(url(foreign), opening=OPENING)
    assert [file.name for file in tmp_path.iterdir()] == ["f.db"]


def test_what_commits_count_and_what_does_not(store: Store, path: Path) -> None:
    def counted() -> int:
        return int(beside(path, "-state").read_text()[:20])

    def fail() -> None:
        with store.write() as conn:
            conn.exec_driver_sql("DELETE FROM pauses")
            raise KeyError

    before = counted()
    with store.write():
        pass
    with store.read() as conn:
        conn.exec_driver_sql("SELECT 1")
    with pytest.raises(KeyError):
        fail()
    assert counted() == before
    add(store, "r3")
    assert counted() == before + 1
    with store.read() as conn:
        query = "SELECT changes FROM store_identity"
        assert conn.exec_driver_sql(query).scalar() == before + 1


@pytest.fixture
def killed(store: Store, path: Path, tmp_path: Path) -> Path:
    """A store as a killed service leaves it: changes are in the log only."""
    place = tmp_path / "killed"
    place.mkdir(mode=0o700)
    for suffix in ("", "-wal", "-state"):
        shutil.copy(beside(path, suffix), place)
    return place / path.name


def test_a_killed_owners_store_is_taken_up_as_it_is(killed: Path) -> None:
    with capture_logs() as log, closing(Store(url(killed), opening=OPENING)) as again:
        assert names(again) == ["r0", "r1", "r2"]
    assert log == []


def none(path: Path) -> None:
    path.unlink()
    without_log(path)


def empty(path: Path) -> None:
    os.truncate(path, 0)
    without_log(path)


def only_its_log(path: Path) -> None:
    path.unlink()
    beside(path, "-state").unlink()


def without_log(path: Path) -> None:
    beside(path, "-wal").unlink()


def a_copy_without_log(path: Path) -> None:
    beside(path, "-state").unlink()
    without_log(path)


def another(path: Path) -> None:
    none(path)
    other = path.with_name("other.db")
    Store(url(other), opening=OPENING).close()
    other.rename(path)


def from_before_stores_had_ids(path: Path) -> None:
    another(path)
    with closing(sqlite3.connect(path)) as store:
        store.execute("DELETE FROM store_identity")
        store.commit()


@pytest.mark.parametrize(
    ("damage", "says", "way_out"),
    [
        (none, r"s\.db is gone, and there was one", CREATE),
        (empty, r"s\.db is empty, and there was one", CREATE),
        (only_its_log, r"s\.db is gone, and .*s\.db-wal is left of it", None),
        (
            without_log,
            r"lacks the last 3 changes .* without its -wal",
            RESTORED,
        ),
        (
            a_copy_without_log,
            "a copy of one in use, without its -wal",
            RESTORED,
        ),
        (another, "is not the one that was here", RESTORED),
        (
            from_before_stores_had_ids,
            "is not the one that was here",
            RESTORED,
        ),
    ],
)
def test_what_is_not_the_store_that_was_here_is_refused_until_it_is_asked_for(
    killed: Path, damage: Callable[[Path], None], says: str, way_out: Opening | None
) -> None:
    damage(killed)
    for _ in range(2):
        with pytest.raises(StoreLost, match=says):
            Store(url(killed), opening=OPENING)
    if way_out is None:
        return
    with closing(Store(url(killed), opening=way_out)) as store:
        add(store, "more")
    with closing(Store(url(killed), opening=OPENING)) as store:
        assert names(store) == ["more"]


def test_a_new_store_does_not_begin_on_the_log_of_an_old_one(killed: Path) -> None:
    killed.unlink()
    with pytest.raises(StoreLost, match=r"s\.db-wal is left of it"):
        Store(url(killed), opening=CREATE)
    assert beside(killed, "-wal").stat().st_size


@pytest.mark.parametrize("means", ["backup", "vacuum", "files"])
def test_a_whole_copy_is_taken_without_a_word(killed: Path, tmp_path: Path, means: str) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    copy = place / "s.db"
    if means == "files":
        shutil.copy(killed, place)
        shutil.copy(beside(killed, "-wal"), place)
    else:
        with closing(sqlite3.connect(killed)) as store:
            if means == "vacuum":
                store.execute("VACUUM INTO ?", [str(copy)])
            else:
                with closing(sqlite3.connect(copy)) as other:
                    store.backup(other)
    with closing(Store(url(copy), opening=OPENING)) as again:
        assert names(again) == ["r0", "r1", "r2"]


def test_so_is_the_file_of_a_store_that_was_closed(
    store: Store, path: Path, tmp_path: Path
) -> None:
    store.close()
    (tmp_path / "place").mkdir(mode=0o700)
    shutil.copy(path, tmp_path / "place")
    with closing(Store(url(tmp_path / "place" / path.name), opening=OPENING)) as again:
        assert names(again) == ["r0", "r1", "r2"]


def test_whoever_looks_at_a_killed_owners_store_does_no_harm(killed: Path) -> None:
    """SQLite's own shell moves the log into the file, and removes it."""
    with closing(sqlite3.connect(killed)) as store:
        assert store.execute("SELECT count(*) FROM pauses").fetchone() == (3,)
    assert not beside(killed, "-wal").exists()
    with closing(Store(url(killed), opening=OPENING)) as again:
        assert names(again) == ["r0", "r1", "r2"]


# -- SQLite: full, locked ---------------------------------------------------------------------


def test_a_store_that_is_locked_says_so_and_is_told_of_once(store: Store, path: Path) -> None:
    with store.read() as conn:  # the connection that the pool gives out next, too
        conn.exec_driver_sql("PRAGMA busy_timeout=20")
    with capture_logs() as log, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with pytest.raises(StoreError, match="database is locked") as error:
                add(store, "r3")
            assert error.value.trouble is StoreTrouble.LOCKED
            assert names(store) == ["r0", "r1", "r2"]
        other.execute("COMMIT")
        add(store, "r3")
        add(store, "r4")
    assert [(told["log_level"], told.get("failures")) for told in log] == [
        ("error", None),
        ("warning", 3),
    ]
    store.look()


# -- PostgreSQL -------------------------------------------------------------------------------


@pytest.fixture
def served(postgresql_database: str) -> Iterator[Store]:
    store = Store(postgresql_database, opening=OPENING)
    add(store, "r0")
    yield store
    store.close()


def administer(database: str, *statements: str) -> None:
    """As the server's owner, in another database."""
    other = make_url(database).set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(other, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def test_nobody_writes_behind_a_flush_that_has_failed(store: Store) -> None:
    """Not even who waited for a turn meanwhile: a second try may succeed, and lose the first."""
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    turn = store._writing
    assert turn is not None

    def while_another_waits(pool: ThreadPoolExecutor) -> Iterator[Future[None]]:
        with store.write():
            yield pool.submit(add, store, "r3")
            wait_for("another writer", lambda: turn.waiting == 1)
            raise failed

    with capture_logs() as log, ThreadPoolExecutor(1) as pool:
        writing = while_another_waits(pool)
        other = next(writing)
        for one in (lambda: next(writing), other.result):
            with pytest.raises(StoreLost, match="disk I/O error"):
                one()
    assert [line["event"] for line in log] == [
        "the store failed; further failures like it are counted"
    ]
    assert store.trouble is StoreTrouble.LOST


@pytest.mark.external_service
def test_a_database_that_is_made_anew_is_lost(served: Store, postgresql_database: str) -> None:
    assert served.is_new
    name = make_url(postgresql_database).database
    administer(postgresql_database, f"DROP DATABASE {name} WITH (FORCE)")
    with pytest.raises(StoreError) as error:
        add(served, "r1")
    assert error.value.trouble is StoreTrouble.UNUSABLE, "it may come back"
    administer(postgresql_database, f"CREATE DATABASE {name}")
    for use in (served.read, served.write):
        with pytest.raises(StoreLost, match="was dropped and made anew"), use():
            pytest.fail("it was used")
    with pytest.raises(StoreLost, match="was dropped and made anew"):
        served.look()


@pytest.mark.external_service
def test_tables_that_are_made_anew_are_lost(served: Store, postgresql_database: str) -> None:
    served.look()
    with psycopg.connect(postgresql_database, autocommit=True) as conn:
        conn.execute("CREATE TABLE copy (LIKE store_identity INCLUDING ALL)")
        conn.execute("INSERT INTO copy SELECT * FROM store_identity")
        conn.execute("DROP TABLE store_identity")
        conn.execute("ALTER TABLE copy RENAME TO store_identity")
    with pytest.raises(StoreLost, match="its tables were made anew while the service ran"):
        served.look()


@pytest.mark.external_service
def test_tables_that_are_gone_are_lost(served: Store, postgresql_database: str) -> None:
    with psycopg.connect(postgresql_database, autocommit=True) as conn:
        conn.execute("DROP TABLE pauses")
    with pytest.raises(StoreLost, match=r'cannot be used: relation "pauses" does not exist'):
        names(served)
    with psycopg.connect(postgresql_database, autocommit=True) as conn:
        conn.execute("DROP TABLE store_identity")
    with pytest.raises(StoreLost):
        served.look()


@pytest.mark.external_service
def test_connections_that_are_cut_are_no_loss(served: Store, postgresql_database: str) -> None:
    administer(
        postgresql_database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{make_url(postgresql_database).database}'",
    )
    served.look()
    add(served, "r1")
    assert names(served) == ["r0", "r1"]


@pytest.mark.external_service
def test_a_servers_database_has_many_owners_and_a_first_start(
    served: Store, postgresql_database: str
) -> None:
    with closing(Store(postgresql_database, opening=OPENING)) as second:
        assert not second.is_new
        add(second, "r1")
    assert names(served) == ["r0", "r1"]
    with pytest.raises(ConfigError, match="--create: there is a store already"):
        Store(postgresql_database, opening=CREATE)
    with pytest.raises(ConfigError, match="--restored is for SQLite"):
        Store(postgresql_database, opening=RESTORED)


def test_who_asks_whether_anything_changed_is_told_that_it_is_lost(
    store: Store, path: Path
) -> None:
    store.mark()
    path.unlink()
    with pytest.raises(StoreLost, match="is gone"):
        store.mark()
    with pytest.raises(StoreLost):
        names(store)

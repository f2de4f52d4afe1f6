"""Backup and restore of a SQLite store: whole, of one moment, and right from the first start on."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from taskrunner.errors import ConfigError, StoreError, StoreInUse, StoreLost, TaskNotFound
from taskrunner.service.settings import ServiceSettings
from taskrunner.service.store import copies
from taskrunner.service.store.database import Store
from taskrunner.testing import ServiceInProcess
from tests.unit.service.worlds import ON_DEMAND, shell

LEASE_S = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.db"


@pytest.fixture
def world(path: Path) -> Iterator[ServiceInProcess]:
    url = f"sqlite:///{path}"
    settings = ServiceSettings(database_url=url, lease_timeout_s=LEASE_S)
    with ServiceInProcess(database_url=url, settings=settings) as world:
        yield world


def put_back(world: ServiceInProcess, copy: Path, path: Path) -> list[Path]:
    """Stop the service, restore, and start it as ever."""
    world.service.stop()
    aside = copies.restore(copy, path, world.clock)
    world.reopen()
    world.settle()
    return aside


def test_a_copy_is_whole_while_others_write(
    world: ServiceInProcess, path: Path, tmp_path: Path
) -> None:
    pipeline = world.run([ON_DEMAND, *(shell(f"A{number}") for number in range(20))])
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            world.service.heartbeat("runner", "wg", "host")

    writer = threading.Thread(target=work)
    writer.start()
    try:
        found = [copies.back_up(path, tmp_path / f"copy{number}") for number in range(5)]
    finally:
        stop.set()
        writer.join()
    counts = [copy.store.changes for copy in found if copy.store is not None]
    assert counts == sorted(counts)
    assert len(counts) == 5
    for copy in found:
        assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600
        with closing(sqlite3.connect(copy.path)) as connection:
            (instances,) = connection.execute("SELECT count(*) FROM instances").fetchone()
        assert instances == len(world.instances(pipeline))
    assert sorted(tmp_path.glob("copy*")) == [copy.path for copy in found]


def test_an_older_state_is_gone_on_with_and_no_work_is_lost(
    world: ServiceInProcess, path: Path, tmp_path: Path
) -> None:
    """What ended since runs again, once; who still works at a task of then is heard."""
    pipeline = world.run([ON_DEMAND, *(shell(name) for name in "ABCD")])
    done, held, ended, waiting = "ABCD"
    world.conclude(world.take())
    tasks = [world.take(), world.take()]
    copies.back_up(path, tmp_path / "copy")
    world.conclude(tasks[1])
    after = world.take()
    world.advance(LEASE_S - 30)
    world.service.report_progress(tasks[0].task_id, {})
    world.advance(LEASE_S - 30)  # of the state of then, every lease is over
    aside = put_back(world, tmp_path / "copy", path)
    assert [file.name[:20] for file in aside] == ["service.db.replaced-"]
    with pytest.raises(TaskNotFound):
        world.service.report_progress(after.task_id, {})  # nobody is known to have it
    assert world.service.report_progress(tasks[0].task_id, {}) is False
    again = world.take()
    assert again.attempt_id == after.attempt_id  # of then, nobody had it
    world.conclude(again)
    world.advance(LEASE_S / 2)
    world.conclude(tasks[0])
    assert world.claim() is None  # the third is still held for its runner, which has ended it
    world.advance(LEASE_S / 2 + 1)
    world.conclude(world.take())
    assert world.state(pipeline) == "FINISHED"
    numbers = {row.instance_id[1]: row.attempt_count for row in world.instances(pipeline).values()}
    assert numbers == {done: 1, held: 1, ended: 2, waiting: 1}


def test_the_newest_state_may_be_put_back_too(
    world: ServiceInProcess, path: Path, tmp_path: Path
) -> None:
    pipeline = world.run([ON_DEMAND, shell("A")])
    copies.back_up(path, tmp_path / "copy")
    put_back(world, tmp_path / "copy", path)
    world.reopen()  # nothing is left to be allowed
    world.conclude(world.take())
    assert world.state(pipeline) == "FINISHED"


def test_a_copy_that_is_only_put_there_is_still_refused(
    world: ServiceInProcess, path: Path, tmp_path: Path
) -> None:
    copies.back_up(path, tmp_path / "copy")
    world.run([ON_DEMAND, shell("A")])
    world.service.stop()
    (tmp_path / "copy").replace(path)
    with pytest.raises(StoreLost, match=r"lacks the last \d+ changes"):
        world.reopen()
    copies.back_up(path, tmp_path / "again")
    copies.restore(tmp_path / "again", path, world.clock)
    world.reopen()


def test_a_store_in_use_is_not_replaced(
    world: ServiceInProcess, path: Path, tmp_path: Path
) -> None:
    copies.back_up(path, tmp_path / "copy")
    with pytest.raises(StoreInUse, match="in use by process"):
        copies.restore(tmp_path / "copy", path, world.clock)
    world.run([ON_DEMAND, shell("A")])


def damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in range(8, len(data) // 4096):
        data[page * 4096 : page * 4096 + 40] = bytes(40)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9000])


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")


def text(path: Path) -> None:
    path.write_text("not a database\n" * 100)


@pytest.mark.parametrize("spoil", [damaged, cut, foreign, text])
def test_what_is_no_whole_store_is_refused_and_changes_nothing(
    world: ServiceInProcess, path: Path, tmp_path: Path, spoil: object
) -> None:
    pipeline = world.run([ON_DEMAND, *(shell(f"A{number}") for number in range(30))])
    copy = tmp_path / "copy"
    copies.back_up(path, copy)
    assert callable(spoil)
    spoil(copy)
    world.service.stop()
    with pytest.raises(StoreError, match="copy"):
        copies.restore(copy, path, world.clock)
    assert not list(tmp_path.glob("*.replaced-*"))
    assert not list(tmp_path.glob("*.draft"))
    world.reopen()
    assert world.state(pipeline) == "SCHEDULED"


def test_a_backup_overwrites_nothing(world: ServiceInProcess, path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(StoreError, match="is there already"):
        copies.back_up(path, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "precious"
    with pytest.raises(StoreError, match="there is no store at"):
        copies.back_up(tmp_path / "elsewhere.db", tmp_path / "copy2")
    with pytest.raises(StoreError, match="nowhere"):
        copies.back_up(path, tmp_path / "nowhere" / "copy")


def test_a_store_can_be_restored_where_there_is_none(
    world: ServiceInProcess, path: Path, tmp_path: Path
) -> None:
    world.run([ON_DEMAND, shell("A")])
    copies.back_up(path, tmp_path / "copy")
    fresh = tmp_path / "new" / "service.db"
    assert copies.restore(tmp_path / "copy", fresh, world.clock) == []
    with pytest.raises(ConfigError, match="backups of it have none"):
        Store(f"sqlite:///{fresh}")
    shutil.copy(f"{path}-key", f"{fresh}-key")
    store = Store(f"sqlite:///{fresh}")
    assert not store.is_new
    store.close()
    foreign(fresh)
    with pytest.raises(StoreError, match="no store of this program"):
        copies.back_up(fresh, tmp_path / "other")


def test_a_task_of_then_is_held_for_a_lease_from_now(
    world: ServiceInProcess, path: Path, tmp_path: Path
) -> None:
    """Without that the first look would find every runner silent, and give its work to another."""
    pipeline = world.run([ON_DEMAND, shell("A")])
    task = world.take()
    copies.back_up(path, tmp_path / "copy")
    world.service.stop()
    world.clock.advance(timedelta(days=1))
    copies.restore(tmp_path / "copy", path, world.clock)
    world.reopen()
    world.settle()
    assert world.claim() is None
    world.conclude(task)
    assert world.state(pipeline) == "FINISHED"

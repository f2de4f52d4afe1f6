from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskrunner.data.databases.base import Target
from taskrunner.data.databases.script import parse_statement
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.sqlite import DIALECT, SqliteDatabase
from taskrunner.errors import ErrorId, PathNotAllowed
from taskrunner.host.local_files import ANYWHERE, LocalFiles


def database(path: Path, local: LocalFiles) -> SqliteDatabase:
    return SqliteDatabase(DatabaseSpec(id="Db", scheme="sqlite", database=str(path), local=local))


def run(found: SqliteDatabase, sql: str, *values: str) -> None:
    with found:
        found.execute(parse_statement(sql, DIALECT), values or None, alone=True)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("attach '{0}/other' as x", "'{0}/other'"),
        ("attach '{0}' || '/other' as x", "'a file that the statement computes'"),
        ("vacuum into '{0}/other'", "'{0}/other'"),
        ("pragma temp_store_directory = '{0}'", "'PRAGMA temp_store_directory'"),
    ],
)
def test_statements_name_no_other_files(tmp_path: Path, sql: str, told: str) -> None:
    found = database(tmp_path / "db", LocalFiles(folders=(tmp_path,)))
    with pytest.raises(PathNotAllowed) as caught:
        run(found, sql.format(tmp_path))
    assert str(caught.value).startswith(f"{told.format(tmp_path)} may not be opened: without")
    assert caught.value.error_id == ErrorId.NOT_ALLOWED
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("sql", ["attach ':memory:' as x", "attach '' as x", "vacuum"])
def test_what_is_no_file_may_be_attached(tmp_path: Path, sql: str) -> None:
    run(database(tmp_path / "db", LocalFiles(folders=(tmp_path,))), sql)


def test_an_operator_who_opens_everything_opens_this_too(tmp_path: Path) -> None:
    run(database(tmp_path / "db", ANYWHERE), f"attach '{tmp_path}/other' as x")
    assert (tmp_path / "other").exists()


def test_a_refusal_while_loading_says_the_file_and_not_the_rows(tmp_path: Path) -> None:
    found = database(tmp_path / "db", LocalFiles(folders=(tmp_path,)))
    target = Target(table="t", insert_query=f"attach ? || '{tmp_path}' as x")
    with pytest.raises(PathNotAllowed, match="the statement computes"), found:
        found.load(target, [[["a"]]])


def test_a_second_connection_to_the_same_file_may_be_opened(tmp_path: Path) -> None:
    local = LocalFiles(folders=(tmp_path,))
    first = database(tmp_path / "db", local)
    with first:
        first.execute(parse_statement("create table t (v)", DIALECT), None, alone=False)
        first.commit()
        for _ in range(3):
            with database(tmp_path / "db", local) as second:
                assert second.find_table("t") == '"t"'


@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_sibling_that_is_a_link_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"db{suffix}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PathNotAllowed, match="it is a link"):
        run(database(tmp_path / "db", LocalFiles(folders=(tmp_path,))), "create table t (v)")


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_a_folder_that_everybody_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PathNotAllowed, match="every user of this host can write to its folder"):
        run(database(folder / "db", LocalFiles(folders=(tmp_path,))), "create table t (v)")
    assert not list(folder.iterdir())
    for local in (ANYWHERE, LocalFiles(folders=(folder / "db",))):
        run(database(folder / "db", local), "create table if not exists t (v)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of other users")
@pytest.mark.parametrize("suffix", ["-journal", "-wal", "-shm"])
def test_a_journal_of_another_user_is_refused(tmp_path: Path, suffix: str) -> None:
    path, sibling = tmp_path / "db", tmp_path / f"db{suffix}"
    local = LocalFiles(folders=(tmp_path,))
    run(database(path, local), "create table t (v)")
    sibling.touch()
    os.chown(sibling, 65534, 65534)
    with pytest.raises(PathNotAllowed, match=f"db{suffix}' may not be opened: it is another user"):
        run(database(path, local), "create table u (v)")
    os.chown(path, 65534, 65534)  # whoever owns the database may have begun to write to it
    run(database(path, local), "create table u (v)")

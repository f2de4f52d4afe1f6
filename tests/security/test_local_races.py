"""Links that are changed while a file is opened: a process does nothing else all the time."""

from __future__ import annotations

import io
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import cast

import pytest

from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.sqlite import SqliteDatabase
from taskrunner.data.files import WorkFiles
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.objects.local import FileBackend
from taskrunner.data.objects.location import parse
from taskrunner.errors import ErrorId, PathNotAllowed, TaskError
from taskrunner.host.local_files import ANYWHERE, LocalFiles
from tests.chaos.scale import is_full

SECRET, GOOD = "canary-51c0", "harmless"
TRIES = 10_000 if is_full() else 1000
#: Exchanges the names of each pair, in one step, until it is killed.
SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pairs = list(zip(sys.argv[1::2], sys.argv[2::2]))
print("ready", flush=True)
while True:
    for one, other in pairs:
        if libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), 2) != 0:
            sys.exit(os.strerror(ctypes.get_errno()))
"""


class House:
    """A folder that is listed, in which two names lead in and out by turns, and one that is not."""

    def __init__(self, root: Path) -> None:
        self.open, self.home = root / "open", root / "home"
        for folder, text in ((self.open / "flip", GOOD), (self.home, SECRET)):
            folder.mkdir(parents=True)
            (folder / "x.csv").write_text(text)
            with closing(sqlite3.connect(folder / "x.db")) as connection, connection:
                connection.execute("create table t (v text)")
                connection.execute("insert into t values (?)", (text,))
        (self.open / "flop").symlink_to(self.home)
        (self.open / "flip.csv").write_text(GOOD)
        (self.open / "flop.csv").symlink_to(self.home / "x.csv")
        self.before = self.contents()

    def contents(self) -> dict[str, bytes]:
        """Of what is not listed."""
        return {path.name: path.read_bytes() for path in self.home.iterdir()}

    @contextmanager
    def swapped(self) -> Iterator[None]:
        pairs = [self.open / name for name in ("flip", "flop", "flip.csv", "flop.csv")]
        argv = [sys.executable, "-c", SWAPPER, *map(str, pairs)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                yield
                assert process.poll() is None
            finally:
                process.kill()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path.resolve())


def read(house: House, local: LocalFiles, name: str) -> str:
    with FileBackend(local=local).open_read(parse(f"{house.open}/{name}")) as reader:
        return reader.read().decode()


def listed(house: House, local: LocalFiles, name: str) -> str:
    found = FileBackend(local=local).list(parse(f"{house.open}/{name}"))
    names = {info.uri.rpartition("/")[2]: info.size for info in found}
    return SECRET if len(SECRET) in names.values() else GOOD


def queried(house: House, local: LocalFiles, name: str) -> str:
    spec = DatabaseSpec(id="Db", scheme="sqlite", database=f"{house.open}/{name}", local=local)
    with SqliteDatabase(spec) as database, database.stream("select v from t") as result:
        return str(next(result.batches)[0][0])


def written(house: House, local: LocalFiles, name: str) -> str:
    with FileBackend(local=local).open_write(parse(f"{house.open}/{name}")) as writer:
        writer.write(b"written")
    return SECRET if house.contents() != house.before else GOOD


def looked_at(house: House, local: LocalFiles, name: str) -> str:
    found = FileBackend(local=local).stat(parse(f"{house.open}/{name}"))
    return SECRET if found is not None and found.size == len(SECRET) else GOOD


class Sent:
    """Takes the one object that is uploaded."""

    def __init__(self) -> None:
        self.content = io.BytesIO()

    def open_write(
        self, _uri: str, *, encrypt: bool | None = None
    ) -> AbstractContextManager[io.BytesIO]:
        assert encrypt is None
        return nullcontext(self.content)


def staged_out(house: House, local: LocalFiles, name: str) -> str:
    """What a command has left, while a process that it has left too changes it."""
    objects = Sent()
    root = house.open if local.bounded else Path("/")
    WorkFiles(root).upload(cast(ObjectStore, objects), house.open / name, "s3://b/k")
    return objects.content.getvalue().decode()


Way = Callable[[House, LocalFiles, str], str]
WAYS: list[tuple[Way, str]] = [
    (read, "flip/x.csv"),
    (read, "flip.csv"),
    (listed, "flip/"),
    (queried, "flip/x.db"),
    (written, "flip/new.csv"),
    (listed, "flip/x"),
    (looked_at, "flip/x.csv"),
    (looked_at, "flip.csv"),
    (staged_out, "flip/x.csv"),
    (staged_out, "flip.csv"),
]


def tried(way: Way, house: House, local: LocalFiles, name: str) -> str:
    try:
        return way(house, local, name)
    except PathNotAllowed:
        return "refused"
    except TaskError as error:
        return f"failed: {error.error_id}"


@pytest.mark.parametrize(("way", "name"), WAYS)
def test_a_race_with_links_leads_nowhere(house: House, way: Way, name: str) -> None:
    local = LocalFiles(folders=(house.open,))
    with house.swapped():
        found = Counter(tried(way, house, local, name) for _ in range(TRIES))
    assert found[SECRET] == 0, found
    assert found.keys() & {GOOD, "refused", f"failed: {ErrorId.INVALID_FIELD}"}, found
    assert house.contents() == house.before


@pytest.mark.parametrize(("way", "name"), WAYS)
def test_without_the_defence_it_leads_out(house: House, way: Way, name: str) -> None:
    with house.swapped():
        found = (tried(way, house, ANYWHERE, name) for _ in range(100_000))
        assert SECRET in found


def test_a_database_is_held_to_what_was_looked_at(house: House) -> None:
    """The moment between the look and SQLite's own opening, which a race seldom meets."""

    class Swapped(LocalFiles):
        def real(self, path: Path) -> Path:
            real = LocalFiles.real(self, path)
            (house.open / "flip").rename(house.open / "was")
            (house.open / "flop").rename(house.open / "flip")
            return real

    local = Swapped(folders=(house.open,))
    with pytest.raises(PathNotAllowed, match="was changed while it was opened"):
        queried(house, local, "flip/x.db")

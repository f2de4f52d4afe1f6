"""What happens to the store of a running service, and what the service makes of it.

Each is the real `taskrunner serve`, with its store in a SQLite file. More ways to damage a store,
and PostgreSQL's, are in `tests/contract/test_store_lost.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.served_process import START_S, Served, served
from tests.integration.api_calls import call

#: The exit code of a service whose store is not what it was.
LOST = 74


def create(service: Served, unique: str) -> str:
    made: str = call(service.url, "CreatePipeline", name="p", uniqueId=unique)["pipelineId"]
    return made


def pipelines(service: Served) -> list[str]:
    return [found["id"] for found in call(service.url, "ListPipelines")["pipelineIdList"]]


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A start that must not come about."""
    argv = [sys.executable, "-m", "taskrunner", "serve", "--listen", "127.0.0.1:0", "--no-auth"]
    argv += ["--database-url", f"sqlite:///{folder / 'service.db'}", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=START_S)


def log_of(folder: Path) -> str:
    return (folder / "serve.log").read_text()


# -- while it runs ----------------------------------------------------------------------------


def delete(store: Path) -> None:
    store.unlink()


def replace(store: Path) -> None:
    copy = store.with_name("copy.db")
    shutil.copy(store, copy)
    copy.replace(store)


def truncate(store: Path) -> None:
    os.truncate(store, 0)


def delete_log(store: Path) -> None:
    store.with_name("service.db-wal").unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (delete, "service.db is gone: it was deleted or moved while the service ran"),
        (replace, "service.db was replaced by another file while the service ran"),
        (truncate, "service.db was cut short while the service ran"),
        (delete_log, "service.db-wal, a part of the service's database, is gone"),
    ],
)
def test_a_store_that_is_taken_away_stops_the_service_in_words(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    with served(folder, "--no-auth") as service:
        log = (folder / "serve.log").open()
        for number in range(3):
            create(service, str(number))
        damage(folder / "service.db")
        service.process.wait(START_S)
    said = log.read()
    log.close()
    assert service.process.returncode == LOST, said
    assert says in said.replace("\n", " ")
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 3, said


def test_what_is_gone_is_not_answered_for(tmp_path: Path) -> None:
    """Not even in the second before the service has stopped."""
    with served(tmp_path, "--no-auth") as service:
        create(service, "1")
        (tmp_path / "service.db").unlink()
        answers: list[tuple[int, str]] = []
        for number in range(2, 50):
            try:
                create(service, str(number))
                answers.append((200, ""))
            except urllib.error.HTTPError as error:
                answers.append((error.code, json.loads(error.read())["message"]))
            except OSError:
                break
        service.process.wait(START_S)
    assert answers
    gone = "the service's database is gone or damaged, and the service stops"
    assert set(answers) == {(500, gone)}


# -- at the start -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store, as a killed service leaves it: changes are in the log only."""
    folder = tmp_path_factory.mktemp("used")
    with served(folder, "--no-auth") as service:
        first = service.process.stdout
        assert first is not None
        assert f"a new store was made: {folder}/service.db" in first.readline()
        for number in range(3):
            create(service, str(number))
        shutil.copytree(folder, folder / "running")
        service.process.kill()
        service.process.wait()
    return folder


@pytest.fixture
def folder(used: Path, tmp_path: Path) -> Path:
    """A copy of that."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in used.glob("service.db*"):
        shutil.copy(file, copy)
    return copy


def test_a_killed_services_store_is_taken_up_as_it_is(folder: Path) -> None:
    with served(folder, "--no-auth") as service:
        first = service.process.stdout
        assert first is not None
        assert f"the store is {folder}/service.db" in first.readline()
        assert len(pipelines(service)) == 3
        assert service.stop() == 0
    assert log_of(folder) == ""


def none(store: Path) -> None:
    store.unlink()
    store.with_name("service.db-wal").unlink()


def without_log(store: Path) -> None:
    store.with_name("service.db-wal").unlink()


def a_copy_without_log(store: Path) -> None:
    store.with_name("service.db-state").unlink()
    without_log(store)


@pytest.mark.parametrize(
    ("damage", "says", "way_out"),
    [
        (none, "service.db is gone, and there was one", "--create"),
        (a_copy_without_log, "is a copy of one in use, without its -wal file", "--restored"),
    ],
)
def test_a_store_that_is_not_what_it_was_is_refused_until_it_is_asked_for(
    folder: Path, damage: Callable[[Path], None], says: str, way_out: str
) -> None:
    damage(folder / "service.db")
    before = {file.name: file.stat().st_size for file in folder.glob("service.db*")}
    refused = start(folder)
    assert refused.returncode == LOST, refused.stderr
    assert says in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert refused.stdout == ""
    after = {file.name: file.stat().st_size for file in folder.glob("service.db*")}
    if way_out != "--restored":
        assert after == before
    with served(folder, "--no-auth", way_out) as service:
        create(service, "more")
        assert service.stop() == 0
    # What was said once does not stay in force unseen.
    again = start(folder, way_out)
    assert again.returncode == 2
    assert f"taskrunner: {way_out}: " in again.stderr
    with served(folder, "--no-auth") as service:
        assert pipelines(service)


# -- one owner --------------------------------------------------------------------------------


def test_a_second_service_names_the_first_and_does_not_start(tmp_path: Path) -> None:
    with served(tmp_path, "--no-auth") as service:
        create(service, "1")
        link = tmp_path / "link"
        link.symlink_to(tmp_path, target_is_directory=True)
        for folder in (tmp_path, link):
            second = start(folder)
            assert second.returncode == 1
            assert (
                f"in use by process {service.process.pid} (taskrunner serve) on " in second.stderr
            )
            assert len(second.stderr.splitlines()) == 1
        (tmp_path / "service.db-state").unlink()
        third = None
        for _ in range(100):
            # Its owner makes it anew; before, somebody else may get it for a moment.
            third = start(tmp_path)
            if third.returncode == 1:
                break
        assert third is not None
        assert service.process.poll() is None, log_of(tmp_path)
        assert f"in use by process {service.process.pid} " in third.stderr
        assert len(pipelines(service)) == 1
    assert "state file was removed; it was made anew" in log_of(tmp_path)


def test_a_killed_owner_owns_no_more(tmp_path: Path) -> None:
    with served(tmp_path, "--no-auth") as service:
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    with served(tmp_path, "--no-auth") as service:
        create(service, "1")


# -- rights -----------------------------------------------------------------------------------


def test_rights_that_are_too_wide_are_complained_of(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    with served(folder, "--no-auth") as service:
        create(service, "1")
        service.process.kill()
        service.process.wait()
    assert "remedy" not in log_of(folder)
    folder.chmod(0o770)
    wide = {"service.db": 0o640, "service.db-wal": 0o604, "service.db-state": 0o666}
    for name, mode in wide.items():
        (folder / name).chmod(mode)
    with served(folder, "--no-auth") as service:
        create(service, "2")
    said = log_of(folder)
    for remedy in ("chmod go-w " + str(folder), *(f"chmod 600 {folder / name}" for name in wide)):
        assert f'"remedy": "{remedy}"' in said, said
    assert said.count("chmod") == 4 + said.count("service.db-shm")
    with suppress(FileNotFoundError):
        folder.chmod(0o700)

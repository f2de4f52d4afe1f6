from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskrunner.cli.run_folders import (
    LOCK_NAME,
    RunFolder,
    kept_runs,
    looked_at,
    newest_run,
    remove_old_runs,
)
from taskrunner.errors import UsageError
from taskrunner.testing import FakeClock


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def make(runs: Path, count: int, *, name: str = "p") -> list[Path]:
    """Folders of runs that are over, the oldest first."""
    made = []
    for number in range(count):
        folder = RunFolder(runs, name, FakeClock())
        (folder.path / "logs").mkdir()
        (folder.path / "logs" / "Activity.log").write_text("x" * 10_000)
        (folder.path / "service.db").touch()
        folder.release()
        os.utime(folder.path / LOCK_NAME, (number, number))
        made.append(folder.path)
    return made


def test_the_newest_stay_and_older_ones_go(runs: Path) -> None:
    old = make(runs, 5)
    assert remove_old_runs(runs, keep=2) == 3
    assert sorted(runs.iterdir()) == sorted(old[3:])
    assert remove_old_runs(runs, keep=2) == 0


def test_the_run_under_way_is_one_of_them(runs: Path) -> None:
    make(runs, 3)
    own = RunFolder(runs, "p", FakeClock())
    assert remove_old_runs(runs, keep=1) == 3
    assert list(runs.iterdir()) == [own.path]
    own.release()


def test_a_run_in_use_stays_however_old_it_is(runs: Path) -> None:
    busy = RunFolder(runs, "p", FakeClock())
    os.utime(busy.path / LOCK_NAME, (0, 0))
    make(runs, 3)
    assert remove_old_runs(runs, keep=2) == 1
    assert busy.path.is_dir()
    busy.release()
    assert remove_old_runs(runs, keep=2) == 1
    assert not busy.path.exists()


def test_what_was_not_made_here_stays(runs: Path, tmp_path: Path) -> None:
    named = runs / "20200101-000000-p-abcdefgh"
    named.mkdir(parents=True)
    other = runs / "20200101-000000-p-ijklmnop"
    other.mkdir()
    (other / LOCK_NAME).write_text("somebody else's\n")
    file = runs / "20200101-000000-p-qrstuvwx"
    file.touch()
    elsewhere = make(tmp_path / "elsewhere", 1)[0]
    link = runs / elsewhere.name
    link.symlink_to(elsewhere)
    renamed = make(runs, 1)[0].rename(runs / "precious")
    make(runs, 1)
    assert remove_old_runs(runs, keep=0) == 1
    assert sorted(runs.iterdir()) == sorted([named, other, file, link, renamed])
    assert (elsewhere / "service.db").exists()


def test_links_in_a_run_are_removed_and_not_what_they_lead_to(runs: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    (make(runs, 1)[0] / "link").symlink_to(precious)
    assert remove_old_runs(runs, keep=0) == 1
    assert (precious / "file").exists()


def test_a_removal_that_was_broken_off_is_finished_by_the_next(runs: Path) -> None:
    (folder,) = make(runs, 1)
    (folder / "service.db").unlink()
    assert remove_old_runs(runs, keep=0) == 1
    assert list(runs.iterdir()) == []


def test_what_is_kept_is_counted_and_measured(runs: Path, tmp_path: Path) -> None:
    assert kept_runs(runs).count == 0
    (one, _) = make(runs, 2)
    (one / "link").symlink_to("/usr")
    found = kept_runs(runs)
    assert found.count == 2
    assert 20_000 <= found.bytes < 200_000


@pytest.mark.parametrize("name", ["p" * 300, "-", "a b", "Bücher\n日"])
def test_any_definitions_name_will_do(runs: Path, name: str) -> None:
    make(runs, 2, name=name)
    assert kept_runs(runs).count == 2


def test_a_run_that_is_looked_at_stays(runs: Path) -> None:
    old = make(runs, 2)
    with looked_at(old[0]):
        assert remove_old_runs(runs, keep=1) == 0
        assert (old[0] / "service.db").exists()
    assert remove_old_runs(runs, keep=1) == 1


def test_only_a_run_that_is_over_is_looked_at(runs: Path, tmp_path: Path) -> None:
    busy = RunFolder(runs, "p", FakeClock())
    with pytest.raises(UsageError, match="still under way"), looked_at(busy.path):
        pass
    busy.release()
    with looked_at(busy.path):
        pass
    (tmp_path / LOCK_NAME).write_text("of something else")
    for other in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UsageError, match="wanted the folder of a run"), looked_at(other):
            pass


def test_the_newest_run_is_the_one_that_began_last(runs: Path, tmp_path: Path) -> None:
    assert newest_run(runs) is None
    old = make(runs, 3)
    (tmp_path / "runs" / "zzz").mkdir()
    assert newest_run(runs) == old[-1]

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from taskrunner.cli.follow import LineFollower
from taskrunner.cli.follow_logs import LogFollower
from taskrunner.cli.snapshot import Snapshot
from taskrunner.model.log_names import safe_name
from taskrunner.model.rows import AttemptRow
from tests.unit.cli.pictures import START, attempt, instance, picture


class Scene:
    """One activity of a run, what it prints, and what is shown of that."""

    def __init__(self, folder: Path, component: str = "A") -> None:
        self.row = instance(component, "RUNNING", attempt_count=1)
        self.folder = folder
        self.out = io.StringIO()
        self.follower = LogFollower(LineFollower(self.out), folder)

    def prints(self, text: str, name: str = "StdOutput", number: int = 1) -> None:
        ids = (self.row.pipeline_id, self.row.component_id, self.row.instance_id)
        key = f"{self.row.instance_id}_Attempt={number}"
        place = self.folder.joinpath(*map(safe_name, (*ids, key)))
        place.mkdir(parents=True, exist_ok=True)
        with (place / name).open("a") as file:
            file.write(text)

    def shows(self, *tries: AttemptRow) -> list[str]:
        """The lines that a look adds."""
        begun = self.out.tell()
        self.follower.show(self.picture(*tries))
        return self.lines(begun)

    def picture(self, *tries: AttemptRow) -> Snapshot:
        found = tries or (attempt(self.row, started_at=START),)
        return picture(self.row, attempts=tuple(found))

    def lines(self, begun: int = 0) -> list[str]:
        told = self.out.getvalue()[begun:].splitlines()
        return [line for line in told if not re.match(r"\d\d:\d\d:\d\d ", line)]


def test_each_line_is_said_once_when_it_is_whole(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.shows() == []  # nothing was printed yet
    scene.prints("one\ntw")
    assert scene.shows() == ["A: one"]
    assert scene.shows() == []
    scene.prints("o\n")
    scene.prints("oh\n", "StdError")
    scene.prints("not shown\n", "Activity.log")
    assert scene.shows() == ["A: two", "A: oh"]
    scene.prints("the end")
    begun = scene.out.tell()
    scene.follower.close()
    assert scene.lines(begun) == ["A: the end"]


def test_attempts_are_told_apart(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.prints("first\n")
    scene.prints("second\n", number=2)
    tries = [attempt(scene.row, number, started_at=START) for number in (1, 2)]
    assert scene.shows(*tries) == ["A: first", "A (attempt 2): second"]


def test_what_has_not_begun_is_not_looked_for(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.prints("of a run before\n")
    assert scene.shows(attempt(scene.row)) == []


def test_much_is_said_in_portions_and_all_of_it(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.prints("".join(f"{number:099d}\n" for number in range(2000)))
    assert 0 < len(scene.shows()) < 2000
    scene.follower.close()
    # A line that two portions cut is said in two.
    assert "".join(line.removeprefix("A: ") for line in scene.lines()) == "".join(
        f"{number:099d}" for number in range(2000)
    )


@pytest.mark.parametrize("component", ["A", "a\x1b[31m"])
def test_nothing_that_is_printed_controls_a_terminal(tmp_path: Path, component: str) -> None:
    scene = Scene(tmp_path, component)
    scene.prints("\x1b]0;title\x07red\n")
    (line,) = scene.shows()
    assert line.isprintable()
    assert "red" in line

"""A run in the console: while it goes on, and when it is over."""

from __future__ import annotations

import html
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from taskrunner.cli import main
from taskrunner.cli.finished_run import shown
from tests.integration.agent_harness import PATIENCE_S

COMMAND = "echo begun; until [ -e go ]; do sleep 0.1; done; echo done"
DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "wg"},
        {"id": "A", "type": "ShellCommandActivity", "command": COMMAND},
    ]
}


def get(url: str) -> str:
    with urlopen(url, timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())


def linked(page: str, url: str, part: str) -> str:
    """The address of the first link of a page that has a text in it."""
    root = re.match("https?://[^/]+", url)
    found = re.search(rf'href="([^"]*{part}[^"]*)"', page)
    assert root, url
    assert found, page
    return root[0] + html.unescape(found[1])


class Terminal:
    """What a command says on a terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._said = ""

    def says(self, pattern: str) -> re.Match[str]:
        """Read on until the command has said something."""
        while (found := re.search(pattern, self._said)) is None:
            self._said += os.read(self._descriptor, 4096).decode()
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A run: its work folder, and its pages while it went on and after it."""

    work: Path
    grid: str
    instance: str
    log: str
    grid_after: str
    code: int


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("ui")
    # The command's own folder is a scratch one.
    command = COMMAND.replace("-e go", f"-e {folder}/go")
    (folder / "p.json").write_text(json.dumps(DEFINITION).replace(COMMAND, command))
    argv = [sys.executable, "-m", "taskrunner", "run", "--ui", "p.json", "--work-dir", "work"]
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "COVERAGE_PROCESS_CONFIG"}
    env = {key: text for key, text in os.environ.items() if key not in hidden}
    ours, theirs = pty.openpty()
    with subprocess.Popen(argv, cwd=folder, env=env, stdout=theirs) as run:
        os.close(theirs)
        watch = threading.Timer(PATIENCE_S, run.kill)
        watch.start()
        try:
            terminal = Terminal(ours)
            url = terminal.says(r"Console: (http\S+/grid)")[1]
            terminal.says("RUNNING")
            grid = get(url)
            instance = get(linked(grid, url, "/i/"))
            while "begun" not in (log := get(linked(instance, url, "/log"))):
                continue
            assert main(["ui", "--work-dir", str(folder / "work")]) == 2, "it is under way"
            (folder / "go").touch()
            # Whoever has a page open still reads it: it stays where it is.
            terminal.says("Ctrl-C ends it")
            after = get(url)
            run.send_signal(signal.SIGINT)
            code = run.wait()
        finally:
            watch.cancel()
            run.kill()
            os.close(ours)
    return Seen(
        work=folder / "work", grid=grid, instance=instance, log=log, grid_after=after, code=code
    )


def test_a_run_is_shown_as_it_goes(ran: Seen) -> None:
    assert "running" in ran.grid
    assert "Cancel …" in ran.instance
    # Not pushed anywhere: what the agent keeps on this host is read, while it is written.
    assert "begun" in ran.log
    assert ">done" not in ran.log


def test_at_a_terminal_its_pages_stay_when_it_is_over(ran: Seen) -> None:
    assert "finished" in ran.grid_after
    assert "running" not in ran.grid_after
    assert ran.code == 0


def test_a_run_that_is_over_is_shown_and_nothing_of_it_is_changed(
    ran: Seen,
) -> None:
    (folder,) = (ran.work / "runs").iterdir()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with shown(folder) as url:
        grid = get(url)
        assert "finished" in grid
        instance = get(linked(grid, url, "/i/"))
        log = get(linked(instance, url, "/log"))
        assert "begun" in log
        assert ">done" in log
        assert "it goes on" not in log
        for page in (grid, instance):
            assert not re.search(r'action="[^"]*/(do|plan|bulk)/', page)
        token = re.findall(r'name="form_token" value="([^"]+)"', get(url.partition("/p/")[0] + "/"))
        assert token == []
        pause = Request(url.replace("/grid", "/do/pause"), data=b"form_token=x", method="POST")
        with pytest.raises(HTTPError, match="403"):
            urlopen(pause, timeout=PATIENCE_S)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_what_is_no_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", str(tmp_path)]) == 2
    assert main(["ui", "--work-dir", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "wanted the folder of a run" in told
    assert "no run is in" in told

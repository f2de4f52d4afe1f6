"""`taskrunner ui`: the console of a run that is over."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from taskrunner.errors import UsageError

if TYPE_CHECKING:
    from taskrunner.service.loopback import LoopbackServer


@click.command(
    help="Show a run of `taskrunner run` that is over in the console, read-only, until Ctrl-C: "
    "the run whose work folder is FOLDER, or the last one.",
)
@click.argument("folder", metavar="[FOLDER]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--work-dir",
    metavar="DIR",
    default="taskrunner-work",
    show_default=True,
    envvar="TASKRUNNER_WORK_DIR",
    help="Where the last run is looked for. [$TASKRUNNER_WORK_DIR]",
)
@click.option("--no-browser", is_flag=True, help="Print the address; open nothing.")
def command(folder: Path | None, work_dir: str, no_browser: bool) -> int:
    """Serve the run's pages until a signal comes."""
    from taskrunner import logs
    from taskrunner.service.loopback import LoopbackServer

    logs.configure(level="warning", form="text")
    show(folder or _last(Path(work_dir)), LoopbackServer, browser=not no_browser)
    return 0


def show(folder: Path, serve_on: Callable[[], LoopbackServer], *, browser: bool) -> None:
    """Serve the pages of a run until a signal comes. Raises UsageError."""
    from taskrunner.cli.browsers import show_secret
    from taskrunner.cli.finished_run import shown

    with ExitStack() as stack:
        stopped = stack.enter_context(_signalled())
        url = stack.enter_context(shown(folder.absolute(), serve_on))
        click.echo(f"Console: {url}\nCtrl-C ends it.")
        if browser:
            leading = stack.enter_context(tempfile.TemporaryDirectory(prefix="taskrunner-ui-"))
            show_secret(url, Path(leading))
        stopped.wait()


def _last(work_dir: Path) -> Path:
    from taskrunner.cli.run_folders import newest_run

    found = newest_run(work_dir / "runs")
    if found is None:
        raise UsageError(f"no run is in {work_dir / 'runs'}: name its folder, or the --work-dir")
    return found


@contextmanager
def _signalled() -> Iterator[threading.Event]:
    """Set once a signal asks for the end."""
    stopped = threading.Event()

    def handler(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield stopped
    finally:
        for number, was in before.items():
            signal.signal(number, was)

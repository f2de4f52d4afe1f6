"""Commands in the process of the tests: the command itself, without an interpreter's start.

The agents of `taskrunner run` are processes, as always. What a command does with signals, its
streams and its own end is shown by tests that start it as a process.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import util
from pathlib import Path

from taskrunner.cli import main

#: A run that takes longer is told to end, as by Ctrl-C.
PATIENCE_S = 120.0


def run_here(
    folder: Path, *arguments: str, patience_s: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """What the command, started in this folder, ends with and prints."""
    out, err = io.StringIO(), io.StringIO()
    watch = threading.Timer(patience_s, os.kill, (os.getpid(), signal.SIGINT))
    watch.start()
    try:
        code = _run(folder, arguments, out, err)
    finally:
        watch.cancel()
        watch.join()
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def command_here(
    *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What the command ends with and prints; with `environ`, it has no other variables."""
    return _called(main, arguments, environ)


def aws_here(
    *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same of the AWS CLI, unchanged: its own imports take most of what a process costs."""
    place = util.find_spec("awscli")
    assert place is not None
    assert place.origin is not None
    # It finds its own data by a variable that it sets when it is first imported.
    data = str(Path(place.origin).with_name("data"))
    given = {**(os.environ if environ is None else environ), "AWS_DATA_PATH": data}

    def command(line: list[str]) -> int:
        code = importlib.import_module("awscli.clidriver").create_clidriver().main(line)
        return int(code or 0)

    return _called(command, arguments, given)


def _called(
    command: Callable[[list[str]], int],
    arguments: Sequence[str],
    environ: Mapping[str, str] | None,
) -> subprocess.CompletedProcess[str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.nullcontext() if environ is None else _environment(environ),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = command(list(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _environment(environ: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run(folder: Path, arguments: tuple[str, ...], out: io.StringIO, err: io.StringIO) -> int:
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        return main(["run", *arguments])

"""`taskrunner serve` as a process of its own, found by what it prints."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 60


class Served:
    """A running service."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def stop(self) -> int:
        """Stop it as systemd would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_S)


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[Served]:
    """A service with its store in `folder`, on a port of its own."""
    argv = [sys.executable, "-m", "taskrunner", "serve", "--listen", "127.0.0.1:0"]
    argv += ["--database-url", f"sqlite:///{folder / 'service.db'}", *arguments]
    with (
        (folder / "serve.log").open("ab") as log,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            yield Served(process, _url(process, folder))
        finally:
            process.terminate()
            process.wait(START_S)


def _url(process: subprocess.Popen[str], folder: Path) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    assert found, (folder / "serve.log").read_text()
    return found[0]

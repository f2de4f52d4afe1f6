"""`taskrunner serve` forked from a process that has loaded it: a life costs milliseconds.

It is the whole program, from its command line on, in a process of its own; only reading its modules
from the disk is done once, not at each of hundreds of starts.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.chaos.history import History
from tests.chaos.hosts import PATIENCE_S
from tests.chaos.mutants import MUTANTS, become_taskrunner
from tests.chaos.storm import Plan, Service
from tests.integration.agent_harness import wait_for

_FORKS = multiprocessing.get_context("forkserver")


class ForkedService(Service):
    """A service as the storm has it, with another way to start it."""

    def __init__(self, folder: Path, plan: Plan, history: History) -> None:
        super().__init__(folder, plan, history)
        self._mutant = plan.service_mutant
        self._child: BaseProcess | None = None
        #: All of its lives say where they listen in a file of their own.
        self._lives = 0

    def start(self) -> None:
        """Start it and wait until it says where it listens."""
        _FORKS.set_forkserver_preload(["tests.chaos.forked_service_warm"])
        self._lives += 1
        said, log = self._folder / f"serve.out.{self._lives}", self._folder / "serve.log"
        argv = self._argv[self._argv.index("serve") :]
        # Not a daemon: such a process may have no children.
        self._child = _FORKS.Process(target=_serve, args=(argv, self._mutant, said, log))
        self._child.start()
        wait_for("its address", lambda: _address(said) or self.has_ended(), PATIENCE_S)
        found = _address(said)
        assert found, log.read_text()
        self.url = found
        said.unlink()
        self._history.add("service started", url=self.url)

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._child is not None
        assert self._child.pid is not None
        return self._child.pid

    def has_ended(self) -> bool:
        """Whether it has ended by itself, or was killed."""
        return self._child is not None and self._child.exitcode is not None

    def kill(self) -> None:
        """Kill -9."""
        self._history.add("service killed")
        assert self._child is not None
        self._child.kill()
        self._child.join()

    def stop(self) -> None:
        """Have it end."""
        if self._child is not None and not self.has_ended():
            self._child.terminate()
            self._child.join(PATIENCE_S / 2)
            self._child.kill()
            self._child.join()


def _address(said: Path) -> str | None:
    text = said.read_text() if said.exists() else ""
    found = re.search(r"http://[\d.:]+", text) if text.endswith("\n") else None
    return found[0] if found else None


def _serve(argv: list[str], mutant: str | None, said: Path, log: Path) -> None:
    # As the tests' own process may have it, a fork of the fork server need not.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    for path, descriptor in ((said, 1), (log, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if mutant is not None:
        MUTANTS[mutant]()
    sys.exit(become_taskrunner(argv))

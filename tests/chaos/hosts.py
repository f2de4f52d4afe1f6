"""Hosts that have nothing but an agent: killed, paused and started again as machines are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from taskrunner.clock import SystemClock
from taskrunner.host.process_tree import kill_tree
from tests.chaos.history import History

__all__ = ["PATIENCE_S", "Host", "program"]

PATIENCE_S = 60.0
_ROUNDS = 50
_CLOCK = SystemClock()


def program(mutant: str | None) -> list[str]:
    """How `taskrunner` is started, with one defence taken away if one is named."""
    module = ["taskrunner"] if mutant is None else ["tests.chaos.mutants", mutant]
    return [sys.executable, "-m", *module]


class Host:
    """One agent, its work folder, and everything that runs under it."""

    def __init__(
        self, name: str, folder: Path, options: Sequence[str], history: History, mutant: str | None
    ) -> None:
        self.name = name
        self.folder = folder / name
        #: The disk that the agent has for itself.
        self.disk = self.folder / "disk"
        self.disk.mkdir(parents=True)
        self.paused: list[psutil.Process] = []
        self._options = options
        self._history = history
        self._mutant = mutant
        self._process: subprocess.Popen[bytes] | None = None
        self._life = 0
        self._disks = 0

    @property
    def life(self) -> str:
        """What the agent calls its host: another word for each start."""
        return f"{self.name}.{self._life}"

    @property
    def work_dir(self) -> Path:
        return self.disk / f"work{self._disks}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, fresh: bool = False) -> None:
        """Start the agent; `fresh`: the machine was replaced, its disk is gone."""
        self._life += 1
        self._disks += fresh
        argv = [*program(self._mutant), "--work-dir", str(self.work_dir)]
        argv += ["--hostname", self.life, *self._options]
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true",
            # If the tests are killed, nobody else would end it.
            "TASKRUNNER_EXIT_WITH_PARENT": str(os.getpid()),
        }
        with (self.folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ
            )
        self._history.add("start", host=self.life, fresh=fresh)

    def kill_agent(self) -> None:
        """Kill -9 the agent alone: its fork server has to end what it ran."""
        self._history.add("kill", host=self.life, what="agent")
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_host(self) -> None:
        """Everything at once, as when power goes."""
        self._history.add("kill", host=self.life, what="host")
        assert self._process is not None
        kill_tree(self._process.pid)
        self._process.wait()

    def kill_fork_server(self) -> None:
        """Kill -9 the agent's helper: the agent notices, and ends with 71."""
        assert self._process is not None
        helpers = psutil.Process(self.pid).children()
        if not helpers:
            self.kill_agent()  # it has only just begun
            return
        self._history.add("kill", host=self.life, what="fork server")
        helpers[0].kill()
        self._process.wait(PATIENCE_S)

    def pause(self, *, agent_only: bool = False) -> None:
        """SIGSTOP the whole host, or the agent alone while its tasks go on."""
        self._history.add("stop", host=self.life, agent_only=agent_only)
        root = psutil.Process(self.pid)
        self.paused = [root]
        root.suspend()
        for _ in range(0 if agent_only else _ROUNDS):
            fresh = [p for p in root.children(recursive=True) if p not in self.paused]
            if not fresh:
                break
            for process in fresh:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
            self.paused += fresh

    def resume(self) -> None:
        """SIGCONT all that was paused."""
        for process in reversed(self.paused):
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self.paused = []
        self._history.add("continue", host=self.life)

    @property
    def busy(self) -> bool:
        """Whether something runs under the fork server: most likely a task."""
        with suppress(psutil.NoSuchProcess, IndexError):
            return bool(psutil.Process(self.pid).children()[0].children())
        return False

    def end(self) -> None:
        """The storm is over: nothing of the host is left."""
        if self._process is not None:
            kill_tree(self._process.pid)
            self._process.wait()


def pause_for(seconds: float) -> None:
    """Let time pass: chaos needs moments, not conditions."""
    _CLOCK.wait(threading.Event(), seconds)

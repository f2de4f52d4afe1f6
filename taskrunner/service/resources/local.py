"""Resources as processes of this host: each is an agent that polls the resource's group."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.base import Launch, ResourceFailure


class LocalProcesses:
    """Runs `taskrunner --worker-group ...` for each resource, as an EC2 instance would."""

    def __init__(
        self,
        agent_args: Sequence[str],
        *,
        folder: Path,
        logs: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """`agent_args` are the flags that every agent gets besides its worker group.

        Each agent has a folder of its own under `folder`; with `logs` all of them keep the logs
        of attempts there.
        """
        self._agent_args = list(agent_args)
        self._folder = folder
        self._logs = logs
        self._env = dict(env) if env is not None else None
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def launch(self, wanted: Launch) -> str:
        """Start the resource's agent. Raises ResourceFailure."""
        row = wanted.row
        if row.worker_group is None:
            raise ResourceFailure(f"{row.instance_id} has no worker group")
        return self.start(row.worker_group)

    def start(self, worker_group: str) -> str:
        """Start an agent for a worker group; returns its handle. Raises ResourceFailure."""
        argv = [sys.executable, "-m", "taskrunner", "--worker-group", worker_group]
        home = self._home(worker_group)
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._share_logs(home)
            with (home / "agent.log").open("ab") as log:
                # A session of its own: Ctrl-C at the terminal is for us to pass on.
                process = subprocess.Popen(  # noqa: S603 - our own program
                    [*argv, "--work-dir", str(home), *self._agent_args],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self._env,
                    start_new_session=True,
                )
        except OSError as error:
            raise ResourceFailure(f"no agent could be started: {error.strerror}") from error
        handle = f"process:{process.pid}"
        with self._lock:
            self._running[handle] = process
        return handle

    def reason(self, row: InstanceRow) -> str:
        """The last line that the resource's agent wrote."""
        return self.last_words(row.worker_group) if row.worker_group else ""

    def last_words(self, worker_group: str) -> str:
        """The last line that the group's agent wrote."""
        with contextlib.suppress(OSError):
            log = self._home(worker_group) / "agent.log"
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            return lines[-1] if lines else "it said nothing"
        return "it left no log"

    def look_after(self, now: datetime) -> None:
        """Nothing: what runs is our child."""

    def _home(self, worker_group: str) -> Path:
        # A name that any group gives and that no other group has: groups are free text.
        readable = re.sub(r"[^A-Za-z0-9.-]+", "_", worker_group)[:80]
        return self._folder / f"{readable}-{zlib.crc32(worker_group.encode()):08x}"

    def _share_logs(self, home: Path) -> None:
        """Have the agent keep its attempts' logs in the folder common to all."""
        own = home / "output" / "logs"
        if self._logs is not None and not own.exists():
            self._logs.mkdir(parents=True, exist_ok=True)
            own.parent.mkdir(parents=True, exist_ok=True)
            own.symlink_to(self._logs.absolute(), target_is_directory=True)

    def alive(self, handle: str) -> bool:
        """Whether the process runs; one that this service did not start counts as gone."""
        process = self._running.get(handle)
        return process is not None and process.poll() is None

    def takes_work(self, handle: str) -> bool:
        """It asks for work itself."""
        return False

    def end(self, handle: str) -> bool:
        """Ask the agent to drain; true once it has ended."""
        process = self._running.get(handle)
        if process is None or process.poll() is not None:
            with self._lock:
                self._running.pop(handle, None)
            return True
        if handle not in self._asked:
            self._asked.add(handle)
            self._signal(process, signal.SIGTERM)
        return False

    def close(self, *, grace_s: float = 10) -> None:
        """End every agent: drain, then cancel, then kill. May be called again if interrupted."""
        with self._lock:
            running = list(self._running.values())
        for sign, patience in ((signal.SIGTERM, grace_s), (signal.SIGTERM, grace_s / 2)):
            left = [process for process in running if process.poll() is None]
            for process in left:
                self._signal(process, sign)
            _wait(left, patience)
        for process in running:
            if process.poll() is None:
                self._signal(process, signal.SIGKILL)
                process.wait()
        with self._lock:
            self._running.clear()

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], sign: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, sign)


def _wait(processes: Sequence[subprocess.Popen[bytes]], patience_s: float) -> None:
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience_s)

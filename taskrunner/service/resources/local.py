"""Resources as processes of this host: each is an agent that polls the resource's group."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from taskrunner.model.rows import InstanceRow
from taskrunner.service.resources.base import ResourceFailure

__all__ = ["LocalProcesses"]


class LocalProcesses:
    """Runs `taskrunner --worker-group ...` for each resource, as an EC2 instance would."""

    def __init__(
        self, agent_args: Sequence[str], *, log_dir: Path, env: Mapping[str, str] | None = None
    ) -> None:
        """`agent_args` are the flags that every agent gets besides its worker group."""
        self._agent_args = list(agent_args)
        self._log_dir = log_dir
        self._env = dict(env) if env is not None else None
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._asked: set[str] = set()
        self._lock = threading.Lock()

    def launch(self, row: InstanceRow) -> str:
        """Start the resource's agent. Raises ResourceFailure."""
        if row.worker_group is None:
            raise ResourceFailure(f"{row.instance_id} has no worker group")
        return self.start(row.worker_group)

    def start(self, worker_group: str) -> str:
        """Start an agent for a worker group; returns its handle. Raises ResourceFailure."""
        argv = [sys.executable, "-m", "taskrunner", "--worker-group", worker_group]
        name = worker_group.replace("/", "_").replace(":", "_")
        try:
            self._log_dir.mkdir(parents=True, exist_ok=True)
            with (self._log_dir / f"{name}.log").open("ab") as log:
                # A session of its own: Ctrl-C at the terminal is for us to pass on.
                process = subprocess.Popen(  # noqa: S603 - our own program
                    [*argv, *self._agent_args],
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

    def alive(self, handle: str) -> bool:
        """Whether the process runs; one that this service did not start counts as gone."""
        process = self._running.get(handle)
        return process is not None and process.poll() is None

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
        """End every agent: drain, then cancel, then kill."""
        with self._lock:
            running = list(self._running.values())
            self._running.clear()
        for sign, patience in ((signal.SIGTERM, grace_s), (signal.SIGTERM, grace_s / 2)):
            left = [process for process in running if process.poll() is None]
            for process in left:
                self._signal(process, sign)
            _wait(left, patience)
        for process in running:
            if process.poll() is None:
                self._signal(process, signal.SIGKILL)
                process.wait()

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], sign: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, sign)


def _wait(processes: Sequence[subprocess.Popen[bytes]], patience_s: float) -> None:
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=patience_s)

"""A PostgreSQL server of a test's own, to be killed with all of its processes and started again.

Unlike the server that all tests share it writes a commit to its log before it says so: a kill -9
loses what a process has not yet given to the kernel.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.server_process import (
    Account,
    StartFailed,
    await_answer,
    free_port,
    start_process,
    stop_process,
    temporary_folder,
)
from tests.servers import (
    DATABASE,
    PASSWORD,
    USER,
    postgresql_argv,
    postgresql_folder,
    postgresql_prepare,
    postgresql_reached,
)

DURABLE: Mapping[str, str] = {"synchronous_commit": "on", "full_page_writes": "on"}


class MortalPostgresql:
    """The server; `url` stays the same over its lives."""

    def __init__(self, folder: Path, account: Account, settings: Mapping[str, str]) -> None:
        self._folder, self._account = folder, account
        self._admin_password = secrets.token_hex(16)
        # Smaller segments: a small disk holds some.
        postgresql_folder(folder, account, self._admin_password, "--wal-segsize=1")
        self.port = free_port()
        self.url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"
        self._argv = postgresql_argv(folder, self.port, {**DURABLE, **settings})
        self._process: subprocess.Popen[bytes] | None = None
        self._start(lambda: postgresql_prepare(self.port, self._admin_password))

    def start(self) -> None:
        """Start it over the same files, and wait until it answers."""
        self._start(lambda: postgresql_reached(self.url))

    def _start(self, reached: Callable[[], None]) -> None:
        self._process = start_process(self._argv, self._folder, self._account, signal.SIGINT)
        await_answer(self._process, reached, self._folder)

    def revive(self) -> None:
        """Wait until it has come to itself again; if it has given up, start it."""
        assert self._process is not None
        try:
            await_answer(self._process, lambda: postgresql_reached(self.url), self._folder)
        except StartFailed:
            stop_process(self._process, signal.SIGQUIT)
            self.start()

    def pids(self) -> list[int]:
        """Its processes, the postmaster first."""
        assert self._process is not None
        root = psutil.Process(self._process.pid)
        return [root.pid, *(child.pid for child in root.children(recursive=True))]

    def kill(self) -> None:
        """Kill -9 the postmaster and all backends."""
        assert self._process is not None
        processes = [psutil.Process(pid) for pid in self.pids()]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(processes[1:], timeout=30)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            stop_process(self._process, signal.SIGINT)


@contextmanager
def mortal_postgresql(
    settings: Mapping[str, str], folder: Path | None = None
) -> Iterator[MortalPostgresql]:
    """A server in `folder`, or in one of its own; gone with the block."""
    account = Account.unprivileged("postgres")
    with temporary_folder("mortal-pg", account) as own:
        server = MortalPostgresql(folder or own, account, settings)
        try:
            yield server
        finally:
            server.stop()

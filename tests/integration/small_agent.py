"""An agent process with a clean environment, for tests of how it reaches the service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 60.0


class SmallAgent:
    """The process and its log."""

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        options: tuple[str, ...],
        program: Sequence[str] = ("taskrunner",),
    ) -> None:
        """`program` is a module that becomes `taskrunner`, with the arguments it takes itself."""
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "agent.log"
        argv = [sys.executable, "-m", *program, "--work-dir", str(folder / "work")]
        argv += ["--log-format", "json", "--log-level", "debug", "--allow-root", *options]
        clean = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**clean, **environ},
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """As when the host loses its power: the agent and all that it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def small_agent(
    folder: Path, *options: str, program: Sequence[str] = ("taskrunner",), **environ: str
) -> Iterator[SmallAgent]:
    """An agent that ends with the block."""
    agent = SmallAgent(folder, environ, options, program)
    try:
        yield agent
    finally:
        if agent.process.poll() is None:
            agent.process.send_signal(signal.SIGQUIT)
            try:
                agent.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                agent.kill()

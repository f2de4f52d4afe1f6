"""Runs a command and fails when it leaves a process or a file of TMPDIR behind.

    python scripts/check_leftovers.py -- COMMAND ARGUMENT...

Every process that the command starts, however detached, becomes this one's child when its parent
ends (PR_SET_CHILD_SUBREAPER), so that none is overlooked. A process that is gone holds no port.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
#: Helpers of multiprocessing notice only after a moment that their parent has gone.
GRACE_S = 5.0
#: pytest keeps the folders of its last runs, to look into.
KEPT = "pytest-of-"


def main(arguments: list[str]) -> int:
    if arguments[:1] != ["--"] or len(arguments) < 2:
        print("usage: check_leftovers.py -- COMMAND ARGUMENT...", file=sys.stderr)
        return 2
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        print("check_leftovers: cannot become the reaper of orphans", file=sys.stderr)
        return 2
    folder = Path(tempfile.mkdtemp(prefix="check-"))
    folder.chmod(0o755)  # database servers run as another user and must get to their folders
    try:
        code = run(arguments[1:], folder)
        problems = processes() + files(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for problem in problems:
        print(f"left behind: {problem}", file=sys.stderr)
    return code or (1 if problems else 0)


def run(command: list[str], folder: Path) -> int:
    child = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(folder)})
    # Ctrl-C reaches the child by itself; whoever stops this process means the child.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child.pid, signal.SIGTERM))
    status = 0
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, ended = os.wait()  # orphans too, so that none stays as a zombie
            if pid == child.pid:
                status = ended
                break
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def processes() -> list[str]:
    """What still runs after a grace time, killed and named."""
    threading.Thread(target=reap, daemon=True).start()
    _, alive = psutil.wait_procs(psutil.Process().children(recursive=True), timeout=GRACE_S)
    found = []
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(f"process {process.pid}: {' '.join(process.cmdline())[:200]}")
            process.kill()
    return found


def reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def files(folder: Path) -> list[str]:
    names = sorted(entry.name for entry in folder.iterdir())
    return [f"temporary file {name}" for name in names if not name.startswith(KEPT)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

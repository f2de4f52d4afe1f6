"""Removing an attempt's scratch folder; only its logs stay."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import suppress

from taskrunner.agent.forks.children import Spawner
from taskrunner.agent.ipc.attempt_roles import CLEANER
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.clock import Clock
from taskrunner.logs import get_logger

log = get_logger()

_LONGEST_REMOVAL_S = 600.0


def remove_scratch(files: AttemptFiles, spawner: Spawner, clock: Clock) -> None:
    """Remove what an attempt leaves that is no log; what another user owns, as that user."""
    if files.user is not None and files.command_dir.exists():
        gone = threading.Event()
        request = {"user": files.user, "folder": str(files.command_dir)}
        child = spawner.spawn(CLEANER, json.dumps(request).encode(), on_exit=gone.set)
        if not clock.wait(gone, _LONGEST_REMOVAL_S):
            child.end(0.0)
        with suppress(OSError):  # told below
            files.command_dir.rmdir()  # empty by now, and not for us to look into
    shutil.rmtree(files.scratch, ignore_errors=True)
    if files.scratch.exists():
        log.warning("scratch folder not removed", path=str(files.scratch))

"""The folders of an attempt, as children make and remove them, whoever owns them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from taskrunner.agent.attempt_process.attempt_logs import start_afresh
from taskrunner.agent.ipc.names import AttemptFiles
from taskrunner.host.users import User

_TRIES = 10


def make_folders(files: AttemptFiles, user: User | None) -> None:
    """Make the folders of an attempt, and its logs; called in its process.

    The folder of another user's commands is that user's own. What leads there lets all pass and
    lists nothing; the logs can be written to by whoever is given them, and by nobody else, since
    nobody else gets to their folder.
    """
    for folder in (files.log_dir, files.work_dir):
        _make(folder)
    start_afresh(files.log_dir)
    if user is None:
        return
    for name in ("StdOutput", "StdError"):
        # So that /dev/stdout and /dev/stderr can be opened by a command.
        (files.log_dir / name).chmod(0o622)
    # Its name is not to be guessed, and is listed nowhere: who gets there was told.
    files.scratch.chmod(0o733)
    with user.assumed():
        files.command_dir.mkdir(mode=0o700)
    files.scratch.chmod(0o711)


def _make(folder: Path) -> None:
    # Parents that are empty just now may be removed just now, with older logs.
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return
    folder.mkdir(parents=True, exist_ok=True)


def remove_as_user(payload: bytes, users: Mapping[str, User]) -> None:
    """What the cleaner does, in a process of its own: be the user, and remove a folder."""
    request = json.loads(payload)
    user = users.get(request["user"]) or User.named(request["user"])
    user.become()
    folder = Path(request["folder"])
    _open_up(folder)
    with suppress(OSError):  # the folder itself, which is the agent's to remove
        shutil.rmtree(folder, onerror=_go_on)


def _open_up(folder: Path) -> None:
    """Give the owner back the rights to its folders, without which they cannot be emptied."""
    with suppress(OSError):
        folder.chmod(0o700)
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(parent, name)
            with suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)


def _go_on(_function: Callable[..., object], _path: str, _error: object) -> None:
    """Error handler of the removal: skip what cannot be removed and go on."""

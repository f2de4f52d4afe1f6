"""The console of a run that is over: its store and its logs, as they lie in its folder."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from taskrunner.cli.run_folders import looked_at
from taskrunner.console.table import console
from taskrunner.errors import StoreError, UsageError
from taskrunner.service.auth_keys import ROLES
from taskrunner.service.callers import ANONYMOUS
from taskrunner.service.engine import Service
from taskrunner.service.loopback import LoopbackServer
from taskrunner.service.settings import LogSettings, ServiceSettings

#: The store of a run, what SQLite may have left beside it, and the key of its secrets.
STORE = "service.db"
_OF_STORE = (STORE, f"{STORE}-wal", f"{STORE}-key")


@contextmanager
def shown(folder: Path, serve_on: Callable[[], LoopbackServer] = LoopbackServer) -> Iterator[str]:
    """Serve the pages of a run until the block ends; the address of its pipeline's.

    Nothing in the folder is changed, and visitors can change nothing. Raises UsageError.
    """
    with ExitStack() as stack:
        stack.enter_context(looked_at(folder))
        # A store that is opened may be brought up to date, and remembers by whom.
        copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="taskrunner-ui-")))
        service = _opened(folder, copy)
        stack.callback(service.stop)
        server = serve_on()
        pages = console(keys=False, actions=ROLES["viewer"], for_shells=False)
        stack.enter_context(server.serving(service, pages))
        yield server.pages_url + first_page(service)


def first_page(service: Service) -> str:
    """The path of the page of a run's pipeline."""
    found, _ = service.pipelines(ANONYMOUS, None, 1)
    return f"/p/{found[0].pipeline_id}/grid" if found else "/"


def _opened(folder: Path, copy: Path) -> Service:
    logs = LogSettings(kept=folder / "logs")
    try:
        for name in _OF_STORE:
            if (folder / name).exists() or name == STORE:
                shutil.copy(folder / name, copy / name)
        return Service(ServiceSettings(database_url=f"sqlite:///{copy / STORE}", logs=logs))
    except (OSError, StoreError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{folder}: its store cannot be opened: {reason}") from None

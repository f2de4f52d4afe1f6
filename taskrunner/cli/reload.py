"""SIGHUP: the settings read anew, and what of them takes effect without a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from taskrunner import logs
from taskrunner.config.load import Loaded
from taskrunner.config.settings import SETTINGS, Settings
from taskrunner.errors import ConfigError
from taskrunner.logs import get_logger

log = get_logger()

_LEVELS = ("debug", "info", "warning", "error")


class Reloader:
    """Reads what was read at the start once more; the log says what changed and what did not."""

    def __init__(self, settings: Settings, reread: Callable[[], Loaded]) -> None:
        self._settings = settings
        self._reread = reread

    def __call__(self) -> Settings | None:
        """The settings in force now; None when they are wrong and nothing changes."""
        try:
            new = self._reread().settings
        except ConfigError as error:
            log.error("settings not reloaded: they are wrong", error=str(error))  # noqa: TRY400
            return None
        old = self._settings
        changed = [s for s in SETTINGS if getattr(old, s.name) != getattr(new, s.name)]
        taken = {s.name: getattr(new, s.name) for s in changed if s.live}
        # The more talkative of both levels says it, so that a change to a quieter one is told.
        logs.configure(
            level=min(old.log_level, new.log_level, key=_LEVELS.index), form=new.log_format
        )
        log.info(
            "settings reloaded",
            changed={name: f"{getattr(old, name)} -> {value}" for name, value in taken.items()},
            need_restart=[s.name for s in changed if not s.live],
        )
        logs.configure(level=new.log_level, form=new.log_format)
        self._settings = replace(old, **taken)
        return self._settings

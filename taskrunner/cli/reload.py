"""SIGHUP: the settings read anew, and what of them takes effect without a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import structlog

from taskrunner import logs
from taskrunner.agent.agent_settings import Reloaded
from taskrunner.agent.logs.janitor import Retention
from taskrunner.config.load import Loaded, Settings
from taskrunner.errors import ConfigError

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

#: The settings that a running agent takes over.
LIVE = (
    "log_interval",
    "keep_logs_days",
    "keep_logs_size",
    "keep_logs_count",
    "log_level",
    "log_format",
    "drain_timeout",
    "progress_interval",
    "min_free_disk",
    "group_weights",
)


def retention_of(settings: Settings) -> Retention:
    """How much of the logs may stay on this host."""
    return Retention(
        days=settings.keep_logs_days,
        size=settings.keep_logs_size,
        count=settings.keep_logs_count,
    )


_LEVELS = ("debug", "info", "warning", "error")


class Reloader:
    """Reads what was read at the start once more; the log says what changed and what did not."""

    def __init__(self, settings: Settings, reread: Callable[[], Loaded]) -> None:
        self._settings = settings
        self._reread = reread

    def __call__(self) -> Reloaded | None:
        """The settings that can change; None when they are wrong now and nothing changes."""
        try:
            new = self._reread().settings
        except ConfigError as error:
            log.error("settings not reloaded: they are wrong", error=str(error))  # noqa: TRY400
            return None
        changed = [f.name for f in fields(new) if self._value(f.name) != getattr(new, f.name)]
        live = {name: getattr(new, name) for name in LIVE}
        before = {name: str(self._value(name)) for name in changed if name in LIVE}
        # The more talkative of both levels says it, so that a change to a quieter one is told.
        both = (self._settings.log_level, new.log_level)
        logs.configure(level=min(both, key=_LEVELS.index), form=new.log_format)
        log.info(
            "settings reloaded",
            changed={name: f"{old} -> {live[name]}" for name, old in before.items()},
            need_restart=[name for name in changed if name not in LIVE],
        )
        logs.configure(level=new.log_level, form=new.log_format)
        self._settings = replace(self._settings, **live)
        return Reloaded(
            drain_timeout_s=new.drain_timeout,
            progress_interval_s=new.progress_interval,
            min_free_disk=new.min_free_disk,
            log_interval_s=new.log_interval,
            retention=retention_of(new),
            group_weights=new.group_weights,
        )

    def _value(self, name: str) -> object:
        return getattr(self._settings, name)

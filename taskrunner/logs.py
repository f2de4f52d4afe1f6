"""The agent's own log: structlog on stderr, JSON for machines, text for a person at a terminal.

It is never mixed with what tasks write: their logs are files of their own.
"""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TextIO

# structlog loads rich, where it is installed, to draw tracebacks that we do not ask for, and
# asyncio for methods that we do not call: 7 MB and 70 ms that an agent is better without. None
# makes the first import fail, which structlog expects; the second gets an empty module.
_KEPT_OUT: dict[str, ModuleType | None] = {"rich": None, "asyncio": ModuleType("asyncio")}
_ABSENT = _KEPT_OUT.keys() - sys.modules.keys()
for _name in _ABSENT:
    sys.modules[_name] = _KEPT_OUT[_name]  # type: ignore[assignment]
import structlog  # noqa: E402

for _name in _ABSENT:
    del sys.modules[_name]

__all__ = ["configure"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(*, level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Set up logging for this process; `form` is auto, text or json."""
    target = stream or sys.stderr
    text = form == "text" or (form == "auto" and target.isatty())
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _with_thread,
    ]
    if text:
        plain = structlog.dev.plain_traceback
        processors.append(_text_renderer(colors=target.isatty(), formatter=plain))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    # Libraries log through the standard module; only what matters of that is shown.
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), stream=target, force=True)


def _text_renderer(
    *, colors: bool, formatter: structlog.typing.ExceptionRenderer
) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=colors, timestamp_key="ts", exception_formatter=formatter
    )


def _with_thread(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    import threading

    event["thread"] = threading.current_thread().name
    return event

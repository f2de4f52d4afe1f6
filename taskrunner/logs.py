"""The log of agent and service: structlog on stderr, text for people, JSON for machines.

People are those at a terminal and those who read systemd's journal. It is never mixed with what
tasks write: their logs are files of their own.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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


_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


#: systemd reads a line's priority from its beginning: `journalctl -p warning` shows what matters.
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
#: What the journal knows by itself, or says in the line's beginning.
_UNTOLD = ("ts", "thread", "level", "event", "error", "exception")


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The log; a record is a constant message with its facts as keywords.

    Until `configure` is called, warnings and errors go to stderr as text and the rest nowhere.
    """
    if not structlog.is_configured():
        quiet: list[structlog.typing.Processor] = [
            _only_warnings,
            *_FACTS,
            _printable,
            _text_renderer(colors=False),
        ]
        _set_up("debug", quiet, None)
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


#: Takes each line of the log as JSON, besides what stderr shows.
_also: Callable[[str], None] | None = None


def also_to(write: Callable[[str], None] | None) -> None:
    """From now on give each line, as JSON, to this too; it must not raise. None: to nobody."""
    global _also  # noqa: PLW0603  one process has one log
    _also = write


def configure(
    *,
    level: str = "info",
    form: str = "auto",
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Set up logging for this process; `form` is auto, text or json."""
    target = stream or sys.stderr
    processors = [*_FACTS, _copied]
    if form == "auto" and _is_journal(target, os.environ if environ is None else environ):
        processors += [structlog.processors.format_exc_info, _for_the_journal]
    elif form == "text" or (form == "auto" and target.isatty()):
        processors += [_printable, _text_renderer(colors=target.isatty())]
    else:
        processors += [structlog.processors.format_exc_info, _in_order, _JSON]
    _set_up(level, processors, target)
    # Libraries log through the standard module; only what matters of that is shown.
    least = max(_LEVELS[level], logging.WARNING)
    logging.basicConfig(level=least, handlers=[_Forward()], force=True)
    logging.getLogger("taskrunner").setLevel(_LEVELS[level])


def _set_up(
    level: str, processors: list[structlog.typing.Processor], stream: TextIO | None
) -> None:
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Writer(stream),
        cache_logger_on_first_use=False,
    )


_JSON = structlog.processors.JSONRenderer()


class _Writer:
    """Writes lines to a stream; what it does not take (a full disk) is lost, and nothing else.

    Without a stream, to what is stderr at the moment.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream or sys.stderr
        with suppress(OSError, ValueError):
            stream.write(line + "\n")
            stream.flush()

    log = debug = info = warn = warning = error = critical = fatal = exception = msg


class _Forward(logging.Handler):
    """Brings what libraries log into the same form: one record, whatever its text holds."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        log = structlog.get_logger()
        log.log(record.levelno, text, logger=record.name, exc_info=record.exc_info or None)


def _only_warnings(
    _logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if name in {"debug", "info"}:
        raise structlog.DropEvent
    return event


def _copied(
    logger: structlog.typing.WrappedLogger, name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    if _also is not None:
        record = structlog.processors.format_exc_info(logger, name, {**event})
        _also(str(_JSON(logger, name, _in_order(logger, name, record))))
    return event


def _printable(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """On a terminal a task's texts must not do what control characters do."""
    return {key: _shown(value) if isinstance(value, str) else value for key, value in event.items()}


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether systemd's journal takes what is written: it says to which file it listens."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _in_order(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """When, how grave and what first: a person looks at JSON, too."""
    first = {key: event.pop(key) for key in ("ts", "level", "event") if key in event}
    return {**first, **event}


def _for_the_journal(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> str:
    """What happened and why, then the facts; no text can begin a line of its own."""
    text = str(event.get("event", ""))
    if (error := event.get("error")) is not None:
        text += f": {error}"
    facts = (f"{key}={_fact(value)}" for key, value in event.items() if key not in _UNTOLD)
    lines = [_shown(" ".join([text, *facts])), *_traceback(event)]
    priority = _PRIORITIES.get(str(event.get("level")), 6)
    return "\n".join(f"<{priority}>{line}" for line in lines)


def _traceback(event: structlog.typing.EventDict) -> Iterator[str]:
    yield from map(_shown, str(event.get("exception", "")).splitlines())


def _fact(value: object) -> str:
    if isinstance(value, str):
        return value if re.fullmatch(r"[^\s\"=]+", value) else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, default=str)


def _shown(text: str) -> str:
    """Without anything that a terminal or the journal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _text_renderer(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(
        colors=colors, timestamp_key="ts", exception_formatter=plain
    )


def _with_thread(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    import threading

    event["thread"] = threading.current_thread().name
    return event


#: What every record says of itself.
_FACTS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    _with_thread,
]

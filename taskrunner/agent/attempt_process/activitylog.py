"""Activity.log: the attempt's own log, in the form that AWS's Task Runner writes.

29 Jun 2022 06:29:59,745 [INFO] (<thread>) <pipelineId> <logger>: <message>
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ActivityLogFormatter(logging.Formatter):
    """One record in AWS's form; secrets are masked in message and traceback alike."""

    def __init__(self, pipeline_id: str, mask: Callable[[str], str]) -> None:
        super().__init__()
        self._pipeline_id = pipeline_id
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """The record as text; a traceback follows on lines of its own."""
        text = (
            f"{_timestamp(record.created)} [{record.levelname}] ({record.threadName}) "
            f"{self._pipeline_id} {record.name}: {record.getMessage()}"
        )
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return self._mask(text)


def _timestamp(created: float) -> str:
    # Month names by table: strftime's follow the locale.
    at = datetime.fromtimestamp(created, UTC)
    return f"{at:%d} {_MONTHS[at.month - 1]} {at:%Y %H:%M:%S},{at.microsecond // 1000:03d}"


def open_activity_log(
    path: Path,
    formatter: logging.Formatter,
    *,
    wrap: Callable[[logging.Handler], logging.Handler] = lambda handler: handler,
) -> logging.Handler:
    """Send everything that is logged in this process, libraries' warnings included, to a file."""
    file = logging.FileHandler(path, mode="a", encoding="utf-8", errors="backslashreplace")
    file.setFormatter(formatter)
    handler = wrap(file)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("taskrunner").setLevel(logging.INFO)
    return handler

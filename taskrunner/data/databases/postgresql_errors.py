"""What PostgreSQL, or its client library, says of a failure, and the errorId for it."""

from __future__ import annotations

import re

import psycopg

from taskrunner.errors import ErrorId

_ERROR_IDS = {
    "28": ErrorId.ACCESS_DENIED,
    "42501": ErrorId.ACCESS_DENIED,
    "3D": ErrorId.NOT_FOUND,
    "3F": ErrorId.NOT_FOUND,
    "42P01": ErrorId.NOT_FOUND,
    "08": ErrorId.CONNECTION_FAILED,
    "53300": ErrorId.CONNECTION_FAILED,
    "57P": ErrorId.CONNECTION_FAILED,
    "53100": ErrorId.STORAGE_FULL,
}
_LINE = re.compile(r"^COPY .*?, line (\d+)", re.MULTILINE)
#: A refused connection comes without a code, so that its text has to do.
_REFUSED = {
    re.compile("authentication failed|no pg_hba.conf entry|role .* does not exist|no password"): (
        ErrorId.ACCESS_DENIED
    ),
    re.compile("database .* does not exist"): ErrorId.NOT_FOUND,
}


def reason_of(error: Exception) -> str:
    """What the server says, without the statement that it may quote."""
    diagnosis = getattr(error, "diag", None)
    if diagnosis is None or not diagnosis.message_primary:
        return " ".join(str(error).split()) or type(error).__name__
    parts = [diagnosis.message_primary, diagnosis.message_detail, diagnosis.context]
    text = "; ".join(" ".join(part.split()) for part in parts if part)
    return f"{text} (SQLSTATE {diagnosis.sqlstate})"


def line_of(error: psycopg.Error) -> int | None:
    """The line of what COPY was given that is wrong, from 1."""
    found = _LINE.search(error.diag.context or "")
    return int(found[1]) if found else None


def is_of_rows(error: BaseException | None) -> bool:
    """Whether it is a row that the server refuses: a data exception, or a violated constraint."""
    while error is not None:
        if isinstance(error, psycopg.Error):
            return (error.sqlstate or "")[:2] in {"22", "23"}
        error = error.__cause__
    return False


def error_id_of(error: Exception) -> str:
    """The errorId for what went wrong."""
    state = getattr(error, "sqlstate", None)
    if state:
        lengths = (5, 3, 2)
        found = (_ERROR_IDS.get(state[:length]) for length in lengths)
        return next((error_id for error_id in found if error_id), ErrorId.ACTIVITY_FAILED)
    for pattern, error_id in _REFUSED.items():
        if pattern.search(str(error)):
            return error_id
    lost = isinstance(error, psycopg.OperationalError)
    return ErrorId.CONNECTION_FAILED if lost else ErrorId.ACTIVITY_FAILED

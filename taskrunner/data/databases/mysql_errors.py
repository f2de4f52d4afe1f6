"""What MySQL's errors mean."""

from __future__ import annotations

import pymysql

from taskrunner.errors import ErrorId

_ERROR_IDS = {
    1021: ErrorId.STORAGE_FULL,
    1040: ErrorId.CONNECTION_FAILED,
    1044: ErrorId.ACCESS_DENIED,
    1045: ErrorId.ACCESS_DENIED,
    1046: ErrorId.NOT_FOUND,
    1049: ErrorId.NOT_FOUND,
    1114: ErrorId.STORAGE_FULL,
    1142: ErrorId.ACCESS_DENIED,
    1143: ErrorId.ACCESS_DENIED,
    1146: ErrorId.NOT_FOUND,
    1203: ErrorId.CONNECTION_FAILED,
    1227: ErrorId.ACCESS_DENIED,
    1698: ErrorId.ACCESS_DENIED,
    2002: ErrorId.CONNECTION_FAILED,
    2003: ErrorId.CONNECTION_FAILED,
    2006: ErrorId.CONNECTION_FAILED,
    2013: ErrorId.CONNECTION_FAILED,
    2014: ErrorId.CONNECTION_FAILED,
    2026: ErrorId.CONNECTION_FAILED,
}


def code_of(error: BaseException) -> int:
    """The server's or the client library's number; 0 where there is none."""
    first = error.args[0] if isinstance(error, pymysql.err.Error) and error.args else 0
    return first if isinstance(first, int) else 0


def error_id_of(error: BaseException) -> str:
    """The errorId for what went wrong."""
    code = code_of(error)
    default = ErrorId.ACTIVITY_FAILED if code else ErrorId.CONNECTION_FAILED
    return _ERROR_IDS.get(code, default)


def reason_of(error: BaseException) -> str:
    """What the server says."""
    if code_of(error) and len(error.args) > 1:
        return f"{error.args[1]} (error {error.args[0]})"
    return str(error) or type(error).__name__


#: What is wrong with a value, or with a row beside others: "Server Error Message Reference".
_OF_ROWS = {
    1048, 1062, 1136, 1216, 1264, 1265, 1292, 1366, 1367, 1369, 1406, 1416, 1452, 1586, 1690, 3140,
    3819, 4025,
}  # fmt: skip


def is_of_rows(error: BaseException | None) -> bool:
    """Whether it is a row that the server refuses."""
    while error is not None:
        if code_of(error) in _OF_ROWS:
            return True
        error = error.__cause__
    return False

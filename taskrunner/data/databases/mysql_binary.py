"""Queries with FLOAT columns, read by MySQL's binary protocol.

As text the server gives six digits of a FLOAT, which do not read back as the same number. A query
is prepared first, which tells its columns; one that has a FLOAT is run as a prepared statement,
whose rows come in binary. Their texts are the server's own, but that a FLOAT has all its digits.
Source of the formats: MySQL's documentation of the client/server protocol, "Binary Protocol
Resultset"; of the texts of floats, my_gcvt in MySQL's strings/dtoa.cc.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import COMMAND, FIELD_TYPE
from pymysql.cursors import SSCursor
from pymysql.protocol import FieldDescriptorPacket

from taskrunner.errors import TaskError

_UNSIGNED, _ZEROFILL = 32, 64
#: The scale of a float whose digits are not fixed.
_NOT_FIXED = 31
#: Digits around the point before the server writes an exponent.
_PLAIN_DIGITS = 15
_LARGEST_SINGLE = 3.4028234663852886e38
#: What cannot be prepared (SHOW of some kinds), and no room for another prepared statement.
_NOT_PREPARED = {1295, 1461}
_INTEGERS = {
    FIELD_TYPE.TINY: ("<b", "<B"),
    FIELD_TYPE.SHORT: ("<h", "<H"),
    FIELD_TYPE.YEAR: ("<H", "<H"),
    FIELD_TYPE.INT24: ("<i", "<I"),
    FIELD_TYPE.LONG: ("<i", "<I"),
    FIELD_TYPE.LONGLONG: ("<q", "<Q"),
}
_MOMENTS = {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP}


def execute(cursor: SSCursor, query: str) -> None:
    """Run a query so that its rows come as the server sends them, floats with all their digits.

    Raises TaskError for a FLOAT in an answer whose columns are not known before it comes.
    """
    connection: Any = cursor.connection
    prepared = _prepare(connection, query)
    if prepared is not None:
        connection._execute_command(COMMAND.COM_STMT_EXECUTE, struct.pack("<IBI", prepared, 0, 1))
        result = _BinaryResult(connection)
        result.init_unbuffered_query()
        _take(connection, cursor, result, query)
        return
    cursor.execute(query)
    answer = getattr(cursor, "_result")  # noqa: B009  not in the stubs
    fields = getattr(answer, "fields", ())
    floats = [field.name for field in fields if field.type_code == FIELD_TYPE.FLOAT]
    if floats:
        # Else the cursor would read all rows when it goes.
        answer.unbuffered_active, answer.connection = False, None
        connection.close()
        message = (
            f"the query's column {floats[0]!r} is a FLOAT, of which the server sends six digits "
            "only when the query is none that can be prepared; wanted CAST(... AS DOUBLE)"
        )
        raise TaskError(message)


def _take(connection: Any, cursor: Any, result: Any, query: str) -> None:
    """Let the cursor read the result, as after a query of its own."""
    connection._result = cursor._result = result
    cursor._executed = query
    cursor.description, cursor.rowcount, cursor.rownumber = result.description, -1, 0


def _prepare(connection: Any, query: str) -> int | None:
    """Prepare a query; the statement's number when it has a FLOAT among its columns, else None."""
    try:
        connection._execute_command(COMMAND.COM_STMT_PREPARE, query)
        number, columns, parameters = _told(connection)
    except pymysql.err.Error as error:
        if error.args and error.args[0] in _NOT_PREPARED:
            return None
        raise
    for _ in range(parameters + bool(parameters)):
        connection._read_packet()
    kinds = [connection._read_packet(FieldDescriptorPacket).type_code for _ in range(columns)]
    if columns:
        connection._read_packet()
    if FIELD_TYPE.FLOAT in kinds and not parameters:
        return number
    connection._execute_command(COMMAND.COM_STMT_CLOSE, struct.pack("<I", number))
    return None


def _told(connection: Any) -> tuple[int, int, int]:
    packet = connection._read_packet()
    status, number, columns, parameters = struct.unpack("<BIHH", packet.read(9))
    if status != 0:
        raise pymysql.err.InternalError("the server's answer is none to a prepared statement")
    return number, columns, parameters


class _BinaryResult(MySQLResult):
    """A result whose rows are in binary; the text of each value is what a query would give."""

    fields: list[Any]
    converters: list[tuple[str | None, Callable[[Any], Any] | None]]

    def _read_row_from_packet(self, packet: Any) -> tuple[Any, ...]:
        packet.advance(1)
        nulls = int.from_bytes(packet.read((len(self.fields) + 9) // 8), "little") >> 2
        return tuple(
            None if nulls >> n & 1 else self._value(packet, field, n)
            for n, field in enumerate(self.fields)
        )

    def _value(self, packet: Any, field: Any, position: int) -> Any:
        kind = field.type_code
        if kind in _INTEGERS:
            return _integer(packet, field)
        if kind == FIELD_TYPE.FLOAT:
            (number,) = struct.unpack("<f", packet.read(4))
            return single_text(number, field.scale)
        if kind == FIELD_TYPE.DOUBLE:
            (number,) = struct.unpack("<d", packet.read(8))
            return double_text(number, field.scale)
        if kind in _MOMENTS:
            return _moment(packet.read(packet.read_uint8()), field)
        if kind == FIELD_TYPE.TIME:
            return _time(packet.read(packet.read_uint8()), field.scale)
        data = packet.read_length_coded_string()
        encoding, convert = self.converters[position]
        if encoding is not None:
            data = data.decode(encoding)
        return convert(data) if convert is not None else data


def single_text(number: float, scale: int) -> str:
    """The fewest digits that read back as a number of 4 bytes: six, where the server's do."""
    if scale < _NOT_FIXED:
        return f"{number:.{scale}f}"
    for digits in (6, 7, 8, 9, 17):
        text = f"{number:.{digits - 1}e}"
        if abs(float(text)) <= _LARGEST_SINGLE and _single(text) == number:
            break
    return _layout(text)


def double_text(number: float, scale: int) -> str:
    """The text of a number of 8 bytes, as the server writes it."""
    return f"{number:.{scale}f}" if scale < _NOT_FIXED else _layout(f"{number!r}")


def _single(text: str) -> float:
    return float(struct.unpack("<f", struct.pack("<f", float(text)))[0])


def _layout(text: str) -> str:
    """The server's layout of the digits: an exponent for very large and very small numbers."""
    sign = "-" if text.startswith("-") else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if not digits:
        return f"{sign}0"
    if not -_PLAIN_DIGITS < point <= _PLAIN_DIGITS:
        behind = f".{digits[1:]}" if digits[1:] else ""
        return f"{sign}{digits[0]}{behind}e{point - 1}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    behind = f".{digits[point:]}" if digits[point:] else ""
    return f"{sign}{digits[:point].ljust(point, '0')}{behind}"


def _integer(packet: Any, field: Any) -> str:
    form = _INTEGERS[field.type_code][bool(field.flags & _UNSIGNED)]
    (number,) = struct.unpack(form, packet.read(struct.calcsize(form)))
    text = str(number)
    zeros = field.flags & _ZEROFILL or field.type_code == FIELD_TYPE.YEAR
    return text.zfill(field.length) if zeros else text


def _fraction(micros: int, scale: int) -> str:
    return f".{micros:06}"[: 1 + scale] if 0 < scale < _NOT_FIXED else ""


def _moment(data: bytes, field: Any) -> str:
    year, month, day, hour, minute, second, micros = struct.unpack(
        "<HBBBBBI", data.ljust(11, b"\0")
    )
    text = f"{year:04}-{month:02}-{day:02}"
    if field.type_code in {FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE}:
        return text
    return f"{text} {hour:02}:{minute:02}:{second:02}{_fraction(micros, field.scale)}"


def _time(data: bytes, scale: int) -> str:
    negative, days, hours, minutes, seconds, micros = struct.unpack(
        "<BIBBBI", data.ljust(12, b"\0")
    )
    sign = "-" if negative else ""
    return f"{sign}{days * 24 + hours:02}:{minutes:02}:{seconds:02}{_fraction(micros, scale)}"

r"""MySQL and MariaDB write the lines of a file: the SQL that has them do it, and who reads them.

Each row is one text, made by CONCAT, so that of the client's work only the cutting of packets is
left. The server is asked for what a query would give without running it, and only what is known to
print alike in both ways is written so: see `line_of`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import COMMAND, FIELD_TYPE
from pymysql.protocol import FieldDescriptorPacket

from taskrunner.data.databases.mysql_functions import gives_the_same_each_time
from taskrunner.data.databases.mysql_quoted import in_quotes_if_needed, literal
from taskrunner.data.databases.text import MOST_IN_VALUE, Lines, NotAsText, Pace, check_line
from taskrunner.data.formats.encoding import NULL, Encoder
from taskrunner.data.formats.quoting import QuotedEncoder, Quoting, TextDialect
from taskrunner.data.formats.server_text import copies, with_marks_escaped

_PREPARE, _CLOSE = 0x16, 0x19
#: What the server prints of these has no character that any dialect escapes, but for a minus, a
#: colon or a blank.
_NUMBERS = {
    FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.LONG, FIELD_TYPE.INT24, FIELD_TYPE.LONGLONG,
    FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.DOUBLE, FIELD_TYPE.YEAR, FIELD_TYPE.NULL,
    FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.TIME, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP,
}  # fmt: skip
_STRINGS = {
    FIELD_TYPE.VARCHAR, FIELD_TYPE.VAR_STRING, FIELD_TYPE.STRING, FIELD_TYPE.TINY_BLOB,
    FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB, FIELD_TYPE.BLOB,
}  # fmt: skip
#: The server moves all that is behind each character that it escapes: of a row with a value longer
#: than this, it gives the hexadecimal digits of each value, and no newline behind them.
_LONG = 8192
#: How a binary value's text begins.
_HEX = r"\x"
_IN_NUMBERS = frozenset("+-: eE")
#: What the texts of numbers, times and binary values are made of.
_IN_PLAIN = frozenset("0123456789.+-: eEabcdfx\\")
#: A binary column's character set.
_BINARY = 63
_TABLE = re.compile(r"SELECT \* FROM ((?:`(?:[^`]|``)+`\.)?`(?:[^`]|``)+`)")
#: With any of these, even in a text, a query is not put inside of another one: it might lose its
#: order, its variables or its meaning.
_NOT_INSIDE = re.compile(
    r"\b(?:distinct|distinctrow|except|fetch|for|group|having|intersect|into|limit|lock|offset|"
    r"order|over|procedure|rand|rownum|sql_\w+|straight_join|union|window|with)\b|[@;]|/\*M?!",
    re.IGNORECASE,
)
_SELECT = re.compile(r"\s*SELECT\b", re.IGNORECASE)
#: A packet of this length goes on in the next one.
_WHOLE = 0xFFFFFF
#: How a packet begins: a text's length in one byte, in two, in three or in eight; NULL; an error.
_LENGTHS = {0xFC: 3, 0xFD: 4, 0xFE: 9}
_NULL, _ERROR, _END = 0xFB, 0xFF, 0xFE


@dataclass(frozen=True, slots=True)
class Column:
    """What the server says of a column before a query runs."""

    name: str
    type: int
    charset: int
    #: Of its longest value, in bytes.
    length: int = 0


def columns_of(connection: Any, query: str) -> list[Column]:
    """The columns that a query would give; raises PyMySQL's error if it is no single statement."""
    connection._execute_command(_PREPARE, query)
    packet = connection._read_packet()
    statement, columns, parameters = struct.unpack("<xIHH", packet.get_all_data()[:9])
    found: list[Column] = []
    for count in (parameters, columns):
        found = [_column(connection) for _ in range(count)]
        if count:
            connection._read_packet()
    connection._execute_command(_CLOSE, struct.pack("<I", statement))
    return [] if parameters else found


def _column(connection: Any) -> Column:
    field = connection._read_packet(FieldDescriptorPacket)
    return Column(field.name, field.type_code, field.charsetnr, field.length)


def can_be_inside(query: str) -> bool:
    """Whether a query, a single statement, means the same inside of another one."""
    return (
        bool(_SELECT.match(query))
        and not _NOT_INSIDE.search(query)
        and gives_the_same_each_time(query)
    )


def table_of(query: str) -> str | None:
    """The table, as it stands in SQL, where the query wants all of it."""
    found = _TABLE.fullmatch(query)
    return found[1] if found else None


def is_one_step(plan: Sequence[Mapping[str, str | None]]) -> bool:
    """Whether a query is answered row by row, by what EXPLAIN says: a view may have an order."""
    return all(
        step["select_type"] == "SIMPLE"
        and not re.search("filesort|temporary", step["Extra"] or "", re.IGNORECASE)
        for step in plan
    )


def select_lines(query: str, columns: Sequence[Column], dialect: TextDialect) -> str | None:
    """The SQL that gives a query's rows as lines; None where they might differ from the rows."""
    names = [f"`{column.name.replace('`', '``')}`" for column in columns]
    table = table_of(query)
    if table is None:
        # The names of an author's columns may be anything, the same twice too.
        names = [f"`c{number}`" for number, _ in enumerate(columns)]
    named = list(zip(columns, names, strict=True))
    texts = [_text(column, name) for column, name in named]
    if None in texts:
        return None
    values = _values(named, dialect)
    between = f", {literal(dialect.separator)}, "
    line = f"CONCAT({between.join(values)}, {literal(chr(10))})"
    long = [name for column, name in named if column.type in _STRINGS and column.length > _LONG]
    if long:
        digits = (
            f"IF({n} IS NULL, 'N', HEX({text}))" for n, text in zip(names, texts, strict=True)
        )
        is_long = " OR ".join(f"OCTET_LENGTH({name}) > {_LONG}" for name in long)
        whole = ", ',', ".join(digits)
        line = f"IF({is_long}, CONCAT({whole}), {line})"
    if table is not None:
        return f"SELECT {line} FROM {table}"  # noqa: S608  the names are quoted
    return f"WITH `q` ({', '.join(names)}) AS ({query}\n) SELECT {line} FROM `q`"  # noqa: S608


def _text(column: Column, name: str) -> str | None:
    r"""The SQL of a column's text; None for what might have another one when its rows are read.

    So has FLOAT, since its text has not all of its digits. What MySQL has and MariaDB has not
    (JSON, VECTOR), and what few have (GEOMETRY), is left to the way by rows.
    """
    if column.type == FIELD_TYPE.BIT:
        return f"CAST(CAST({name} AS UNSIGNED) AS CHAR)"
    if column.type in _NUMBERS:
        return f"CAST({name} AS CHAR)"
    if column.type not in _STRINGS:
        return None
    if column.charset == _BINARY:
        return f"CONCAT({literal(_HEX)}, LOWER(HEX({name})))"
    return f"CONVERT({name} USING utf8mb4)"


def _values(named: Sequence[tuple[Column, str]], dialect: TextDialect) -> list[str]:
    """The SQL of each column's value in a line."""
    if isinstance(dialect, Quoting):
        return [
            _or_null(name, _quoted(column, name, dialect, n == 0, len(named) == 1), "")
            for n, (column, name) in enumerate(named)
        ]
    return [_or_null(name, _value(column, name, dialect.separator), NULL) for column, name in named]


def _quoted(column: Column, name: str, quoting: Quoting, is_first: bool, is_only: bool) -> str:
    """The SQL of a column's value in a line of RFC 4180, where it is not NULL."""
    text = _text(column, name) or name
    is_any = column.type in _STRINGS and column.charset != _BINARY
    if not is_any and not {quoting.separator, quoting.quote} & _IN_PLAIN:
        return name if column.type in _NUMBERS else text
    return in_quotes_if_needed(text, quoting, is_first=is_first, is_only=is_only)


def _value(column: Column, name: str, separator: str) -> str:
    """The SQL of a column's value in a line, where it is not NULL."""
    if column.type in _STRINGS and column.charset == _BINARY:
        return f"CONCAT({literal(chr(92) + _HEX)}, LOWER(HEX({name})))"
    if column.type in _STRINGS:
        return _escaped(name, separator)
    if separator in _IN_NUMBERS:
        return _escaped(_text(column, name) or name, separator)
    return f"CAST({name} AS UNSIGNED)" if column.type == FIELD_TYPE.BIT else name


def _or_null(name: str, value: str, null: str) -> str:
    # Not IFNULL: a text that the server finds too long to work with is NULL, and must be noticed.
    return f"IF({name} IS NULL, {literal(null)}, {value})"


def _escaped(value: str, separator: str) -> str:
    for character in ("\\", separator, "\n"):
        value = f"REPLACE({value}, {literal(character)}, {literal(chr(92) + character)})"
    return value


class LineReader:
    """Reads the answer to `select_lines`, cut from the stream of packets by hand."""

    def __init__(
        self, connection: Any, columns: Sequence[Column], *, dialect: TextDialect, source: str
    ) -> None:
        self._connection = connection
        self._stream = connection._rfile
        self.names = tuple(column.name for column in columns)
        self._dialect = dialect
        self._encoder: Encoder | QuotedEncoder
        if isinstance(dialect, Quoting):
            self._encoder = QuotedEncoder(dialect)
        else:
            self._encoder = Encoder(dialect)
        self._source = source
        self._rows = 0
        self._pace = Pace()
        self.is_done = False

    def begin(self, sql: str) -> None:
        """Run the query; raises PyMySQL's errors."""
        self._connection._execute_command(COMMAND.COM_QUERY, sql)
        for _ in ("the number of columns", "the column", "its end"):
            self._connection._read_packet()

    def lines(self) -> Iterator[Lines]:
        """All lines; raises NotAsText for one that the server found too long."""
        data, found, size = b"", list[bytes](), 0
        while True:
            before = len(found)
            position, done = self._cut(data, found)
            self.is_done = done
            size += sum(map(len, found[before:]))
            data = data[position:]
            if size >= self._pace.size or (done and found):
                whole = b"".join(found)
                self._rows += len(found)
                count, found, size = len(found), [], 0
                if not isinstance(self._dialect, Quoting):
                    # One that ends a row would be taken for a part of the line end.
                    whole = with_marks_escaped(whole.replace(b"\r\n", b"\\\r\n"))
                yield Lines(whole, count)
                del whole
                self._pace.grow()
            if done:
                return
            data = self._more(data, found)

    def _cut(self, data: bytes, found: list[bytes]) -> tuple[int, bool]:
        """Add the lines whose packets are whole; where the next begins, and if that was the end."""
        position, have = 0, len(data)
        while position + 4 < have:
            size = data[position] | data[position + 1] << 8 | data[position + 2] << 16
            end = position + 4 + size
            if end > have or size == _WHOLE:
                break
            first = data[position + 4]
            if first < _NULL:
                found.append(data[position + 5 : end])
            elif first == _END and size < 9:
                return end, True
            else:
                found.append(self._other(data[position + 4 : end]))
            position = end
        return position, False

    def _other(self, packet: bytes) -> bytes:
        """The line of a packet that begins in none of the ways of a short one."""
        if packet[0] == _ERROR:
            self.is_done = True
            pymysql.err.raise_mysql_exception(packet)
        if packet[0] == _NULL:
            raise NotAsText
        line = packet[_LENGTHS[packet[0]] :]
        return line if line.endswith(b"\n") else self._of_digits(line)

    def _of_digits(self, line: bytes) -> bytes:
        """A row of which the server gave its values' hexadecimal digits."""
        values = [None if v == b"N" else bytes.fromhex(v.decode()) for v in line.split(b",")]
        return self._encoder.encode([[None if v is None else v.decode() for v in values]])

    def _more(self, data: bytes, found: list[bytes]) -> bytes:
        """Some more of the stream; a line of several packets is read to its end."""
        if len(data) >= 3 and data[:3] == b"\xff\xff\xff":
            found.append(self._other(self._long(data, len(found))))
            return b""
        missing = 4 + int.from_bytes(data[:3], "little") - len(data) if len(data) >= 4 else 1
        most = self._pace.size
        piece = self._read(missing) if missing > most else self._stream.read1(most)
        if not piece:
            raise pymysql.err.OperationalError(2013, "Lost connection to the server during query")
        return data + piece

    def _long(self, data: bytes, waiting: int) -> bytes:
        pieces: list[bytes] = []
        size, total = _WHOLE, 0
        header, data = data[:4], data[4:]
        while True:
            size = int.from_bytes(header[:3], "little")
            pieces.append(data[:size] + self._read(size - len(data)))
            data = data[size:]
            total += size
            if total > MOST_IN_VALUE:
                self._refuse(b"".join(pieces), self._rows + waiting + 1)
            if size < _WHOLE:
                return b"".join(pieces)
            header, data = data[:4] + self._read(4 - len(data)), data[4:]

    def _refuse(self, line: bytes, number: int) -> None:
        """Raise for the value that is too long, of which there may be more to come."""
        where = f"{self._source}: row {number}"
        check_line(line, self.names, self._dialect, where=where, most=MOST_IN_VALUE)

    def _read(self, size: int) -> bytes:
        if size <= 0:
            return b""
        data: bytes = self._connection._read_bytes(size)
        return data


def begin_lines(
    connection: Any, query: str, dialect: TextDialect, *, source: str
) -> LineReader | None:
    """The lines of a query; None, and nothing begun, where the server does not make them of it."""
    if not copies(dialect):
        return None
    try:
        columns = columns_of(connection, query)
        sql = select_lines(query, columns, dialect) if columns else None
        if sql is None or not (table_of(query) or _is_answered_row_by_row(connection, query)):
            return None
        reader = LineReader(connection, columns, dialect=dialect, source=source)
        reader.begin(sql)
    except pymysql.err.Error:
        # What is wrong is told when the rows are read; often it is only this way.
        return None
    return reader


def _is_answered_row_by_row(connection: Any, query: str) -> bool:
    if not can_be_inside(query):
        return False
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"EXPLAIN {query}")
        names = [column[0] for column in cursor.description or ()]
        return is_one_step([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])

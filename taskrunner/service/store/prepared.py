"""Statements of the paths that every task takes, executed by the driver itself.

SQLAlchemy compiles them, once for each database and each set of names that values come under, and
says how values go in and come out; what it does besides for each execution costs ten times what
SQLite needs to carry a short statement out. Transactions and savepoints stay SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import visitors
from sqlalchemy.sql.expression import UpdateBase
from sqlalchemy.types import TypeEngine

from taskrunner.model.rows import Row

R = TypeVar("R", bound=Row)

#: Longer lists are not filled up: a database takes so many values and no more. Nor are statements
#: for them kept: each length has one of its own.
_MOST_FILLED = 256

Values = Mapping[str, Any]
_Processor = Callable[[Any], Any]


class _Source(NamedTuple):
    """Where a parameter of the compiled statement takes its value from."""

    #: The caller's name for it; None: the value is the statement's own.
    key: str | None = None
    #: Which one of the caller's list it is; None: the value is no list.
    place: int | None = None
    #: What the driver is given for a value; None: the value itself.
    processor: _Processor | None = None
    own: Any = None


@dataclass(slots=True)
class _Compiled:
    """A statement as one database takes it."""

    text: str
    sources: Sequence[_Source]
    #: What the driver calls the parameters; None: it takes them in their order.
    names: Sequence[str] | None
    #: What to make of the driver's values, by their places; None: not known before the first rows.
    outputs: list[tuple[int, _Processor]] | None = field(default=None)

    def parameters(self, values: Values) -> Any:
        given = []
        for key, place, processor, own in self.sources:
            if key is None:
                given.append(own)
                continue
            value = values[key]
            if place is not None:
                # A list that is shorter than the statement's is filled up with its last value.
                value = value[min(place, len(value) - 1)]
            given.append(value if processor is None else processor(value))
        return tuple(given) if self.names is None else dict(zip(self.names, given, strict=True))


class Prepared:
    """A statement of SQLAlchemy's, compiled once for each use of it."""

    def __init__(self, statement: sa.Select[Any] | sa.CompoundSelect[Any] | UpdateBase) -> None:
        self.statement = statement
        #: Values that are lists, for `IN`: a statement takes as many as it is compiled for.
        self._lists = sorted(
            element.key
            for element in visitors.iterate(statement)
            if isinstance(element, sa.BindParameter) and element.expanding and element.required
        )
        columns: Sequence[sa.ColumnElement[Any]] = (
            () if isinstance(statement, UpdateBase) else tuple(statement.selected_columns)
        )
        self._names = tuple(str(column.key) for column in columns)
        self._types: list[TypeEngine[Any]] = [column.type for column in columns]
        self._compiled: dict[Any, _Compiled] = {}

    # -- what it is asked for ---------------------------------------------------------------------

    def change(self, conn: Connection, values: Values) -> int:
        """Execute a statement that changes rows; how many it has."""
        cursor, _ = self._execute(conn, values)
        count: int = cursor.rowcount
        cursor.close()
        return count

    def change_all(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Execute a statement without lists once for each of these, all with the same names."""
        if not rows:
            return
        compiled = self._compiled_for(conn, rows[0])
        parameters = [compiled.parameters(values) for values in rows]
        for listener in conn.dispatch.before_cursor_execute:
            listener(conn, None, compiled.text, parameters, None, True)
        driver: Any = conn.connection.driver_connection
        with closing(driver.cursor()) as cursor:
            try:
                cursor.executemany(compiled.text, parameters)
            except conn.dialect.loaded_dbapi.Error as error:
                raise _translated(conn, error, compiled.text) from error

    def tuples(self, conn: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Every row that it finds."""
        cursor, compiled = self._execute(conn, values)
        try:
            found = self._fetched(conn, cursor.fetchall, compiled)
            outputs = self._outputs(conn.dialect, cursor, compiled)
        finally:
            cursor.close()
        if not outputs:
            return [tuple(row) for row in found]
        return [_processed(row, outputs) for row in found]

    def first(self, conn: Connection, values: Values) -> tuple[Any, ...] | None:
        """The first row that it finds, if it finds any."""
        cursor, compiled = self._execute(conn, values)
        try:
            row = self._fetched(conn, cursor.fetchone, compiled)
            return row and _processed(row, self._outputs(conn.dialect, cursor, compiled))
        finally:
            cursor.close()

    def scalar(self, conn: Connection, values: Values) -> Any:
        """The first column of the first row; None when there is none."""
        row = self.first(conn, values)
        return row[0] if row else None

    def rows(self, conn: Connection, cls: type[R], values: Values) -> list[R]:
        """Every row that it finds, as a class whose fields its columns are."""
        return [self._as(cls, found) for found in self.tuples(conn, values)]

    def first_row(self, conn: Connection, cls: type[R], values: Values) -> R | None:
        """The first row that it finds, as a class whose fields its columns are."""
        found = self.first(conn, values)
        return self._as(cls, found) if found else None

    def first_joined(
        self, conn: Connection, classes: Sequence[type[Row]], values: Values
    ) -> tuple[Any, ...] | None:
        """The first row of a join of tables, as a class for each of them, in their order.

        None stands for a table that an outer join has found nothing in.
        """
        found = self.first(conn, values)
        if found is None:
            return None
        parts, begin = [], 0
        for cls in classes:
            columns: tuple[str, ...] = cls.__slots__
            end = begin + len(columns)
            row, names = found[begin:end], self._names[begin:end]
            # The first column is of the key, which nothing has empty that is there.
            parts.append(None if row[0] is None else cls.of_all(names, row))
            begin = end
        return tuple(parts)

    def _as(self, cls: type[R], found: Sequence[Any]) -> R:
        return cls.of_all(self._names, found)

    # -- how --------------------------------------------------------------------------------------

    def _compiled_for(self, conn: Connection, values: Values) -> _Compiled:
        rooms = [_room(len(values[name])) for name in self._lists]
        key = (conn.dialect.name, *values, *rooms)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compile(conn.dialect, values)
            if max(rooms, default=0) <= _MOST_FILLED:
                self._compiled[key] = compiled
        return compiled

    def _execute(self, conn: Connection, values: Values) -> tuple[Any, _Compiled]:
        compiled = self._compiled_for(conn, values)
        parameters = compiled.parameters(values)
        # Whoever listens to SQLAlchemy's statements hears of these too.
        for listener in conn.dispatch.before_cursor_execute:
            listener(conn, None, compiled.text, parameters, None, False)
        # Of drivers without asyncio it is the driver's own, at a third of the way to that.
        driver: Any = conn.connection.dbapi_connection
        try:
            return driver.execute(compiled.text, parameters), compiled
        except conn.dialect.loaded_dbapi.Error as error:
            raise _translated(conn, error, compiled.text) from error

    def _fetched(self, conn: Connection, fetch: Callable[[], Any], compiled: _Compiled) -> Any:
        try:
            return fetch()
        except conn.dialect.loaded_dbapi.Error as error:  # SQLite finds rows as they are fetched
            raise _translated(conn, error, compiled.text) from error

    def _compile(self, dialect: Dialect, values: Values) -> _Compiled:
        done = self.statement.compile(dialect=dialect, column_keys=list(values))
        filled = {name: list(values[name])[:1] * _room(len(values[name])) for name in self._lists}
        state = done.construct_expanded_state({**values, **filled})
        lists = {
            name: (key, index)
            for key, names in state.parameter_expansion.items()
            for index, name in enumerate(names)
        }
        names = list(state.positiontup or () if done.positional else state.parameters)
        sources = []
        for name in names:
            key, index = lists.get(name, (name, None))
            processor = done.binds[key].type.dialect_impl(dialect).bind_processor(dialect)
            if key in values:
                sources.append(_Source(key, index, processor))
            else:
                own = state.parameters[name]
                sources.append(_Source(own=processor(own) if processor else own))
        return _Compiled(state.statement, sources, None if done.positional else names)

    def _outputs(
        self, dialect: Dialect, cursor: Any, compiled: _Compiled
    ) -> list[tuple[int, _Processor]]:
        if compiled.outputs is None:
            found: list[tuple[int, _Processor]] = []
            for place, (kind, told) in enumerate(zip(self._types, cursor.description, strict=True)):
                processor = kind.dialect_impl(dialect).result_processor(dialect, told[1])
                if processor is not None:
                    found.append((place, processor))
            compiled.outputs = found
        return compiled.outputs


def say(conn: Connection, text: str) -> None:
    """Execute a statement that has no values and answers nothing, such as of a savepoint."""
    driver: Any = conn.connection.driver_connection
    try:
        driver.execute(text)
    except conn.dialect.loaded_dbapi.Error as error:
        raise _translated(conn, error, text) from error


def _room(length: int) -> int:
    """For how many values a list of so many is compiled: few statements serve every short one."""
    return 1 << (length - 1).bit_length() if 0 < length <= _MOST_FILLED else length


def _processed(found: Sequence[Any], outputs: Sequence[tuple[int, _Processor]]) -> tuple[Any, ...]:
    row = list(found)
    for place, processor in outputs:
        row[place] = processor(row[place])
    return tuple(row)


def _translated(conn: Connection, error: Any, text: str) -> Exception:
    """The driver's error as SQLAlchemy raises it; a connection that is cut is not used again."""
    base = conn.dialect.loaded_dbapi.Error
    is_cut = conn.dialect.is_disconnect(error, conn.connection, None)
    if is_cut:
        conn.invalidate(error)
    found: Exception = DBAPIError.instance(
        text,
        None,
        error,
        base,
        hide_parameters=True,  # they hold secrets
        connection_invalidated=is_cut,
        dialect=conn.dialect,
    )
    return found

"""Transactions over a connection: what Redshift and its stand-in share."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg
from psycopg import sql

from taskrunner.data.databases.postgresql import PostgreSqlDatabase
from taskrunner.data.databases.postgresql_errors import error_id_of, reason_of
from taskrunner.data.redshift.session import Done, Rows, Shape, Step, StepFailed
from taskrunner.errors import TaskError

_NAME = re.compile(r'"((?:[^"]|"")*)"')

#: A table's columns, each with whether the server makes its values and whether rows are placed
#: or sorted by it; `{identity}` and `{other}` differ between servers.
COLUMNS = (
    "SELECT a.attname, CASE WHEN {identity} THEN 't' ELSE 'f' END, "
    "CASE WHEN {other} THEN 't' ELSE 'f' END "
    "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE n.nspname = {schema} AND c.relname = {table} AND a.attnum > 0 AND NOT a.attisdropped "
    "ORDER BY a.attnum"
)
PRIMARY_KEY = (
    "SELECT a.attname FROM pg_catalog.pg_constraint k "
    "JOIN pg_catalog.pg_class c ON c.oid = k.conrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(k.conkey) "
    "WHERE k.contype = 'p' AND n.nspname = {schema} AND c.relname = {table} ORDER BY a.attnum"
)


def names_in(quoted: str) -> tuple[str, str]:
    """Schema and table of a quoted name."""
    schema, table = (part.replace('""', '"') for part in _NAME.findall(quoted))
    return schema, table


def shape_of(name: str, columns: Rows, primary_key: Rows) -> Shape:
    """A table from the answers to the two queries above."""
    return Shape(
        name=name,
        short_name=names_in(name)[1],
        columns=tuple(str(row[0]) for row in columns),
        identity=tuple(str(row[0]) for row in columns if row[1] == "t"),
        primary_key=tuple(str(row[0]) for row in primary_key),
        other_key=tuple(str(row[0]) for row in columns if row[2] == "t"),
    )


class TransactingDatabase(PostgreSqlDatabase):
    """A connection that runs the steps of a copy, all or none."""

    before_values = ""
    #: How this server's catalog tells a column whose values it makes, and one that places rows.
    identity: str
    other: str

    def literal(self, text: str) -> str:
        """A text as it stands in SQL."""
        raise NotImplementedError

    def run_step(self, step: Step) -> int:
        """Run one statement; returns its number of rows. Raises the driver's own errors."""
        return self.run_text(step.sql)

    def run_text(self, text: str) -> int:
        """Run one statement as it is, and drop what it answers."""
        with self._client_cursor() as cursor:
            return cursor.execute(sql.SQL(text)).rowcount

    def rows(self, query: str) -> Rows:
        """A small answer; no transaction stays open behind it."""
        with self._problems("look at the catalog"):
            try:
                with self._client_cursor() as cursor:
                    return cursor.execute(sql.SQL(query)).fetchall()
            finally:
                self._connection.rollback()

    def transact(self, steps: Sequence[Step], done: Done) -> None:
        """All statements, or nothing of them; raises StepFailed."""
        self._connection.rollback()
        for step in steps:
            failed: tuple[str, str] | None = None
            count = 0
            try:
                count = self.run_step(step)
            except (psycopg.Error, UnicodeError) as error:
                failed = reason_of(error), error_id_of(error)
            except TaskError as error:
                failed = str(error), error.error_id
            if failed is not None:
                self._give_up(step, *failed)
            done(step, count)
        self.commit()

    def _give_up(self, step: Step, reason: str, error_id: str) -> None:
        """Undo all, and say why: not within the error, which may quote the statement's keys."""
        message = self.spec.mask(f"cannot {step.about}: {self.spec}: {reason}")
        try:
            self._connection.rollback()
        except psycopg.Error as error:
            message += f"; {reason_of(error)}"
        raise StepFailed(message, step=step, error_id=error_id)

    def shape(self, name: str) -> Shape:
        """What the catalog knows of a table."""
        schema, table = map(self.literal, names_in(name))
        place = {"schema": schema, "table": table}
        columns = self.rows(COLUMNS.format(identity=self.identity, other=self.other, **place))
        return shape_of(name, columns, self.rows(PRIMARY_KEY.format(**place)))

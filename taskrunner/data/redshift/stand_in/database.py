"""The connection to a PostgreSQL that stands in for Redshift."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from taskrunner.data.databases.base import Target
from taskrunner.data.databases.script import Statement
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.objects.base import ObjectStore
from taskrunner.data.redshift.session import Done, LoadError, Step
from taskrunner.data.redshift.stand_in.conversions import Column
from taskrunner.data.redshift.stand_in.copying import Copying, TooManyErrors
from taskrunner.data.redshift.stand_in.ddl import for_postgresql
from taskrunner.data.redshift.stand_in.statements import (
    is_copy,
    is_unload,
    read_copy,
    read_unload,
)
from taskrunner.data.redshift.stand_in.unloading import Unloading
from taskrunner.data.redshift.transactions import TransactingDatabase
from taskrunner.errors import ErrorId, TaskError

#: A setting of Redshift's that PostgreSQL does not have.
_QUERY_GROUP = re.compile(r"\s*(?:RESET\s+query_group\b|SET\s+query_group\b)", re.IGNORECASE)
_TYPES = (
    "SELECT a.attname, format_type(a.atttypid, NULL), "
    "CASE WHEN a.atttypmod > 4 THEN a.atttypmod - 4 END "
    "FROM pg_attribute a WHERE a.attrelid = {table}::regclass "
    "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
)


class StandInDatabase(TransactingDatabase):
    """PostgreSQL; COPY, UNLOAD and CREATE TABLE are taken as Redshift takes them."""

    takes_keys = True
    needs_authorization = False
    identity = "a.attidentity <> ''"
    other = "FALSE"

    def __init__(self, spec: DatabaseSpec, objects: ObjectStore) -> None:
        super().__init__(spec)
        self._objects = objects
        self._load_errors: list[LoadError] = []

    def literal(self, text: str) -> str:
        """A text as it stands in SQL."""
        return "'" + text.replace("'", "''") + "'"

    def use_queue(self, queue: str) -> bool:
        """There is none, and a script need not know it."""
        return False

    def ensure_table(self, target: Target) -> None:
        """Run `createTableSql` without what only Redshift has."""
        sql = target.create_table_sql
        made = replace(target, create_table_sql=for_postgresql(sql)) if sql else target
        super().ensure_table(made)

    def transact(self, steps: Sequence[Step], done: Done) -> None:
        """All statements, or nothing of them; raises StepFailed."""
        self._load_errors = []
        super().transact(steps, done)

    def load_errors(self) -> list[LoadError]:
        """The rows that the last COPY did not take."""
        return self._load_errors

    def run_text(self, text: str) -> int:
        """Run one statement of Redshift's."""
        if is_copy(text):
            return self._load_files(text)
        if is_unload(text):
            return self._unload(text)
        if _QUERY_GROUP.match(text):
            return -1
        return super().run_text(for_postgresql(text))

    def _execute(self, statement: Statement, values: Sequence[str] | None) -> int:
        """A statement of a script; arguments go with PostgreSQL's own only."""
        text = statement.text
        if values:
            return super()._execute(statement, values)
        if is_copy(text) or is_unload(text) or _QUERY_GROUP.match(text):
            try:
                return self.run_text(text)
            except TooManyErrors as error:
                first = next(iter(self._load_errors), "")
                raise TaskError(f"{error}: {first}", error_id=error.error_id) from error
        if (changed := for_postgresql(text)) != text:
            return self.run_text(changed)
        return super()._execute(statement, values)

    def _load_files(self, text: str) -> int:
        copy = read_copy(text)
        named = _TYPES.format(table=self.literal(copy.table))
        with self._client_cursor() as cursor:
            found = cursor.execute(named.encode()).fetchall()
        known = {
            str(name): Column(name=str(name), type=str(kind), length=int(size) if size else None)
            for name, kind, size in found
        }
        missing = [name for name in copy.columns if name not in known]
        if missing:
            message = f'column "{missing[0]}" of relation {copy.table} does not exist'
            raise TaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        copying = Copying(
            connection=self._connection,
            objects=self._objects,
            copy=copy,
            table=copy.table,
            columns=[known[name] for name in copy.columns or known],
        )
        try:
            return copying.run()
        finally:
            self._load_errors = copying.errors

    def _unload(self, text: str) -> int:
        unload = read_unload(text)
        with self.stream(for_postgresql(unload.query)) as result:
            return Unloading(objects=self._objects, unload=unload).run(result)

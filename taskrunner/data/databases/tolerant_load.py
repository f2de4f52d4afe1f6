"""A load that puts aside the rows that a table does not take, and commits the others.

Rows go in by INSERT, batch by batch, each behind a savepoint. Where the server refuses a batch, or
a value is not kept, the row that is named is put aside and the rest is tried again; where none is
named, the batch is halved until one is left. Only what is wrong with rows counts: whatever else
fails (a connection, a lock, a full disk, a right) fails the load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from taskrunner.data.databases.base import Database, RowRefusedError, Target
from taskrunner.data.databases.insert import Inserter
from taskrunner.data.databases.script import parse_statement
from taskrunner.data.fitting.columns import Batch, LossyValueError, Row
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

#: Told the number of a row among all that are given, its values, and why it is put aside.
Reject = Callable[[int, Row, str], None]
_SAVEPOINT = "taskrunner_rows"


def width_of(database: Database, target: Target) -> int | None:
    """How many values the rows of a load must have; None where only the statement knows."""
    if target.columns:
        return len(target.columns)
    name = database.find_table(target.table, target.schema)
    if target.insert_query or name is None:
        return None
    columns = database.target_columns(name)
    return len([c for c in columns if not (c.is_generated or c.is_hidden)]) or None


class TolerantLoad:
    """One load, within its transaction."""

    def __init__(self, database: Database, target: Target, reject: Reject) -> None:
        self._database = database
        self._target = target
        self._reject = reject
        self._inserter: Inserter | None = None
        self.loaded = 0

    def run(self, batches: Iterable[Batch], *, before_commit: Callable[[int], None]) -> int:
        """Load; `before_commit` is told how many rows are loaded, and may raise. How many."""
        database, target = self._database, self._target
        if not database.has_savepoints:
            message = (
                f"{database.spec}: onBadRow reject needs savepoints as PostgreSQL, MySQL, MariaDB "
                "and SQLite have them (for Redshift, a RedshiftCopyActivity has MAXERROR)"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
        database.on_lossy_value = target.on_lossy_value
        database.prepare_load()
        database.ensure_table(target)
        if not target.insert_query:
            database.table(target.table, target.schema)
        database.check_target(target)
        first = 1
        for batch in batches:
            self._load(batch, first)
            first += len(batch)
        before_commit(self.loaded)
        database.commit_load()
        return self.loaded

    def _load(self, batch: Batch, first: int) -> None:
        waiting: list[tuple[int, Sequence[Row]]] = [(first, batch)]
        while waiting:
            start, rows = waiting.pop()
            found = self._tried(rows)
            if found is None:
                self.loaded += len(rows)
                continue
            number, reason = found
            if number is None and len(rows) > 1:
                half = len(rows) // 2
                waiting += [(start + half, rows[half:]), (start, rows[:half])]
                continue
            at = (number or 1) - 1
            self._reject(start + at, rows[at], reason)
            rest = [(start + at + 1, rows[at + 1 :]), (start, rows[:at])]
            waiting += [(begin, some) for begin, some in rest if some]

    def _tried(self, rows: Sequence[Row]) -> tuple[int | None, str] | None:
        """None when all rows are in; else which one is not (None: one of them), and why."""
        if self._inserter is None:
            self._inserter = Inserter(self._database, self._target, width=len(rows[0]))
        self._execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            self._inserter.insert(rows, first=1)
        except TaskError as error:
            if not self._database.refuses_rows(error):
                raise
            self._execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            return _row_of(error), _reason_of(error)
        self._execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
        return None

    def _execute(self, sql: str) -> None:
        self._database.execute(parse_statement(sql, self._database.dialect), None, alone=False)


def _row_of(error: TaskError) -> int | None:
    for one in (error, error.__cause__):
        if isinstance(one, LossyValueError | RowRefusedError):
            return one.row
    return None


def _reason_of(error: TaskError) -> str:
    return error.problem if isinstance(error, LossyValueError) else str(error.__cause__ or error)

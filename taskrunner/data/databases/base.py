r"""What a database driver does for the activities; third parties register theirs alike.

Every value is the server's own text, or None for NULL. Binary values are `\x` and hexadecimal
digits. A driver raises TaskError with the errorIds ACTIVITY_FAILED (the statement is wrong or
fails), NOT_FOUND, ACCESS_DENIED, CONNECTION_FAILED or STORAGE_FULL, and a message that names the
database object and its address; never its library's own exceptions, and never the password.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar, Self

from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.schemes import Scheme
from taskrunner.data.databases.script import Statement, parse_statement
from taskrunner.data.databases.script_run import Script, ScriptRun, StatementDone
from taskrunner.data.databases.script_session import ScriptSession
from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.data.databases.text import TextResult
from taskrunner.data.fitting.columns import Batch, LossyValueError, Row, TargetColumn
from taskrunner.data.fitting.rules import OnLossyValue
from taskrunner.data.formats.quoting import TextDialect
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

__all__ = [
    "Batch",
    "Converters",
    "Database",
    "DatabaseSpec",
    "Dialect",
    "Result",
    "Row",
    "Scheme",
    "Script",
    "Statement",
    "StatementDone",
    "Target",
    "TargetColumn",
]

Converters = Mapping[int, Callable[[str], object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A query's answer; the batches can be read once, while the query's block lasts."""

    columns: tuple[str, ...]
    batches: Iterator[Batch]
    #: The columns' types, as people write them; empty where the server does not tell.
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where rows go: into a table, or through an INSERT statement of the author's."""

    table: str
    schema: str | None = None
    #: The columns that the rows' values are for; empty: the table's own, in order.
    columns: tuple[str, ...] = ()
    #: A statement with a placeholder for each value of a row.
    insert_query: str | None = None
    #: Run first, in the same transaction where the database can, when the table is missing.
    create_table_sql: str | None = None
    #: What becomes of values that their columns cannot keep.
    on_lossy_value: OnLossyValue = OnLossyValue.FAIL

    @property
    def full_name(self) -> str:
        """The table's name for messages."""
        return f"{self.schema}.{self.table}" if self.schema else self.table


class RowRefusedError(TaskError):
    """The server takes none of some rows because of one: `row` of them, from 1."""

    def __init__(self, message: str, *, error_id: str, row: int) -> None:
        self.row = row
        super().__init__(message, error_id=error_id)


class Database(ScriptSession):
    """One connection, open inside a `with` block."""

    #: What is known of its addresses; its name is that of the entry point.
    scheme: ClassVar[Scheme]
    #: What the load that runs makes of values that their columns cannot keep.
    on_lossy_value = OnLossyValue.FAIL
    #: What an INSERT of ours says before VALUES.
    before_values: ClassVar[str] = ""
    #: What a table needs at its end so that its changes are part of transactions.
    table_options: ClassVar[str] = ""
    #: What stands for an empty text in tables of ours, where the server keeps none.
    no_text: ClassVar[str] = ""
    #: Whether it knows SAVEPOINT and RELEASE, so that a part of a transaction can be undone.
    has_savepoints: ClassVar[bool] = True
    #: Run at the end of a load, within its transaction: see `commit_load`.
    note_load: Callable[[], None] | None = None

    def __init__(self, spec: DatabaseSpec) -> None:
        self.spec = spec

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @abstractmethod
    def connect(self) -> None:
        """Open the connection; gives up after the spec's connect timeout."""

    @abstractmethod
    def close(self) -> None:
        """End the connection; what is not committed is undone. Never raises."""

    @abstractmethod
    def stream(self, query: str) -> AbstractContextManager[Result]:
        """Run a query and read its answer in batches, with bounded memory."""

    def whole_key(self, table: str) -> str | None:
        """A table's primary key, quoted, if it is one column of whole numbers; else None."""
        return None

    def begin_snapshot(self) -> None:
        """Let all that is read until the next commit be of one moment, where the server can."""

    def share_snapshot(self, others: Sequence[Database], table: str) -> None:
        """Let other connections to the same database read a table as it is at one moment.

        Raises PermanentTaskError where the server has no way to do that.
        """
        message = (
            f"{self.spec}: here several connections cannot read a table as it is at one moment, as "
            "partitions do: leave the field out"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)

    @contextmanager
    def stream_text(self, query: str, escapes: TextDialect) -> Iterator[TextResult | None]:
        """As `stream`, but as bytes of a text; None where `stream` has to be used.

        Its bytes are those that the format makes of the rows that `stream` gives. Reading them may
        raise NotAsText.
        """
        yield None

    @abstractmethod
    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """The name to use in SQL for a table, quoted; None when there is no such table."""

    @abstractmethod
    def insert(self, statement: Statement, rows: Iterable[Sequence[object]]) -> None:
        """Run an INSERT for each row, in the transaction that the first one begins."""

    def converters(self, table: str, columns: Sequence[str]) -> Converters:
        """For a table's columns whose values cannot be given as text: position to conversion."""
        return {}

    def target_columns(self, table: str) -> Sequence[TargetColumn]:
        """The columns of a table, with what each keeps; none: values are not looked at before."""
        return ()

    @abstractmethod
    def prepare_load(self) -> None:
        """Set the connection up so that no value is changed silently."""

    def check_target(self, target: Target) -> None:
        """Raise PermanentTaskError for a table that cannot be loaded whole or not at all."""

    def load(self, target: Target, batches: Iterable[Batch]) -> int:
        """Insert all rows, in one transaction; returns how many."""
        self.on_lossy_value = target.on_lossy_value
        self.prepare_load()
        self.ensure_table(target)
        if not target.insert_query:
            # Without any rows, nothing else would miss it.
            self.table(target.table, target.schema)
        self.check_target(target)
        count = self.load_rows(target, batches)
        self.commit_load()
        return count

    def load_rows(self, target: Target, batches: Iterable[Batch]) -> int:
        """Put rows into a table that is ready for them, by INSERT; returns how many."""
        from taskrunner.data.databases.insert import Inserter

        count = 0
        inserter: Inserter | None = None
        for batch in batches:
            if inserter is None:
                inserter = Inserter(self, target, width=len(batch[0]))
            inserter.insert(batch, first=count + 1)
            count += len(batch)
        return count

    def refuses_rows(self, error: TaskError) -> bool:
        """Whether a load failed because of what is in its rows, so that others may go in."""
        return isinstance(error, LossyValueError) or isinstance(error.__cause__, RowRefusedError)

    def commit_load(self) -> None:
        """Commit what was loaded, and with it what is noted of it: the last step of any load."""
        if self.note_load is not None:
            self.note_load()
        self.commit()

    def ensure_table(self, target: Target) -> None:
        """Run `createTableSql` when the table is missing; part of the load's transaction."""
        sql = target.create_table_sql
        if sql and self.find_table(target.table, target.schema) is None:
            self.execute(parse_statement(sql, self.dialect), None, alone=False)

    def use_queue(self, queue: str) -> bool:
        """Send what follows to a queue of the database's; false where it has none."""
        return False

    def read_script(self, script: Script, arguments: Sequence[str]) -> ScriptRun:
        """A script, ready to be run; raises PermanentTaskError for what is wrong for certain."""
        instead = None if type(self).run is Database.run else self.run
        return ScriptRun(self, script, arguments, instead=instead)

    def run(
        self, statements: Sequence[Statement], arguments: Sequence[str], done: StatementDone
    ) -> None:
        """Run statements in one transaction, as far as the database allows that.

        `arguments` are bound to the placeholders in order; without any, question marks in the
        statements are left as they are.
        """
        ScriptRun(self, statements, arguments).run(done)

    def table(self, table: str, schema: str | None = None) -> str:
        """As `find_table`; raises TaskError when there is no such table."""
        found = self.find_table(table, schema)
        if found is None:
            name = f"{schema}.{table}" if schema else table
            message = f"{self.spec}: there is no table {name!r}"
            raise PermanentTaskError(message, error_id=ErrorId.NOT_FOUND)
        return found

    def quote(self, *names: str) -> str:
        """A name as it stands in SQL, its parts joined by dots."""
        opening, closing = self.dialect.name_quotes
        return ".".join(opening + name.replace(closing, closing * 2) + closing for name in names)

    def split_name(self, table: str, schema: str | None) -> tuple[str | None, str]:
        """Schema and table of what a data node says: `schema.table` counts as both."""
        if schema is None and table.count(".") == 1:
            schema, table = table.split(".")
        opening, closing = self.dialect.name_quotes
        strip = opening + closing
        return (schema.strip(strip) if schema else None), table.strip(strip)

"""What is asked of a connection to Redshift, of the Data API, and of what stands in for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from taskrunner.data.databases.spec import DatabaseSpec
from taskrunner.errors import TaskError


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement of a transaction."""

    #: It may hold keys.
    sql: str = field(repr=False)
    #: What it does, for messages: `load the files`.
    about: str
    #: Its rows are what is moved.
    moves: bool = False
    #: A COPY: of its failures Redshift keeps a list of rows.
    is_copy: bool = False
    #: The error means that another attempt has been faster.
    is_guard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadError:
    """A row that COPY did not take, as Redshift lists it."""

    file: str
    line: str
    column: str
    type: str
    value: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.file.strip()}, line {self.line}"
        column = self.column.strip()
        of = f", column {column} {self.type.strip()}".rstrip() if column else ""
        value = " ".join(self.value.split())
        shown = f" (found {value[:100]!r})" if value else ""
        return f"{where}{of}: {' '.join(self.reason.split())}{shown}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A table as the catalog has it."""

    #: Its name in SQL.
    name: str
    #: The last part of that.
    short_name: str
    columns: tuple[str, ...]
    #: Those whose values the server makes.
    identity: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    #: Distribution key and sort key.
    other_key: tuple[str, ...] = ()


class StepFailed(TaskError):
    """A statement of a transaction failed; nothing of the transaction holds."""

    def __init__(self, message: str, *, step: Step, error_id: str) -> None:
        super().__init__(message, error_id=error_id)
        self.step = step


#: Called after a statement, with the number of its rows (-1: not known).
Done = Callable[[Step, int], None]
Rows = list[tuple[str | None, ...]]


class Session(Protocol):
    """A way to Redshift."""

    @property
    def spec(self) -> DatabaseSpec:
        """Where it is."""
        ...

    @property
    def takes_keys(self) -> bool:
        """Whether keys may stand in its statements; if not, only roles are of use."""
        ...

    @property
    def needs_authorization(self) -> bool:
        """Whether COPY and UNLOAD have to be told with whose rights they go to S3."""
        ...

    def literal(self, text: str) -> str:
        """A text as it stands in SQL."""
        ...

    def quote(self, *names: str) -> str:
        """A name as it stands in SQL, its parts joined by dots."""
        ...

    def rows(self, query: str) -> Rows:
        """A small answer."""
        ...

    def transact(self, steps: Sequence[Step], done: Done) -> None:
        """All statements, or nothing of them; raises StepFailed."""
        ...

    def find_table(self, table: str, schema: str | None = None) -> str | None:
        """The name to use in SQL for a table, quoted; None when there is no such table."""
        ...

    def shape(self, name: str) -> Shape:
        """What is known of a table, by its name in SQL."""
        ...

    def load_errors(self) -> list[LoadError]:
        """The rows that the last COPY did not take; empty where they cannot be read."""
        ...

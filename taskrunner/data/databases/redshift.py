"""Redshift, which speaks PostgreSQL's protocol and an older part of its SQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from taskrunner.data.databases import postgresql_dialect
from taskrunner.data.databases.base import Batch, Database, Dialect, Statement, Target
from taskrunner.data.databases.schemes import REDSHIFT
from taskrunner.data.redshift.credentials import temporary_login, wants_temporary
from taskrunner.data.redshift.home import Home
from taskrunner.data.redshift.load_errors import LoadErrorQueries
from taskrunner.data.redshift.session import Done, LoadError, Step
from taskrunner.data.redshift.tokens import quoted
from taskrunner.data.redshift.transactions import TransactingDatabase
from taskrunner.errors import TaskError

#: In Redshift a backslash escapes in every text.
REDSHIFT_DIALECT = postgresql_dialect.REDSHIFT


class RedshiftDatabase(TransactingDatabase):
    """A connection to a cluster or a workgroup, by a password or by temporary credentials."""

    scheme = REDSHIFT
    dialect = REDSHIFT_DIALECT
    settings: ClassVar[Mapping[str, str]] = {
        "timezone": "UTC",
        "datestyle": "ISO, YMD",
        "extra_float_digits": "2",
    }
    #: A COPY may take hours without a word, and what is between here and there forgets the line.
    parameters: ClassVar[Mapping[str, Any]] = {"keepalives_idle": 30, "keepalives_interval": 15}
    takes_keys = True
    share_snapshot = Database.share_snapshot
    copies_out = False
    has_savepoints = False
    needs_authorization = True
    identity = "d.adsrc LIKE '%\"identity\"%'"
    other = "a.attisdistkey OR a.attsortkeyord <> 0"
    _load_errors: LoadErrorQueries | None = None

    def connect(self) -> None:
        """Connect, with temporary credentials where no password is given."""
        if wants_temporary(self.spec):
            self.spec = temporary_login(self.spec)
        super().connect()

    def load(self, target: Target, batches: Iterable[Batch]) -> int:
        """Insert rows: Redshift loads from S3 only, which is RedshiftCopyActivity's work."""
        return Database.load(self, target, batches)

    def begin_reading(self) -> None:
        """Nothing to do: it has no such setting."""

    def session_dialect(self) -> Dialect:
        """A backslash escapes, whatever is set."""
        return self.dialect

    def dialect_after(self, statement: Statement, dialect: Dialect) -> Dialect | None:
        """Nothing changes that."""
        return None

    def use_queue(self, queue: str) -> bool:
        """Send what follows to the queue of this query group."""
        with self._problems("set the query group"):
            self._set("query_group", queue)
            self._connection.commit()
        return True

    def literal(self, text: str) -> str:
        """A text as it stands in SQL."""
        return quoted(text)

    def transact(self, steps: Sequence[Step], done: Done) -> None:
        """All statements, or nothing of them; raises StepFailed."""
        self._load_errors = None
        if any(step.is_copy for step in steps):
            self._mark_load_errors()
        super().transact(steps, done)

    def _mark_load_errors(self) -> None:
        """See what others have left; where that may not be seen, nothing is told of rows."""
        for queries in LoadErrorQueries.either(Home.of(self.spec)):
            with suppress(TaskError):
                queries.mark(self.rows)
                self._load_errors = queries
                return

    def run_step(self, step: Step) -> int:
        """Run one statement; a COPY does not say itself how many rows it has loaded."""
        count = super().run_step(step)
        if not step.is_copy:
            return count
        with self._client_cursor() as cursor:
            (loaded,) = cursor.execute("SELECT pg_last_copy_count()").fetchone() or ("-1",)
        return int(loaded or -1)

    def load_errors(self) -> list[LoadError]:
        """The rows that the last COPY did not take."""
        if self._load_errors is None:
            return []
        try:
            return self._load_errors.found(self.rows)
        except TaskError:  # they only explain
            return []

"""A load counts once: it commits together with a row that says which attempt it was of.

The row is of an instance and its target, in the table `taskrunner_loads` of the target's schema.
Before a load it is looked at: what another attempt of the same run has loaded is not loaded again,
and where a later attempt has loaded, an earlier one fails. At the end of the load, in its own
transaction, the row is changed from what it was: of two attempts at once the second one finds it
changed, and nothing of it holds. No lock is held while rows are read and sent, so that an attempt
that hangs holds up no other.

The table is made at the first load; a user who may not make tables needs one that is there
(docs/copy.md has the statement). Without one loads are not fenced, and the log says so. Redshift's
own loads have a fence by Redshift's rules: `data.redshift.fence`.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from taskrunner.clock import Clock, SystemClock
from taskrunner.data.claims import Claim, Verdict, digest_of
from taskrunner.data.databases.base import Database, Target
from taskrunner.data.databases.script import parse_statement
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError

TABLE = "taskrunner_loads"
_COLUMNS = (
    "id CHAR(40) NOT NULL PRIMARY KEY, pipeline VARCHAR(255) NOT NULL, "
    "instance VARCHAR(255) NOT NULL, target VARCHAR(255) NOT NULL, run VARCHAR(64) NOT NULL, "
    "attempt INTEGER NOT NULL, handout CHAR(40) NOT NULL, changed_at VARCHAR(32) NOT NULL"
)
#: Rows that have not changed for so long are removed: no attempt of theirs is left.
_KEPT = timedelta(days=90)
_LOG = logging.getLogger(__name__)
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class _Applied:
    """What the row says: the last attempt that loaded; attempt 0 where none has."""

    run: str
    attempt: int
    handout: str


class LoadFence:
    """The row of one load, over the connection that loads."""

    def __init__(
        self, database: Database, target: Target, claim: Claim, *, clock: Clock | None = None
    ) -> None:
        self._database = database
        self._claim = claim
        self._clock = clock or SystemClock()
        self._schema, name = database.split_name(target.table, target.schema)
        self._target = f"{self._schema}.{name}" if self._schema else name
        self._id = digest_of(f"{claim.owner}\0{self._target}")
        self._seen: _Applied | None = None
        self._table = ""
        self._is_taken = False

    def may_load(self) -> bool:
        """Whether there is something to do; raises TaskError for a superseded attempt.

        If so, what the database loads then is committed together with the row.
        """
        try:
            self._seen = self._prepare()
        except TaskError as error:
            with suppress(TaskError):
                self._database.commit()  # ends what failed
            if error.error_id == ErrorId.CONNECTION_FAILED:
                raise
            _LOG.warning(
                "This load is not kept from counting twice, since there is no usable table %s: %s",
                TABLE,
                error,
            )
            return True
        verdict = self._claim.judge(self._seen.run, self._seen.attempt, repeatable=False)
        if verdict is Verdict.LOADED:
            _LOG.warning(
                "Nothing is loaded: attempt %d of this run has loaded into %s, says %s",
                self._seen.attempt,
                self._target,
                self._table,
            )
            return False
        if verdict is not Verdict.LOAD:
            raise self._refused(verdict)
        self._database.note_load = self._take
        return True

    def check(self) -> None:
        """After the load: say so where a driver's own way to load did not come by here."""
        if self._database.note_load is not None and not self._is_taken:
            _LOG.warning(
                "This load is not kept from counting twice: the driver did not note the load in %s",
                self._table,
            )

    def was_applied(self) -> bool:
        """Whether the load of this very hand-out has been committed."""
        self._table = self._database.find_table(TABLE, self._schema) or ""
        found = self._look() if self._table else None
        return found is not None and found.handout == self._claim.handout

    def _prepare(self) -> _Applied:
        """The row as it is; the table and the row are made where they are missing."""
        found = self._database.find_table(TABLE, self._schema)
        if found is None:
            found = self._made()
        self._table = found
        applied = self._look()
        if applied is None:
            applied = self._begun()
        self._database.commit()
        return applied

    def _made(self) -> str:
        names = (self._schema, TABLE) if self._schema else (TABLE,)
        name = self._database.quote(*names)
        failure: TaskError | None = None
        try:
            self._run(f"CREATE TABLE {name} ({_COLUMNS}){self._database.table_options}")
        except TaskError as error:
            failure = error
        self._database.commit()
        # By another load at the same moment, it may be.
        found = self._database.find_table(TABLE, self._schema)
        if found is None:
            raise failure or self._missing()
        return found

    def _look(self) -> _Applied | None:
        # With a row in any case: for an empty answer PostgreSQL is asked a second time.
        query = (
            "SELECT COUNT(*), MAX(run), MAX(attempt), MAX(handout) "  # noqa: S608  quoted, hexadecimal
            f"FROM {self._table} WHERE id = '{self._id}'"
        )
        with self._database.stream(query) as result:
            [(count, run, attempt, handout)] = [row for batch in result.batches for row in batch]
        if count == "0":
            return None
        return _Applied((run or "").strip(), int(attempt or 0), (handout or "").strip())

    def _begun(self) -> _Applied:
        now = self._clock.now()
        claim = self._claim
        names = [_cut(text) for text in (claim.pipeline, claim.instance, self._target)]
        none = f"'{self._database.no_text}'"
        try:
            self._run(
                f"INSERT INTO {self._table} VALUES (?, ?, ?, ?, {none}, 0, {none}, ?)",  # noqa: S608  quoted
                self._id,
                *names,
                f"{now:%Y-%m-%dT%H:%M:%SZ}",
            )
        except TaskError:
            self._database.commit()
            found = self._look()  # another attempt's
            if found is None:
                raise
            return found
        self._database.commit()
        with suppress(TaskError):  # others may be at it
            self._run(
                f"DELETE FROM {self._table} WHERE changed_at < ?",  # noqa: S608  quoted
                f"{now - _KEPT:%Y-%m-%dT%H:%M:%SZ}",
            )
        return _Applied("", 0, "")

    def _take(self) -> None:
        """Change the row, from what it was; raises TaskError when it has been changed."""
        claim, seen = self._claim, self._seen
        assert seen is not None  # noqa: S101  it was looked at
        count = self._run(
            f"UPDATE {self._table} SET run = ?, attempt = ?, handout = ?, changed_at = ? "  # noqa: S608  quoted
            "WHERE id = ? AND run = ? AND attempt = ?",
            claim.run,
            str(claim.attempt),
            claim.handout,
            f"{self._clock.now():%Y-%m-%dT%H:%M:%SZ}",
            self._id,
            seen.run or self._database.no_text,
            str(seen.attempt),
        )
        if count < 1:
            message = (
                f"nothing was loaded into {self._target}: another attempt of {claim.instance} was "
                f"faster, says {self._table}"
            )
            raise TaskError(message, error_id=ErrorId.ACTIVITY_FAILED)
        self._is_taken = True

    def _run(self, sql: str, *values: str) -> int:
        statement = parse_statement(sql, self._database.dialect)
        return self._database.execute(statement, values or None, alone=False)

    def _refused(self, verdict: Verdict) -> PermanentTaskError:
        message = f"nothing was loaded into {self._target}: a later attempt has loaded"
        if verdict is Verdict.UNCLEAR:
            message = (
                f"nothing was loaded into {self._target}: an earlier attempt of "
                f"{self._claim.instance} has loaded, and the service does not say whether this is "
                f"a rerun; delete the row {self._id} there to load again"
            )
        message += f", says {self._table}"
        return PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)

    def _missing(self) -> TaskError:
        message = f"{self._database.spec}: the table {TABLE} was made and is not there"
        return TaskError(message, error_id=ErrorId.NOT_FOUND)


def _cut(text: str) -> str:
    """As much of a name as fits, in characters that every server takes."""
    return text.encode("ascii", "backslashreplace").decode()[:_LONGEST]

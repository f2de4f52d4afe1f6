"""One run of a script: what is one transaction, what stands outside, and what a failure leaves.

A script that begins or ends transactions itself is run as the server's own client runs it: each
statement by itself outside of them. Any other is one transaction, as far as the server allows:
what none may hold commits what was before it, and stands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.script import Reader, Rest, Statement
from taskrunner.data.databases.script_session import ScriptSession
from taskrunner.data.databases.script_transactions import Role, commits_first, role_of
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.secret import quoted, told

_SHOWN = 200

#: Called after each statement of a script with the statement, its number (from 1) and its row
#: count (-1 where there is none).
StatementDone = Callable[[Statement, int, int], None]
#: A driver's own way to run statements with arguments.
Instead = Callable[[Sequence[Statement], Sequence[str], StatementDone], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A script, and what messages call it."""

    text: str
    name: str = "the script"


class ScriptRun:
    """A script that has been read, to be run once.

    It is read as the session would read it now, and read again from where that changes: by a
    `SET sql_mode` in it, say. Raises PermanentTaskError for what is wrong for certain.
    """

    def __init__(
        self,
        session: ScriptSession,
        script: Script | Sequence[Statement],
        arguments: Sequence[str],
        *,
        instead: Instead | None = None,
    ) -> None:
        self._session = session
        self._instead = instead
        self._arguments = list(arguments)
        self._bound = 0
        #: How many of the statements stay whatever comes, and the line of the last one.
        self._kept, self._kept_line = 0, 0
        if isinstance(script, Script):
            session.begin_reading()
        self._dialect = session.session_dialect()
        #: How what is behind each statement is read; None: as before.
        self._after: list[Dialect | None] = []
        self._broken: PermanentTaskError | None = None
        if isinstance(script, Script):
            self._script = script
            self.statements = self._read()
        else:
            self._script = Script(text="")
            self.statements = list(script)
            self._after = [None] * len(script)
        if not any(self._after):
            if self._broken is not None:
                raise self._broken
            self._check_arguments(sum(s.placeholders for s in self.statements))

    def run(self, done: StatementDone) -> None:
        """Run all statements; a failure says what of them is kept."""
        if self._instead is not None:
            self._instead(self.statements, self._arguments, done)
            return
        family = self._dialect.family
        controls = any(role_of(s, family) is Role.CONTROL for s in self.statements)
        own = self._session.begin_script(own_transactions=controls) and controls
        last = None
        for number, statement in enumerate(self._all(), 1):
            count = self._run_one(statement, number, own=own)
            if self._session.in_transaction() is False:
                self._keep(number, statement)
            elif commits_first(statement, family):
                self._keep(number - 1, last)
            done(statement, number, count)
            last = statement
        self._check_arguments(self._bound)
        if own and last is not None and self._session.in_transaction():
            raise self._never_ended(last)
        try:
            self._session.commit()
        except TaskError as error:
            raise error.told(f"{error}{self._remark()}") from error

    @property
    def kept(self) -> str:
        """What stays of a run that did not come to its end, for people; or nothing."""
        if self._kept == 0:
            return ""
        if self._kept == 1:
            return "the first statement is committed, and another attempt would run it again"
        return (
            f"the first {self._kept} statements (up to line {self._kept_line}) are committed, and "
            "another attempt would run them again"
        )

    def _all(self) -> Iterator[Statement]:
        """The statements, read as the session is when it comes to them."""
        dialect = self._dialect
        for statement, after in zip(self.statements, self._after, strict=True):
            yield statement
            dialect = after or dialect
            now = self._session.session_dialect()
            if now != dialect and statement.rest is not None:
                yield from self._read_on(statement.rest, now)
                return
        if self._broken is not None:
            raise self._broken

    def _read_on(self, rest: Rest, dialect: Dialect) -> Iterator[Statement]:
        reader = Reader(rest, dialect, name=self._script.name)
        for statement in reader:
            yield statement
            reader.dialect = self._session.session_dialect()

    def _read(self) -> list[Statement]:
        """All statements, as far as they can be read before they run."""
        found: list[Statement] = []
        reader = Reader(self._script.text, self._dialect, name=self._script.name)
        try:
            for statement in reader:
                found.append(statement)
                after = self._session.dialect_after(statement, reader.dialect)
                self._after.append(after)
                reader.dialect = after or reader.dialect
        except PermanentTaskError as error:
            self._broken = error
        return found

    def _run_one(self, statement: Statement, number: int, *, own: bool) -> int:
        session, family = self._session, self._dialect.family
        role = role_of(statement, family)
        alone = own or role is Role.ALONE or self._is_only
        values = self._values(statement)
        try:
            if alone and not own:
                # What was before it stays, whether it succeeds or not.
                session.commit()
                self._keep(number - 1, None)
            if role is Role.PERHAPS and not alone:
                return session.execute_perhaps_alone(statement, values)
            return session.execute(statement, values, alone=alone)
        except TaskError as error:
            ran_alone = family.is_psql and session.in_transaction() is False
            if ran_alone or commits_first(statement, family):
                self._keep(number - 1, None)
            raise self._told(error, statement, number, bound=values is not None) from error

    @property
    def _is_only(self) -> bool:
        """Whether there is nothing that could be kept or lost together."""
        return len(self.statements) == 1 and not any(self._after)

    def _keep(self, number: int, last: Statement | None) -> None:
        """Statements are committed; of the last one the line is told."""
        if number > self._kept:
            last = last or self.statements[min(number, len(self.statements)) - 1]
            self._kept, self._kept_line = number, last.line

    def _values(self, statement: Statement) -> Sequence[str] | None:
        """The statement's part of the arguments, in order."""
        if not self._arguments:
            return None
        first = self._bound
        self._bound += statement.placeholders
        if self._bound > len(self._arguments):
            self._check_arguments(self._bound)
        return self._arguments[first : self._bound]

    def _check_arguments(self, wanted: int) -> None:
        if self._arguments and wanted != len(self._arguments):
            message = (
                f"{self._script.name} has {wanted} placeholders ('?') "
                f"for {len(self._arguments)} scriptArguments{self._remark()}"
            )
            raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)

    def _told(
        self, error: TaskError, statement: Statement, number: int, *, bound: bool
    ) -> TaskError:
        """The error with the statement, where it is, and what stays of those before it."""
        # With values written into it, the server counts other characters.
        cause = error.__cause__
        offset = None if bound or cause is None else self._session.place_of(cause)
        place = statement.place(max(0, (offset or 0) - statement.lead))
        text = quoted(told(statement.text[statement.lead :], self._script.text), _SHOWN)
        message = f"{error}; statement {number} of {self._script.name}, {place}: {text}"
        return error.told(f"{message}{self._remark()}")

    def _never_ended(self, last: Statement) -> PermanentTaskError:
        message = (
            f"{self._script.name} ends within a transaction that it began, so that the server has "
            f"undone what is in it: wanted COMMIT or ROLLBACK behind {last.place()}"
        )
        return PermanentTaskError(f"{message}{self._remark()}", error_id=ErrorId.ACTIVITY_FAILED)

    def _remark(self) -> str:
        return f"; {self.kept}" if self.kept else ""

"""What the run of a script needs of a connection, with what holds where a driver says nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from taskrunner.data.databases.dialect import Dialect
from taskrunner.data.databases.script import Statement


class ScriptSession(ABC):
    """The part of a connection that scripts are run by."""

    #: How SQL is written for it.
    dialect: ClassVar[Dialect] = Dialect()

    @abstractmethod
    def execute(self, statement: Statement, values: Sequence[str] | None, *, alone: bool) -> int:
        """Run one statement and drop what it answers; returns its row count, or -1.

        The first one begins a transaction; one to be run `alone` commits it and stays outside.
        `values` are for the placeholders; None leaves question marks as they are.
        """

    @abstractmethod
    def commit(self) -> None:
        """Make what was executed and inserted last."""

    def begin_reading(self) -> None:  # noqa: B027  most have nothing to do
        """Have the session read texts as the server's own client would."""

    def session_dialect(self) -> Dialect:
        """How the session reads SQL now, where its settings have a say in that."""
        return self.dialect

    def dialect_after(self, statement: Statement, dialect: Dialect) -> Dialect | None:
        """How what follows a statement will probably be read; None: as before, for certain."""
        return None

    def begin_script(self, *, own_transactions: bool) -> bool:
        """Make ready for a script; whether one may mind its transactions itself.

        `own_transactions`: it does, so that each statement outside of them is to commit by itself.
        """
        return False

    def in_transaction(self) -> bool | None:
        """Whether anything is not committed yet; None: unknown."""
        return None

    def execute_perhaps_alone(self, statement: Statement, values: Sequence[str] | None) -> int:
        """As `execute`, for a statement of which only the server knows whether it stands alone."""
        return self.execute(statement, values, alone=False)

    def place_of(self, error: BaseException) -> int | None:
        """Where in a statement's text the library's error says that it is wrong."""
        return None

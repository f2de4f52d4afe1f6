"""The columns of a target table, and the check of batches of rows against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from taskrunner.data.fitting.rules import NotKeptError, OnLossyValue, Rule
from taskrunner.errors import ErrorId, TaskError
from taskrunner.secret import quoted

Row = Sequence[str | None]
Batch = Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetColumn:
    """A column that values go into."""

    name: str
    #: As the server writes it, for messages.
    type: str
    #: None: what the server does not refuse, it keeps.
    rule: Rule | None = None
    #: What the server would store for NULL, where that is something else.
    null_becomes: str | None = None
    #: Whether the server makes the value itself, so that none can be given.
    is_generated: bool = False
    #: Whether a statement without names of columns leaves it out.
    is_hidden: bool = False


class LossyValueError(TaskError):
    """A value that its column cannot keep, and the policy is to fail."""

    def __init__(self, problem: str, *, row: int, source: str = "") -> None:
        #: Which row of the source (of the whole load, where none is named) it is in, from 1.
        self.row = row
        self.problem = problem
        where = f"{source}: " if source else ""
        super().__init__(f"{where}row {row}, {problem}")


class RowWidthError(TaskError):
    """The first row of a load has another number of values than the table has columns for."""

    row = 1


def columns_of_rows(
    columns: Sequence[TargetColumn], names: Sequence[str], *, table: str, width: int
) -> Sequence[TargetColumn | None]:
    """The column of each value of a row, None where nothing is known of it.

    `names` are those that rows are for; none: the table's own, in order. Raises TaskError when rows
    have another number of values than there are columns for.
    """
    if not columns:
        return [None] * width
    if names:
        return [column_named(name, columns) for name in names]
    taking = [column for column in columns if not (column.is_generated or column.is_hidden)]
    if len(taking) != width:
        raise RowWidthError(_wrong_width(columns, taking, table=table, width=width))
    return taking


def column_named(name: str, columns: Sequence[TargetColumn]) -> TargetColumn | None:
    """The column of a name as it is written; else of one that differs in case alone.

    PostgreSQL may have columns `v` and `V` beside each other; None where neither is meant.
    """
    alike = [column for column in columns if column.name.lower() == name.lower()]
    exact = [column for column in alike if column.name == name]
    if exact:
        return exact[0]
    return alike[0] if len(alike) == 1 else None


def names_as_declared(names: Sequence[str], columns: Sequence[TargetColumn]) -> tuple[str, ...]:
    """Names as the table's own columns have them; those that it has not stay as they are.

    Raises TaskError for one that is there twice, or of a column that takes no values: of both some
    servers drop a value and do not say so.
    """
    declared: list[str] = []
    for name in names:
        column = column_named(name, columns)
        if column is not None and column.is_generated:
            message = f"the server makes the column {name!r} itself: leave it out of those listed"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
        declared.append(column.name if column is not None else name)
        if declared[-1] in declared[:-1]:
            message = f"the column {name!r} is listed twice, and takes one value a row"
            raise TaskError(message, error_id=ErrorId.INVALID_FIELD)
    return tuple(declared)


def _wrong_width(
    columns: Sequence[TargetColumn], taking: Sequence[TargetColumn], *, table: str, width: int
) -> str:
    names = ", ".join(column.name for column in taking)
    made = ", ".join(column.name for column in columns if column.is_generated)
    message = f"rows have {width} values, but table {table!r} takes {len(taking)} ({names})"
    if made:
        message += (
            f"; the server makes {made} itself: leave it out of what is read, or list the other "
            "columns in the data format"
        )
    return message


class Fitting:
    """Checks batches against the columns that their values go to."""

    def __init__(
        self, columns: Sequence[TargetColumn | None], policy: OnLossyValue, *, table: str
    ) -> None:
        self._table = table
        self._policy = policy
        self._columns = columns
        self._checked = [
            (position, column)
            for position, column in enumerate(columns)
            if column is not None and (column.rule is not None or column.null_becomes is not None)
        ]

    @classmethod
    def of_rows(
        cls,
        known: Sequence[TargetColumn],
        names: Sequence[str],
        policy: OnLossyValue,
        *,
        table: str,
        width: int,
    ) -> Self:
        """For rows of so many values; `known` are the table's columns. Raises TaskError."""
        columns = columns_of_rows(known, names, table=table, width=width)
        return cls(columns, policy, table=table)

    def refuse(self, character: str, batch: Batch, *, first: int) -> None:
        """Raise LossyValueError for the first value that has a character which no type takes."""
        for number, row in enumerate(batch, first):
            for column, value in zip(self._columns, row, strict=True):
                if value is not None and column is not None and character in value:
                    why = f"has the character {character!r}, which the server has not in texts"
                    raise self._error(column, quoted(value, 60), why, number)

    def fit(self, batch: Batch, *, first: int) -> Batch:
        """The batch as it is given to the server; `first` is its first row's number."""
        for position, column in self._checked:
            values = [row[position] for row in batch]
            texts = [value for value in values if value is not None]
            if len(texts) < len(values) and column.null_becomes is not None:
                row = first + values.index(None)
                why = f"would be stored as {column.null_becomes}; wanted a value"
                raise self._error(column, "NULL", why, row)
            if column.rule is not None and not column.rule.keeps_all(texts):
                batch = self._fitted(batch, position, column, first)
        return batch

    def _fitted(self, batch: Batch, position: int, column: TargetColumn, first: int) -> Batch:
        rule = column.rule
        if rule is None:
            return batch
        fitted = []
        for number, row in enumerate(batch, first):
            value = row[position]
            if value is not None:
                try:
                    text = rule.fit(value, self._policy)
                except NotKeptError as error:
                    raise self._error(column, quoted(value, 60), _told(error), number) from None
                if text != value:
                    row = [*row[:position], text, *row[position + 1 :]]  # noqa: PLW2901
            fitted.append(row)
        return fitted

    def _error(self, column: TargetColumn, value: str, why: str, row: int) -> LossyValueError:
        where = f"column {column.name!r} ({column.type}) of table {self._table!r}"
        return LossyValueError(f"{where}: {value} {why}", row=row)


def _told(error: NotKeptError) -> str:
    policies = ", or onLossyValue round or truncate" if error.policy_helps else ""
    return f"{error}; wanted a value that the column keeps{policies}"

"""The reject file: rows that a copy puts aside, as lines of JSON, and how many there may be.

It appears right before the load is committed, under the same name for each attempt of an instance:
what a later attempt rejects replaces what an earlier one did. A load that fails leaves none, but
one with too many bad rows does, so that they can be looked at.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Self

from taskrunner.data.formats.bad_rows import BadRow
from taskrunner.data.objects.base import ObjectStore, ObjectWriter
from taskrunner.errors import TaskError


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many rows may be bad; None: any number."""

    rows: int | None = None
    #: Of all rows, the bad ones among them.
    percent: float | None = None


class TooManyRejectedError(TaskError):
    """More rows are bad than may be."""


class Rejects:
    """The rows of one copy that are put aside; open inside a `with` block."""

    def __init__(self, objects: ObjectStore, uri: str, budget: Budget) -> None:
        self._objects = objects
        self.uri = uri
        self._budget = budget
        self._stack = ExitStack()
        self._writer: ObjectWriter | None = None
        self._is_finished = False
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, TooManyRejectedError):
            self._publish()
        elif kind is not None:
            self._stack.__exit__(kind, error, traceback)
        else:
            self._publish()

    def add(self, bad: BadRow) -> None:
        """Put a row aside; raises TaskError when it is one too many."""
        if self._writer is None:
            self._writer = self._stack.enter_context(self._objects.open_write(self.uri))
        told = {key: value for key, value in asdict(bad).items() if value is not None}
        self._writer.write(f"{json.dumps(told, ensure_ascii=False)}\n".encode())
        self.count += 1
        most = self._budget.rows
        if most is not None and self.count > most:
            message = f"more than {most} rows are bad (maxRejectedRows); the last one: {bad.source}"
            raise TooManyRejectedError(f"{message}: row {bad.row}: {bad.reason}; see {self.uri}")

    def finish(self, good: int) -> None:
        """All rows have been seen, `good` of them were; makes the file. Raises TaskError."""
        most = self._budget.percent
        share = 100 * self.count / (self.count + good) if self.count else 0.0
        if most is not None and share > most:
            raise TooManyRejectedError(
                f"{self.count} of {self.count + good} rows are bad, {share:.4g} percent, wanted at "
                f"most {most:g} (maxRejectedPercent); see {self.uri}"
            )
        self._publish()

    def leave(self) -> None:
        """Nothing is done by this attempt: the file stays what an earlier one made of it."""
        self._is_finished = True

    def _publish(self) -> None:
        if self._is_finished:
            return
        self._is_finished = True
        if self._writer is None and self._objects.stat(self.uri) is not None:
            # What an earlier attempt has rejected, this one has not.
            with self._objects.open_write(self.uri) as writer:
                writer.write(b"")
        self._stack.close()

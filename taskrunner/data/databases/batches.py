"""Rows in batches that are bounded by their size as well as by their number.

A thousand rows of a few values fit anywhere; a thousand rows of a megabyte fit nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from taskrunner.data.databases.base import Row
from taskrunner.errors import ErrorId, PermanentTaskError

#: A batch ends with the row that makes it as long as this, in rows or in characters.
MOST_ROWS = 1000
MOST_CHARACTERS = 1 << 20
#: A longer value is refused, before copies of it fill the memory.
MOST_IN_VALUE = 256 << 20


def in_batches(
    rows: Iterable[Row],
    columns: Sequence[str],
    *,
    source: str,
    most_in_value: int = MOST_IN_VALUE,
) -> Iterator[list[Row]]:
    """The rows in batches; `source` names them in the error for a value that is too long."""
    batch: list[Row] = []
    room = MOST_CHARACTERS
    for number, row in enumerate(rows, 1):
        size = sum(map(len, filter(None, row)))
        if size > most_in_value:
            _check(row, columns, source=f"{source}: row {number}", most=most_in_value)
        batch.append(row)
        room -= size
        if room <= 0 or len(batch) == MOST_ROWS:
            yield batch
            batch, room = [], MOST_CHARACTERS
    if batch:
        yield batch


def _check(row: Row, columns: Sequence[str], *, source: str, most: int) -> None:
    for name, value in zip(columns, row, strict=True):
        if value is not None and len(value) > most:
            message = (
                f"{source}, column {name!r} has {len(value):,} characters, wanted at most {most:,}"
            )
            raise PermanentTaskError(message, error_id=ErrorId.ACTIVITY_FAILED)

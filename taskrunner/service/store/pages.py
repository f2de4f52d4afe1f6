"""Statements that page through a pipeline's instances and attempts, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from taskrunner.model.rows import AttemptRow, InstanceRow, Row
from taskrunner.service.store.records import Place, page, place_beyond
from taskrunner.service.store.tables import attempts, definitions, instances

R = TypeVar("R", bound=Row)
Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing(Generic[R]):
    """Rows of a pipeline in an order that none of them ever leaves."""

    cls: type[R]
    table: sa.Table
    order: tuple[sa.Column[Any], ...]

    def place(self, row: R) -> Place:
        """Where a row stands."""
        return tuple(getattr(row, column.name) for column in self.order)

    def next_rows(
        self,
        conn: Connection,
        pipeline_id: str,
        parts: Sequence[Sequence[Condition]],
        *,
        after: Place | None,
        up_to: Place | None,
        limit: int,
    ) -> list[R]:
        """The first rows beyond a place that meet all conditions of one of some parts.

        No row may meet those of two parts. Each part is a statement: so an index finds its rows in
        their order, where one statement for all would have to sort them.
        """
        found: list[R] = []
        for where in parts:
            ours = sa.select(self.table).where(self.table.c.pipeline_id == pipeline_id, *where)
            found += page(conn, self.cls, ours, self.order, after=after, up_to=up_to, limit=limit)
        return sorted(found, key=self.place)[:limit]

    def place_beyond(
        self, conn: Connection, pipeline_id: str, *, after: Place | None, rows: int
    ) -> Place | None:
        """The place so many rows of the pipeline beyond another; None when there are fewer."""
        ours = sa.select(self.table).where(self.table.c.pipeline_id == pipeline_id)
        return place_beyond(conn, ours, self.order, after=after, rows=rows)


INSTANCES = Listing(
    cls=InstanceRow,
    table=instances,
    order=(instances.c.scheduled_start, instances.c.instance_id),
)
ATTEMPTS = Listing(
    cls=AttemptRow,
    table=attempts,
    order=(attempts.c.created_at, attempts.c.number, attempts.c.attempt_id),
)


def stored_versions(conn: Connection, pipeline_id: str) -> list[int]:
    """Every version of a pipeline's definition that there is."""
    found = sa.select(definitions.c.version).where(definitions.c.pipeline_id == pipeline_id)
    return sorted(conn.execute(found).scalars())

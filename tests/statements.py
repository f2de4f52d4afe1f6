"""What a store is asked: the statements of each transaction, and how SQLite carries them out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from taskrunner.service.store.database import Store


@dataclass
class Asked:
    """Everything that was asked, in transactions that wrote, and those that only read."""

    #: How many statements each transaction that may write has executed, a row each counted.
    writes: list[int] = field(default_factory=list)
    #: One set of parameters for each statement.
    samples: dict[str, Any] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """Statements of the largest transaction that wrote."""
        return max(self.writes, default=0)

    @property
    def total(self) -> int:
        return sum(self.writes)


@contextmanager
def asked(store: Store) -> Iterator[Asked]:
    """What the block asks of the store."""
    found = Asked()
    with store.read() as conn:
        engine = conn.engine

    def begun(conn: Connection) -> None:
        if conn.get_execution_options().get("taskrunner_write"):
            found.writes.append(0)

    def executed(
        conn: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        if statement.startswith("BEGIN"):
            return  # the driver's way of saying what `begun` has seen
        found.samples.setdefault(statement, parameters[0] if many else parameters)
        if conn.get_execution_options().get("taskrunner_write"):
            found.writes[-1] += len(parameters) if many else 1

    sa.event.listen(engine, "begin", begun)
    sa.event.listen(engine, "before_cursor_execute", executed)
    try:
        yield found
    finally:
        sa.event.remove(engine, "begin", begun)
        sa.event.remove(engine, "before_cursor_execute", executed)


def plans(engine: Engine, found: Asked) -> dict[str, str]:
    """Statement -> SQLite's plan of it; statements that read nothing have none."""
    result: dict[str, str] = {}
    with engine.connect() as conn:
        for statement, parameters in found.samples.items():
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                rows = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                result[statement] = " | ".join(row[3] for row in rows)
    return result

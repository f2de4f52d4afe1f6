"""An account of every change of state that the store itself keeps, by triggers of ours.

What the service says of itself may be wrong where it matters; the database's triggers see each
committed change, whoever made it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

__all__ = ["Change", "Ledger"]

#: Table, column that is watched, column that names the row.
_WATCHED = (
    ("instances", "status", "instance_id"),
    ("attempts", "status", "attempt_id"),
    ("handouts", "state", "task_id"),
)
_SQLITE = """
CREATE TABLE chaos (n INTEGER PRIMARY KEY AUTOINCREMENT, at REAL, what TEXT, pipeline TEXT,
                    id TEXT, before TEXT, after TEXT);
{triggers}
"""
_SQLITE_TRIGGER = """
CREATE TRIGGER chaos_{table}_{verb} AFTER {event} ON {table} {when} BEGIN
  INSERT INTO chaos (at, what, pipeline, id, before, after) VALUES
    ((julianday('now') - 2440587.5) * 86400.0, '{table}', NEW.pipeline_id, NEW.{key}, {before},
     NEW.{column});
END;
"""
_POSTGRESQL_TABLE = """
CREATE TABLE chaos (n BIGSERIAL PRIMARY KEY, at FLOAT8, what TEXT, pipeline TEXT,
                    id TEXT, before TEXT, after TEXT)
"""
_POSTGRESQL_TRIGGER = """
CREATE FUNCTION chaos_{table}_{verb}() RETURNS trigger AS $$ BEGIN
  INSERT INTO chaos (at, what, pipeline, id, before, after) VALUES
    (extract(epoch from clock_timestamp()), '{table}', NEW.pipeline_id, NEW.{key}, {before},
     NEW.{column});
  RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER chaos_{table}_{verb} AFTER {event} ON {table} FOR EACH ROW {when}
  EXECUTE FUNCTION chaos_{table}_{verb}()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One committed change of state."""

    at: float
    what: str
    #: Pipeline and id of an instance or attempt; a hand-out's pipeline and task id.
    key: tuple[str, str]
    before: str | None
    after: str


class Ledger:
    """The service's database, read from beside it."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        if self._url.drivername == "postgresql":
            self._url = self._url.set(drivername="postgresql+psycopg")
        self._engine = sa.create_engine(self._url)

    def install(self) -> None:
        """Begin the account; the service has made its tables."""
        sqlite = self._engine.dialect.name == "sqlite"
        trigger = _SQLITE_TRIGGER if sqlite else _POSTGRESQL_TRIGGER
        triggers = [
            trigger.format(table=table, column=column, key=key, **kind)
            for table, column, key in _WATCHED
            for when in [f"WHEN (OLD.{column} <> NEW.{column})"]
            for kind in (
                {"verb": "made", "event": "INSERT", "when": "", "before": "NULL"},
                {"verb": "changed", "event": "UPDATE", "when": when, "before": f"OLD.{column}"},
            )
        ]
        with self._engine.begin() as connection:
            if sqlite:
                raw = connection.connection.dbapi_connection
                assert raw is not None
                raw.executescript(_SQLITE.format(triggers="".join(triggers)))
            else:
                for statement in (_POSTGRESQL_TABLE, *triggers):
                    connection.exec_driver_sql(statement)

    def changes(self) -> list[Change]:
        """Every change of state so far, in the order of their commits."""
        return [
            Change(
                at=row["at"],
                what=row["what"],
                key=(row["pipeline"], row["id"]),
                before=row["before"],
                after=row["after"],
            )
            for row in self.rows("SELECT * FROM chaos ORDER BY n")
        ]

    def rows(self, statement: str) -> list[Mapping[str, Any]]:
        """The rows of a query."""
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql(statement)
            return [dict(row) for row in found.mappings()]

    def count(self, statement: str) -> int:
        """The one number of a query."""
        with self._engine.connect() as connection:
            return int(connection.exec_driver_sql(statement).scalar_one())

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

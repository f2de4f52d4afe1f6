"""The table that keeps a load from being applied twice. Pure.

Each instance has a row that says which attempt was applied. It is changed in the transaction that
applies a load, from what it was: of two attempts at once one finds it changed, and fails whole.

Redshift's own rules shape it. No keys are enforced, so the row is made beforehand and updated. What
conflicts is told by whole tables: one of these for all loads would let loads of different tables
fail each other, so each target has its own, and it is locked first, while nothing has been read.
Loads into one table wait for each other anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from taskrunner.data.claims import Claim, Verdict
from taskrunner.data.redshift.session import Rows, Step

_PREFIX = "taskrunner_loads_"
#: So many bytes a name has at most.
_LONGEST = 127
_COLUMNS = (
    "pipeline VARCHAR(1024) NOT NULL, instance VARCHAR(4096) NOT NULL, run VARCHAR(64) NOT NULL, "
    "attempt INTEGER NOT NULL, handout VARCHAR(64) NOT NULL, loaded_at VARCHAR(32) NOT NULL"
)


def table_for(target: str) -> str:
    """What the table for loads into this table is called; they are in one schema."""
    name = _PREFIX + target
    if len(name.encode()) <= _LONGEST:
        return name
    return f"{_PREFIX}{hashlib.sha256(target.encode()).hexdigest()[:40]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The statements about one claim, in one table."""

    #: The table's name in SQL.
    table: str
    claim: Claim
    literal: Callable[[str], str]

    @property
    def create(self) -> Step:
        """Make the table."""
        sql = f"CREATE TABLE IF NOT EXISTS {self.table} ({_COLUMNS})"
        return Step(sql=sql, about=f"create the table {self.table}")

    @property
    def look(self) -> str:
        """What has been applied: run and attempt."""
        return f"SELECT run, attempt FROM {self.table} WHERE {self._mine}"  # noqa: S608  quoted

    @property
    def begin(self) -> Step:
        """Make the instance's row."""
        values = ", ".join(map(self.literal, (self.claim.pipeline, self.claim.instance)))
        sql = f"INSERT INTO {self.table} VALUES ({values}, '', 0, '', '')"  # noqa: S608  quoted
        return Step(sql=sql, about=f"write into the table {self.table}")

    @property
    def lock(self) -> Step:
        """Begin the transaction: what is read from here on is what others have left."""
        return Step(sql=f"LOCK TABLE {self.table}", about=f"lock the table {self.table}")

    def take(self, now: datetime) -> tuple[Step, Step]:
        """Change the row, and fail unless that was done."""
        claim, literal = self.claim, self.literal
        at = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        # In the same run an earlier attempt may have been applied since the row was looked at.
        same = f" AND (attempt = 0 OR run <> {literal(claim.run)})" if claim.run else ""
        update = (
            f"UPDATE {self.table} SET run = {literal(claim.run)}, attempt = {claim.attempt}, "  # noqa: S608  quoted
            f"handout = {literal(claim.handout)}, loaded_at = {literal(at)} "
            f"WHERE {self._mine} AND attempt < {claim.attempt}{same}"
        )
        # Without a row of this hand-out's it divides by zero: nothing else ends a transaction.
        check = (
            f"SELECT 1 / COUNT(*) FROM {self.table} "  # noqa: S608  quoted
            f"WHERE {self._mine} AND handout = {literal(claim.handout)}"
        )
        about = f"note the load in {self.table}"
        return (
            Step(sql=update, about=about, is_guard=True),
            Step(sql=check, about=about, is_guard=True),
        )

    def judge(self, rows: Rows, *, repeatable: bool) -> Verdict:
        """What the answer to `look` means; `repeatable`: loading again gives the same."""
        run, attempt = max(((r or "", int(a or 0)) for r, a in rows), key=lambda row: row[1])
        return self.claim.judge(run, attempt, repeatable=repeatable)

    @property
    def _mine(self) -> str:
        claim = self.claim
        return (
            f"pipeline = {self.literal(claim.pipeline)} "
            f"AND instance = {self.literal(claim.instance)}"
        )

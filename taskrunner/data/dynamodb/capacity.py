"""A share of a table's capacity, held although the capacity changes meanwhile."""

from __future__ import annotations

import logging

from taskrunner.clock import Clock
from taskrunner.data.dynamodb.calls import Calls
from taskrunner.data.dynamodb.limiter import CapacityLimiter
from taskrunner.data.dynamodb.table import Table, described
from taskrunner.errors import TaskError

#: How often the table is asked what it has by now; auto scaling acts on minutes.
_EVERY_S = 300.0


class HeldShare:
    """The limiter of one table's reads or writes, and who keeps its rate up to date."""

    def __init__(
        self,
        calls: Calls,
        table: Table,
        share: float,
        *,
        write: bool,
        log: logging.Logger,
        clock: Clock,
    ) -> None:
        self._calls = calls
        self._table = table
        self._share = share
        self._write = write
        self._log = log
        self._clock = clock
        self._looked_at = clock.monotonic()
        self.limiter = CapacityLimiter(self._units(table) * share, clock=clock)

    def __str__(self) -> str:
        kind = "write" if self._write else "read"
        units = self._units(self._table)
        return f"{self.limiter.rate:g} {kind} units a second ({self._share:g} of {units:g})"

    def look_again(self) -> None:
        """Follow the table's capacity; asks only now and then. Never fails."""
        if self._clock.monotonic() - self._looked_at < _EVERY_S:
            return
        self._looked_at = self._clock.monotonic()
        try:
            table = described(self._calls, self._table.named)
        except TaskError as error:
            # Whatever it is, those who read and write meet it too, if it matters.
            self._log.warning("The capacity could not be looked at again: %s", error)
            return
        if self._units(table) != self._units(self._table):
            self._table = table
            self.limiter.change(self._units(table) * self._share)
            self._log.info("Table %s has another capacity: going on at %s", table.name, self)

    def _units(self, table: Table) -> float:
        return table.write_units if self._write else table.read_units

"""Several connections to MySQL or MariaDB that see one table as it is at the same moment.

Neither server lets a connection take another's snapshot (but for builds of Percona's). So the table
is locked against writers while each connection begins its own: a lock for reading is given when no
transaction that has changed the table is open any more, so all of them see the same rows. Writers
wait meanwhile, for some milliseconds; and for as long as an open transaction holds the lock up,
which is why it is not waited for without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.mysql_insert import engine_of

#: In seconds; writers that come meanwhile wait behind the lock.
_PATIENCE = 10
_ENGINE = "InnoDB"


def begun_together(connection: Any, others: Sequence[Database], table: str) -> bool:
    """Begin the transactions of the others; false for a table that has no snapshots.

    Raises PyMySQL's errors: without the right LOCK TABLES, or when the lock was not to be had.
    """
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SHOW CREATE TABLE {table}")
        if engine_of((cursor.fetchone() or ("", ""))[1]).lower() != _ENGINE.lower():
            return False
        cursor.execute(f"SET SESSION lock_wait_timeout = {_PATIENCE}")
        cursor.execute(f"LOCK TABLES {table} READ")
        try:
            for other in others:
                other.begin_snapshot()
        finally:
            cursor.execute("UNLOCK TABLES")
    return True

"""Keeping the trouble of one pipeline from the others in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from taskrunner.logs import get_logger
from taskrunner.service.store.prepared import say

log = get_logger()

_NAME = "one_pipeline"
#: How long a pipeline that could not be dealt with is left alone.
TROUBLE_PAUSE = timedelta(minutes=1)


def in_savepoint(conn: Connection, pipeline_id: str, step: Callable[[], None]) -> bool:
    """Do something for one pipeline, all or nothing; false when it went wrong, which is logged.

    Raises what the database itself raises: that concerns everybody.
    """
    say(conn, f"SAVEPOINT {_NAME}")
    try:
        step()
    except DBAPIError:
        raise
    except Exception:
        say(conn, f"ROLLBACK TO SAVEPOINT {_NAME}")
        say(conn, f"RELEASE SAVEPOINT {_NAME}")
        log.exception("pipeline could not be advanced", pipeline_id=pipeline_id)
        return False
    say(conn, f"RELEASE SAVEPOINT {_NAME}")
    return True

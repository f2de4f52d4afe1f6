"""From a RedshiftDatabase to a session: by a connection, or where there is no route by the API."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from taskrunner.data.databases.base import Database
from taskrunner.data.databases.registry import open_database
from taskrunner.data.redshift.home import Home
from taskrunner.data.redshift.session import Session
from taskrunner.data.settings import DataSettings
from taskrunner.errors import ErrorId, PermanentTaskError, TaskError
from taskrunner.model.task import TaskObject


@contextmanager
def open_session(
    described: TaskObject, settings: DataSettings, log: logging.Logger
) -> Iterator[Session]:
    """A session, open while the block lasts; raises TaskError."""
    database = open_database(described, settings)
    if not hasattr(database, "transact"):
        message = f"{database.spec}: wanted Redshift, or a PostgreSQL that stands in for it"
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    if not database.spec.stands_in_for and settings.s3_root is not None:
        message = (
            f"{database.spec}: s3:// is the folder {settings.s3_root} here, which Redshift cannot "
            f"read; let a PostgreSQL stand in for it (--database {database.spec.id}="
            "postgresql://...), or use S3 itself (--aws)"
        )
        raise PermanentTaskError(message, error_id=ErrorId.INVALID_FIELD)
    database = connected(database, log)
    try:
        yield cast(Session, database)
    finally:
        database.close()


def connected(database: Database, log: logging.Logger) -> Database:
    """The database once it is connected, or where it does not answer its Data API."""
    try:
        database.connect()
    except TaskError as error:
        database.close()
        if error.error_id != ErrorId.CONNECTION_FAILED or Home.of(database.spec) is None:
            raise
        from taskrunner.data.redshift.data_api import RedshiftDataApi

        log.warning("%s; trying Redshift's Data API", error)
        other = RedshiftDataApi(database.spec)
        try:
            other.connect()
        except TaskError as second:
            raise TaskError(f"{error}; nor {second}", error_id=error.error_id) from second
        return other
    return database

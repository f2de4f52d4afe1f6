"""Copies of a SQLite store: made while a service writes to it, and put back in its place.

A copy is one file, of one moment between two changes, and is verified before it has its name. A
store that is put back is the right one from then on: what is remembered beside it is set to it.
Tasks that runners had when the copy was made are held for them for a whole lease more, so that
those who still work at them are heard.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from taskrunner.clock import Clock
from taskrunner.errors import StoreError
from taskrunner.host.durable import sync_folder
from taskrunner.model.decisions import Queue
from taskrunner.service.store.file_guard import SHM, WAL, with_suffix
from taskrunner.service.store.records import is_row
from taskrunner.service.store.state_file import Remembered, StateFile
from taskrunner.service.store.tables import attempts

_BUSY_S = 30.0
_HELD = sa.select(attempts.c.pipeline_id, attempts.c.attempt_id, attempts.c.lease_s).where(
    attempts.c.queue == Queue.OUT
)
_HOLD = attempts.update().where(is_row(attempts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a copy."""

    path: Path
    size: int
    #: Changes that the store had counted; None: its version did not count them yet.
    store: Remembered | None


def back_up(store: Path, target: Path) -> Facts:
    """Copy a store into a file that is not there yet; others may write to the store meanwhile.

    Raises StoreError when there is no store, a file in the way, or anything wrong with the copy.
    """
    if not store.exists():
        raise StoreError(f"there is no store at {store}")
    if target.exists():
        raise StoreError(f"{target} is there already: name a file that is not")
    with _draft(target) as draft:
        with (
            _opened(store, "rw") as source,
            closing(sqlite3.connect(draft, timeout=_BUSY_S)) as copy,
        ):
            # In one step: with several, each change meanwhile would have it begin anew.
            source.backup(copy)
            # One file, with no log beside it.
            copy.execute("PRAGMA journal_mode=DELETE").fetchall()
        found = examine(draft)
        _put(draft, target)
    return Facts(path=target, size=found.size, store=found.store)


def examine(copy: Path) -> Facts:
    """See whether a file is a whole store. Raises StoreError."""
    try:
        with _opened(copy, "ro") as connection:
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            names = {
                name for (name,) in connection.execute("SELECT name FROM sqlite_schema").fetchall()
            }
            row = None
            if "store_identity" in names:
                query = "SELECT store_id, changes FROM store_identity"
                row = connection.execute(query).fetchone()
    except sqlite3.Error as error:
        raise StoreError(f"{copy} is no store: {error}") from None
    if said != "ok":
        raise StoreError(f"{copy} is damaged: {said}")
    if not {"alembic_version", "pipelines", "attempts"} <= names:
        raise StoreError(f"{copy} is no store of this program: it lacks its tables")
    store = Remembered(store_id=row[0], changes=row[1]) if row else None
    return Facts(path=copy, size=copy.stat().st_size, store=store)


def restore(copy: Path, store: Path, clock: Clock) -> list[Path]:
    """Put a copy in the place of a store that nobody uses; returns what was moved aside for it.

    Raises StoreError when the copy is none, or the store is in use.
    """
    examine(copy)
    store.parent.mkdir(parents=True, exist_ok=True)
    state = StateFile.claim(store)
    try:
        with _draft(store) as draft:
            with _opened(copy, "ro") as source, closing(sqlite3.connect(draft)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE").fetchall()
            _hold_tasks(draft, clock)
            found = examine(draft)
            aside = _set_aside(store, clock)
            _put(draft, store)
        if found.store is None:
            state.clear()
        else:
            state.own(found.store, clock)
        return aside
    finally:
        state.release()


def _hold_tasks(draft: Path, clock: Clock) -> None:
    """Give whoever has a task a lease from now on, and say that the file was closed in order."""
    engine = sa.create_engine(f"sqlite:///{draft}", hide_parameters=True)
    try:
        with engine.begin() as conn:
            now = clock.now()
            held = [
                {
                    "of_pipeline_id": row.pipeline_id,
                    "of_attempt_id": row.attempt_id,
                    "report_by": now + timedelta(seconds=row.lease_s),
                }
                for row in conn.execute(_HELD)
            ]
            if held:
                conn.execute(_HOLD, held)
            if sa.inspect(conn).has_table("store_identity"):
                conn.exec_driver_sql("UPDATE store_identity SET open_at_schema = NULL")
    finally:
        engine.dispose()


def _set_aside(store: Path, clock: Clock) -> list[Path]:
    """Rename what is there, its log first: without that the rest may lack changes, and says so."""
    mark = clock.now().strftime(".replaced-%Y%m%dT%H%M%S")
    moved = []
    for path in (with_suffix(store, WAL), with_suffix(store, SHM), store):
        if path.exists():
            suffix = path.name.removeprefix(store.name)
            moved.append(path.rename(store.with_name(f"{store.name}{mark}{suffix}")))
    return moved


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[sqlite3.Connection]:
    # A path may have any character; a URI says how it is to be opened.
    uri = f"file:{quote(str(path))}?mode={mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)) as connection:
        connection.execute("PRAGMA query_only=ON")
        yield connection


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A file beside the target for its user alone; what is left of it goes."""
    draft = target.with_name(f"{target.name}.draft")
    try:
        with suppress(FileNotFoundError):
            draft.unlink()
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        yield draft
    except sqlite3.Error as error:
        raise StoreError(f"{target} cannot be written: {error}") from None
    except OSError as error:
        raise StoreError(f"{error.filename or target}: {error.strerror}") from None
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _put(draft: Path, target: Path) -> None:
    """Give a file its name, so that it outlasts a power cut."""
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(target)
    sync_folder(target.parent)

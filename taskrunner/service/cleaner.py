"""Removing what has been kept for long enough, a little at a time, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from taskrunner.logs import get_logger
from taskrunner.model.codec import DEFINITION
from taskrunner.service.definitions import DefinitionCache
from taskrunner.service.masking import mask
from taskrunner.service.sessions import IDLE_LIFE
from taskrunner.service.settings import Retention
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import retention as retention_store
from taskrunner.service.store import sessions as session_store
from taskrunner.service.store.database import Store

log = get_logger()

#: Rows that are removed in one transaction, and pipelines that are looked at in one go.
BATCH = 500
PIPELINES = 100
#: Between two transactions, and between two rounds, in seconds.
PAUSE_S = 0.05
ROUND_S = 3600.0


class Cleaner:
    """Goes over all that may be old, again and again."""

    def __init__(
        self,
        store: Store,
        retention: Retention,
        definitions: DefinitionCache,
        take_up: Callable[[], None] = lambda: None,
    ) -> None:
        """`take_up` goes on with what a service that died has left half done."""
        self._store = store
        self._retention = retention
        self._definitions = definitions
        self._take_up = take_up
        self._round: Iterator[None] | None = None

    def step(self, now: datetime) -> float:
        """Do a little; returns how long nothing is to be done, in seconds. Raises StoreError."""
        if self._round is None:
            self._round = self._go_over(now)
        try:
            next(self._round)
        except StopIteration:
            self._round = None
            return ROUND_S
        except BaseException:
            self._round = None  # a generator that has raised is at its end: begin anew
            raise
        return PAUSE_S

    def _go_over(self, now: datetime) -> Iterator[None]:
        self._take_up()
        yield
        with self._store.write() as conn:
            session_store.remove_old(conn, now, now - IDLE_LIFE)
        yield
        before = now - timedelta(days=self._retention.days)
        for kind in retention_store.KINDS:
            while self._remove(kind, before):
                yield
        place: str | None = ""
        while place is not None:
            place = self._go_over_versions(before, place)
            yield

    def _remove(self, kind: retention_store.Kind, before: datetime) -> bool:
        """Remove some rows; whether there may be more."""
        with self._store.read() as conn:
            keys = retention_store.old_keys(
                conn, kind, before=before, most=self._retention.rows, limit=BATCH
            )
        if keys:
            with self._store.write() as conn:
                retention_store.remove(conn, kind, keys)
        return len(keys) == BATCH

    def _go_over_versions(self, before: datetime, after: str) -> str | None:
        with self._store.read() as conn:
            found, last = retention_store.replaced_versions(
                conn,
                before=before,
                most=self._retention.versions,
                after=after,
                pipelines_at_once=PIPELINES,
            )
            at_work = {
                key: retention_store.versions_at_work(conn, key)
                for key in {version.pipeline_id for version in found}
            }
            over = [
                (version, retention_store.is_used(conn, version))
                for version in found
                if version.number not in at_work[version.pipeline_id]
            ]
        for version, is_used in over:
            with self._store.write() as conn:
                # Nobody makes instances of the pipeline meanwhile.
                pipeline_store.lock_pipeline(conn, version.pipeline_id)
                at_work_now = retention_store.versions_at_work(conn, version.pipeline_id)
                if version.number not in at_work_now:
                    self._retire(conn, version, delete=not is_used)
            self._definitions.forget(version.pipeline_id, version.number)
        return last

    def _retire(self, conn: Connection, version: retention_store.Version, *, delete: bool) -> None:
        """Remove a version; of one that ended instances are shown by, its secrets only."""
        if delete:
            retention_store.delete_version(conn, version)
            return
        body = pipeline_store.load_definition(conn, version.pipeline_id, version.number)
        if body is None:
            return
        whole = DEFINITION.decode(body)
        masked = mask(whole)
        retention_store.replace_body(
            conn, version, DEFINITION.encode(masked), secrets_removed=masked != whole
        )

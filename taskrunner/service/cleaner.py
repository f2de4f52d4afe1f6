"""Removing what has been kept for long enough, a little at a time, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.engine import Connection

from taskrunner.errors import PipelineDeleted
from taskrunner.logs import get_logger
from taskrunner.model.codec import DEFINITION
from taskrunner.service.archive import Archive
from taskrunner.service.definitions import DefinitionCache
from taskrunner.service.masking import mask
from taskrunner.service.sessions import IDLE_LIFE
from taskrunner.service.settings import Retention
from taskrunner.service.store import expiry
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store import retention as retention_store
from taskrunner.service.store import sessions as session_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.pages import stored_versions
from taskrunner.service.store.rows import PipelineRow

log = get_logger()

#: Rows that are removed in one transaction, and pipelines that are looked at in one go.
BATCH = 500
PIPELINES = 100
RUNS = 200
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
        take_up: Callable[[], Iterator[None]] = lambda: iter(()),
    ) -> None:
        """`take_up` goes on, a portion a step, with what a service that died left half done."""
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
        yield from self._take_up()
        with self._store.write() as conn:
            session_store.remove_old(conn, now, now - IDLE_LIFE)
        yield
        yield from self._go_over_runs(now)
        before = now - timedelta(days=self._retention.days)
        for kind in retention_store.KINDS:
            while self._remove(kind, before):
                yield
        place: str | None = ""
        while place is not None:
            place = self._go_over_versions(before, place)
            yield

    def _go_over_runs(self, now: datetime) -> Iterator[None]:
        days, most = self._retention.run_days, self._retention.runs
        if days is None and most is None:
            return
        before = None if days is None else now - timedelta(days=days)
        for pipeline in self._pipelines():
            for component_id in self._components_of(pipeline):
                old = partial(
                    expiry.old_runs,
                    pipeline=pipeline,
                    component_id=component_id,
                    before=before,
                    most=most,
                )
                while self._remove_runs(pipeline, old):
                    yield
            if before is not None:
                while self._remove_runs(
                    pipeline, partial(expiry.old_skipped, pipeline=pipeline, before=before)
                ):
                    yield

    def _pipelines(self) -> Iterator[PipelineRow]:
        last: str | None = None
        more = True
        while more:
            with self._store.read() as conn:
                rows = pipeline_store.list_pipelines(conn, None, last, PIPELINES)
            yield from rows
            more = len(rows) == PIPELINES
            last = rows[-1].pipeline_id if rows else None

    def _components_of(self, pipeline: PipelineRow) -> Iterable[str]:
        """Every component that may have had instances."""
        pipeline_id = pipeline.pipeline_id
        with self._store.read() as conn:
            versions = stored_versions(conn, pipeline_id)
        loaded = [self._definitions.get(pipeline_id, version) for version in versions]
        return sorted({key for one in loaded for key in one.components.runnable})

    def _remove_runs(self, pipeline: PipelineRow, old: Callable[..., list[expiry.Run]]) -> bool:
        """Remove some runs; whether there may be more."""
        with self._store.read() as conn:
            found = old(conn, limit=RUNS)
        if not found:
            return False
        if self._retention.archive is not None:
            Archive(self._retention.archive).keep(pipeline.pipeline_id, found)
        self._store.give_way()
        with self._store.write() as conn:
            # As it is now: it may have been deactivated, and is not while this goes on.
            try:
                current = pipeline_store.load_pipeline(conn, pipeline.pipeline_id, lock=True)
            except PipelineDeleted:
                return False
            gone = expiry.remove_runs(conn, current, [row.instance_id for row, _ in found])
        return gone > 0 and len(found) == RUNS

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

"""Keeps what is launched in step with what the instances of resources say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.errors import ErrorId
from taskrunner.logs import get_logger
from taskrunner.model.decisions import Event
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.service.actions.alarms import notify
from taskrunner.service.advance import finish_pipelines
from taskrunner.service.definitions import Load, Moment
from taskrunner.service.resources.base import ResourceFailure, ResourceProvider
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.database import Store

log = get_logger()

_LIVE = (InstanceStatus.CREATING, InstanceStatus.RUNNING, InstanceStatus.SHUTTING_DOWN)


@dataclass(frozen=True)
class ResourceManager:
    """Launches, watches and ends resources; each step is repeated until the store agrees."""

    store: Store
    provider: ResourceProvider
    load: Load

    def reconcile(self, now: datetime) -> bool:
        """One round over the live resources; whether any instance was changed."""
        with self.store.read() as conn:
            rows = instance_store.with_category(conn, Category.RESOURCE, _LIVE)
        changed = [self._step(row, now) for row in rows]
        return any(changed)

    def end(self, handles: Iterable[str]) -> None:
        """Ask for the end of resources whose instances are gone."""
        for handle in handles:
            self.provider.end(handle)

    def _step(self, row: InstanceRow, now: datetime) -> bool:
        handle = row.resource_handle
        if row.status is InstanceStatus.SHUTTING_DOWN:
            if handle is None or not self.provider.end(handle):
                return False
            return self._update(row, now, resource_handle=None)
        if handle is None:
            return self._launch(row, now)
        if self.provider.alive(handle):
            return False
        reason = self.provider.reason(row)
        message = "its runner ended unexpectedly"
        return self._failed(row, now, f"{message}: {reason}" if reason else message)

    def _launch(self, row: InstanceRow, now: datetime) -> bool:
        try:
            handle = self.provider.launch(row)
        except ResourceFailure as failure:
            return self._failed(row, now, str(failure))
        if not self._update(row, now, resource_handle=handle, actual_start=now):
            # Somebody changed their mind meanwhile: what was launched must not be forgotten.
            self.provider.end(handle)
            return False
        return True

    def _failed(self, row: InstanceRow, now: datetime, message: str) -> bool:
        """Launch again while retries are left; then the resource, and who needs it, has failed."""
        failures = row.failures + 1
        moment = Moment(start=row.scheduled_start, end=row.scheduled_end)
        policy = self.load(row.pipeline_id, row.version).policy(row.component_id, moment)
        if failures <= policy.maximum_retries:
            status = InstanceStatus.CREATING
            done = self._update(row, now, status=status, resource_handle=None, failures=failures)
        else:
            with self.store.write() as conn:
                done = self._give_up(conn, replace(row, failures=failures), now, message)
        if done:
            # Only who changed the store says it, so that each launch is told of once.
            log.warning(
                "resource failed",
                error=message,
                pipeline_id=row.pipeline_id,
                instance_id=row.instance_id,
            )
        return done

    def _update(self, row: InstanceRow, now: datetime, **values: object) -> bool:
        with self.store.write() as conn:
            changed = instance_store.update_instance(conn, row, **values)
            if changed:
                instance_store.wake(conn, row.pipeline_id, [row.instance_id], now)
        return changed

    def _give_up(self, conn: Connection, row: InstanceRow, now: datetime, message: str) -> bool:
        ended: dict[str, Any] = {
            "status": InstanceStatus.FAILED,
            "resource_handle": None,
            "failures": row.failures,
            "actual_end": now,
            "due_at": None,
            "error_id": ErrorId.RESOURCE_FAILED,
            "error_message": message,
        }
        # First the pipeline, then its instances: the order that everybody keeps.
        pipeline_store.load_pipeline(conn, row.pipeline_id, lock=True)
        if not instance_store.update_instance(conn, row, **ended):
            return False
        loaded = self.load(row.pipeline_id, row.version)
        notify(conn, loaded, replace(row, **ended), Event.FAIL, now)
        users = links.dependents_of(conn, row.pipeline_id, [row.instance_id])
        waiting = [d.instance_id for d in users.get(row.instance_id, ())]
        instance_store.wake(conn, row.pipeline_id, waiting, now)
        finish_pipelines(conn, [row.pipeline_id], self.load, now)
        return True

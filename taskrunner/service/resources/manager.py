"""Keeps what is launched in step with what the instances of resources say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.errors import ErrorId, PipelineDeleted, PipelineNotFound
from taskrunner.logs import get_logger
from taskrunner.model.decisions import Event
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.service.actions.alarms import notify
from taskrunner.service.advance import finish_pipelines
from taskrunner.service.definitions import Load, Moment
from taskrunner.service.rerun import in_portions
from taskrunner.service.resources.base import ResourceFailure, ResourceProvider
from taskrunner.service.resources.placing import (
    Place,
    group_of,
    is_awaited,
    is_launched,
    move_users,
    place_of,
)
from taskrunner.service.resources.rules import Rules
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links
from taskrunner.service.store import pipelines as pipeline_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.places import pipelines_by_id, with_work
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.wakeups import WorkReady

log = get_logger()

_LIVE = (InstanceStatus.CREATING, InstanceStatus.RUNNING, InstanceStatus.SHUTTING_DOWN)


@dataclass
class ResourceManager:
    """Places, launches, watches and ends resources; each step is repeated until the store agrees.

    What the rules say is looked up when a resource is needed, while it waits for somebody to start
    its runner, and of every resource when the service has started: the rules may have changed.
    """

    store: Store
    provider: ResourceProvider
    load: Load
    #: None: the provider launches every resource.
    rules: Rules | None = None
    work_ready: WorkReady = field(default_factory=WorkReady)
    _started: bool = field(default=False, init=False)

    def reconcile(self, now: datetime) -> bool:
        """One round over the live resources; whether any instance was changed."""
        with self.store.read() as conn:
            rows = instance_store.with_category(conn, Category.RESOURCE, _LIVE)
            unsure = sorted({row.pipeline_id for row in rows if self._is_unsure(row)})
            found = [pipelines_by_id(conn, some) for some in in_portions(unsure)]
            late = self._with_late_users(conn, rows)
        known = {key: row for some in found for key, row in some.items()}
        changed = [self._step(row, now, self._place(row, known)) for row in rows]
        changed += [self._take_along(row, now) for row in late]
        self._started = True
        return any(changed)

    def end(self, handles: Iterable[str]) -> None:
        """Ask for the end of resources whose instances are gone."""
        for handle in filter(is_launched, handles):
            self.provider.end(handle)

    def _is_unsure(self, row: InstanceRow) -> bool:
        """Whether the rules are to be asked where this one runs."""
        if self.rules is None or row.status is InstanceStatus.SHUTTING_DOWN:
            return False
        handle = row.resource_handle
        waits = row.status is InstanceStatus.CREATING and is_awaited(handle)
        return handle is None or waits or not self._started

    def _place(self, row: InstanceRow, known: Mapping[str, PipelineRow]) -> Place | None:
        """Where a resource is to run; None: where it is."""
        if self.rules is None and row.resource_handle is None:
            return Place(handle=None, group=row.worker_group or "")
        pipeline = known.get(row.pipeline_id)
        if self.rules is None or pipeline is None or not self._is_unsure(row):
            return None
        return place_of(row, pipeline, self.rules)

    @staticmethod
    def _with_late_users(conn: Connection, rows: Iterable[InstanceRow]) -> list[InstanceRow]:
        """The resources placed in a group some of whose users came later, and wait elsewhere."""
        placed = {
            row.worker_group: row
            for row in rows
            if row.worker_group and group_of(row.resource_handle) is not None
        }
        found = [with_work(conn, some) for some in in_portions(list(placed))]
        return [placed[group] for groups in found for group in sorted(groups)]

    def _take_along(self, row: InstanceRow, now: datetime) -> bool:
        group = group_of(row.resource_handle)
        return group is not None and self._change(row, now, group)

    def _step(self, row: InstanceRow, now: datetime, place: Place | None) -> bool:
        handle = row.resource_handle
        if row.status is InstanceStatus.SHUTTING_DOWN:
            return handle is not None and self._shut_down(row, now, handle)
        if place is not None and place.handle is not None:
            return self._await(row, now, place)
        if handle is None:
            return place is not None and self._launch(row, now, place)
        if place is not None and not is_launched(handle):
            # An agent of its own in place of somebody else's: launched in the next round.
            values = {"status": InstanceStatus.CREATING, "error_message": None}
            return self._change(row, now, place.group, resource_handle=None, **values)
        return is_launched(handle) and self._watch(row, now, handle)

    def _shut_down(self, row: InstanceRow, now: datetime, handle: str) -> bool:
        if is_launched(handle) and not self.provider.end(handle):
            return False
        return self._update(row, now, resource_handle=None)

    def _watch(self, row: InstanceRow, now: datetime, handle: str) -> bool:
        if self.provider.alive(handle):
            return False
        reason = self.provider.reason(row)
        message = "its runner ended unexpectedly"
        return self._failed(row, now, f"{message}: {reason}" if reason else message)

    def _await(self, row: InstanceRow, now: datetime, place: Place) -> bool:
        """Leave a resource's work to runners that somebody else starts."""
        arrived = row.status is InstanceStatus.RUNNING and row.resource_handle == place.handle
        waits = None if arrived else place.waits
        if (row.resource_handle, row.error_message) == (place.handle, waits):
            return False
        values: dict[str, Any] = {"resource_handle": place.handle, "error_message": waits}
        if not arrived:
            runs = waits is None
            values["status"] = InstanceStatus.RUNNING if runs else InstanceStatus.CREATING
        if not place.unmatched:
            values["actual_start"] = row.actual_start or now
        done = self._change(row, now, place.group, **values)
        if done and row.resource_handle and is_launched(row.resource_handle):
            self.provider.end(row.resource_handle)
        if done and waits is not None:
            tell = log.warning if place.unmatched else log.info
            told = {"pipeline_id": row.pipeline_id, "instance_id": row.instance_id}
            tell("resource waits for a runner", reason=waits, **told)
        return done

    def _launch(self, row: InstanceRow, now: datetime, place: Place) -> bool:
        try:
            handle = self.provider.launch(row)
        except ResourceFailure as failure:
            return self._failed(row, now, str(failure))
        if not self._change(row, now, place.group, resource_handle=handle, actual_start=now):
            # Somebody changed their mind meanwhile: what was launched must not be forgotten.
            self.provider.end(handle)
            return False
        return True

    def _change(self, row: InstanceRow, now: datetime, group: str, **values: object) -> bool:
        """Change a resource, and have those who use it wait in this worker group."""
        try:
            with self.store.write() as conn:
                # First the pipeline, then its instances: the order that everybody keeps.
                pipeline_store.load_pipeline(conn, row.pipeline_id, lock=True)
                if values and not instance_store.update_instance(conn, row, **values):
                    return False
                moved = move_users(conn, row, group)
                if moved:
                    self.work_ready.tell(conn, [group], now)
                instance_store.wake(conn, row.pipeline_id, [row.instance_id], now)
        except (PipelineDeleted, PipelineNotFound):
            return False
        if moved:
            # Only after the commit: a woken poll must find what it was woken for.
            self.work_ready.announce([group])
        return moved or bool(values)

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

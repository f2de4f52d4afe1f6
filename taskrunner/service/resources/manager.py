"""Keeps what is launched in step with what the instances of resources say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError, ErrorId, PipelineDeleted, PipelineNotFound
from taskrunner.logs import get_logger
from taskrunner.model.decisions import Event
from taskrunner.model.document import PipelineObject
from taskrunner.model.policy import Policy
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import STARTING, InstanceStatus
from taskrunner.service.actions.alarms import notify
from taskrunner.service.advance import finish_pipelines
from taskrunner.service.definitions import Load, LoadedDefinition, Moment
from taskrunner.service.rerun import in_portions
from taskrunner.service.resources.base import (
    Launch,
    ResourceBusy,
    ResourceFailure,
    ResourceProvider,
    agents_of,
)
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
from taskrunner.service.store import resources as resource_store
from taskrunner.service.store.database import Store
from taskrunner.service.store.places import pipelines_by_id, with_work
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.unchanged import Unchanged
from taskrunner.service.views import NOT_FOLLOWED
from taskrunner.service.wakeups import WorkReady

log = get_logger()

#: How long a launched runner may take to ask for work where initTimeout does not say.
INIT_TIMEOUT = timedelta(minutes=30)
_LIVE = (*STARTING, InstanceStatus.RUNNING, InstanceStatus.SHUTTING_DOWN)


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
    #: Whether the last look found any resource that is needed or runs.
    any_live: bool = field(default=False, init=False)
    unchanged: Unchanged = field(init=False)
    _started: bool = field(default=False, init=False)
    #: When a launch that failed is tried again; after a restart it is tried at once.
    _later: dict[tuple[str, str], datetime] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.unchanged = Unchanged(self.store)

    def reconcile(self, now: datetime) -> bool:
        """One round over the live resources; whether any instance was changed."""
        self.provider.look_after(now)
        look = self.unchanged.look(now)
        if not look.is_needed:
            return False
        with self.store.read() as conn:
            rows = resource_store.resources_in(conn, _LIVE)
            unsure = sorted({row.pipeline_id for row in rows if self._needs_pipeline(row)})
            found = [pipelines_by_id(conn, some) for some in in_portions(unsure)]
            late = self._with_late_users(conn, rows)
        self.any_live = bool(rows)
        if not rows:
            self.unchanged.found_nothing(look, until=None)
        known = {key: row for some in found for key, row in some.items()}
        changed = [self._step(row, now, self._place(row, known), known) for row in rows]
        changed += [self._take_along(row, now) for row in late]
        self._started = True
        return any(changed)

    def end(self, handles: Iterable[str]) -> None:
        """Ask for the end of resources whose instances are gone."""
        for handle in filter(is_launched, handles):
            self.provider.end(handle)

    def _needs_pipeline(self, row: InstanceRow) -> bool:
        """Whether it is to be launched, or its place to be looked up."""
        waits = row.status is not InstanceStatus.SHUTTING_DOWN and row.resource_handle is None
        return waits or self._is_unsure(row)

    def _is_unsure(self, row: InstanceRow) -> bool:
        """Whether the rules are to be asked where this one runs."""
        if self.rules is None or row.status is InstanceStatus.SHUTTING_DOWN:
            return False
        handle = row.resource_handle
        waits = row.status in STARTING and is_awaited(handle)
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
            if (row.status is InstanceStatus.RUNNING or not is_launched(row.resource_handle))
            and row.worker_group
            and group_of(row.resource_handle) is not None
        }
        found = [with_work(conn, some) for some in in_portions(list(placed))]
        return [placed[group] for groups in found for group in sorted(groups)]

    def _take_along(self, row: InstanceRow, now: datetime) -> bool:
        group = group_of(row.resource_handle)
        return group is not None and self._change(row, now, group)

    def _step(
        self,
        row: InstanceRow,
        now: datetime,
        place: Place | None,
        known: Mapping[str, PipelineRow],
    ) -> bool:
        handle = row.resource_handle
        if row.status is InstanceStatus.SHUTTING_DOWN:
            return handle is not None and self._shut_down(row, now, handle)
        if place is not None and place.handle is not None:
            return self._await(row, now, place)
        if handle is None:
            pipeline = known.get(row.pipeline_id)
            if place is None or pipeline is None or self._is_early(row, now):
                return False
            return self._launch(row, now, place, pipeline)
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
            group = agents_of(handle)
            waits = row.status in STARTING
            if waits and group is not None and self.provider.takes_work(handle):
                runs: dict[str, Any] = {"status": InstanceStatus.RUNNING, "error_message": None}
                return self._change(row, now, group, **runs)
            message = self._not_arrived(row, now)
            if message is None:
                return False
        else:
            reason = self.provider.reason(row)
            message = "its runner ended unexpectedly"
            message = f"{message}: {reason}" if reason else message
        # Before it is forgotten: of several machines some may be left, or one that never spoke.
        self.provider.end(handle)
        permanent = self._policy(row).retry_none
        return self._failed(row, now, ResourceFailure(message, permanent=permanent))

    def _not_arrived(self, row: InstanceRow, now: datetime) -> str | None:
        """What is to be said of a runner that has had time enough to ask for work."""
        if row.status not in STARTING or row.actual_start is None:
            return None
        given = self._policy(row).init_timeout
        limit = INIT_TIMEOUT if given is None else given
        if now < row.actual_start + limit:
            return None
        said = f"initTimeout ({limit})" if given is not None else f"{limit} (set initTimeout)"
        reason = self.provider.reason(row)
        return f"its runner did not ask for work within {said}{f': {reason}' if reason else ''}"

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
            values["actual_start"] = row.actual_start or _begun(row, now)
        done = self._change(row, now, place.group, **values)
        if done and row.resource_handle and is_launched(row.resource_handle):
            self.provider.end(row.resource_handle)
        if done and waits is not None:
            tell = log.warning if place.unmatched else log.info
            told = {"pipeline_id": row.pipeline_id, "instance_id": row.instance_id}
            tell("resource waits for a runner", reason=waits, **told)
        return done

    def _is_early(self, row: InstanceRow, now: datetime) -> bool:
        """Whether the next try of a launch is to come only later."""
        key = (row.pipeline_id, row.instance_id)
        if now < self._later.get(key, now):
            return True
        self._later.pop(key, None)
        return False

    def _launch(self, row: InstanceRow, now: datetime, place: Place, pipeline: PipelineRow) -> bool:
        try:
            handle = self.provider.launch(self._wanted(row, place, pipeline))
        except ResourceFailure as failure:
            return self._failed(row, now, failure)
        except ResourceBusy as busy:
            message = str(busy)
            return row.error_message != message and self._update(row, now, error_message=message)
        except DefinitionError as error:
            return self._failed(row, now, ResourceFailure(str(error), permanent=True))
        begun = _begun(row, now)
        values: dict[str, Any] = {"resource_handle": handle, "actual_start": begun}
        values["error_message"] = None
        if row.status is InstanceStatus.CREATING:
            values["status"] = InstanceStatus.ACTIVATING
        if not self._change(row, now, place.group, **values):
            # Somebody changed their mind meanwhile: what was launched must not be forgotten.
            self.provider.end(handle)
            return False
        return True

    def _wanted(self, row: InstanceRow, place: Place, pipeline: PipelineRow) -> Launch:
        """What a provider is told. Raises DefinitionError for a field that has no value."""
        loaded, moment = self._loaded(row)
        fields = loaded.evaluated(row.component_id, moment)
        return Launch(
            row=row,
            target=place.target,
            fields=fields,
            referred=_led_to(loaded, moment, fields),
            policy=loaded.policy(row.component_id, moment),
            account=pipeline.account,
            pipeline=pipeline.name,
            tags=dict(pipeline.tags),
        )

    def _loaded(self, row: InstanceRow) -> tuple[LoadedDefinition, Moment]:
        moment = Moment(start=row.scheduled_start, end=row.scheduled_end)
        return self.load(row.pipeline_id, row.version), moment

    def _policy(self, row: InstanceRow) -> Policy:
        loaded, moment = self._loaded(row)
        return loaded.policy(row.component_id, moment)

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

    def _failed(self, row: InstanceRow, now: datetime, failure: ResourceFailure) -> bool:
        """Launch again while retries are left; then the resource, and who needs it, has failed."""
        failures, message = row.failures + 1, str(failure)
        policy = self._policy(row)
        if failures <= policy.maximum_retries and not failure.permanent:
            again: dict[str, Any] = {"resource_handle": None, "failures": failures}
            again |= {"status": InstanceStatus.CREATING, "error_message": message}
            if agents_of(row.resource_handle) is None:
                done = self._update(row, now, **again)
            else:
                # Out of the hands of agents, which know of no machine but this resource's.
                done = self._change(row, now, row.worker_group or "", **again)
            if done and failure.wait:
                self._later[row.pipeline_id, row.instance_id] = now + policy.retry_delay
        else:
            with self.store.write() as conn:
                done = self._give_up(conn, row, now, message)
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
            "failures": row.failures + 1,
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
        instance_store.wake_siblings(conn, row, now)
        finish_pipelines(conn, [row.pipeline_id], self.load, now)
        return True


def _led_to(
    loaded: LoadedDefinition, moment: Moment, start: PipelineObject
) -> Mapping[str, PipelineObject]:
    """The objects that an object's fields lead to, one after the other."""
    found: dict[str, PipelineObject] = {}
    left = [start]
    while left:
        obj = left.pop()
        keys = set(obj.keys()) - NOT_FOLLOWED
        named = {ref.id for key in keys for ref in obj.refs(key)}
        new = sorted((named & loaded.objects.keys()) - found.keys())
        found |= {key: loaded.evaluated(key, moment) for key in new}
        left += [found[key] for key in new]
    return found


def _begun(row: InstanceRow, now: datetime) -> datetime:
    """When a resource is launched: `now`, which is when the round began, or since then.

    Before its `not_before` it would seem to be asked for once more.
    """
    return max(now, row.not_before)

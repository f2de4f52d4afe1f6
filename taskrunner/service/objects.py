"""Looking at a pipeline's components, instances and attempts, and changing instances by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError, InvalidRequest
from taskrunner.model.decisions import Become, Decision, EndAttempt, View
from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.expressions import Scope, evaluate
from taskrunner.model.instances import Category
from taskrunner.model.planner import cancel
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.states import (
    ATTEMPT_TERMINAL,
    INSTANCE_TERMINAL,
    AttemptStatus,
    InstanceStatus,
    PipelineState,
)
from taskrunner.model.times import format_datetime
from taskrunner.service.advance import ActiveCounts, Load, build_views, finish_pipelines
from taskrunner.service.apply import SchedulingTransaction, apply
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.rerun import rerun
from taskrunner.service.runtime import runtime_fields
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.views import attempt_object, instance_object

SPHERES = ("COMPONENT", "INSTANCE", "ATTEMPT")

#: What one object says to the fields that a query may name.
Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one pipeline, read within one transaction."""

    conn: Connection
    pipeline: PipelineRow
    load: Load

    @property
    def _loaded(self) -> LoadedDefinition | None:
        version = self.pipeline.active_version or self.pipeline.latest_version
        return self.load(self.pipeline.pipeline_id, version) if version else None

    def facts(self, sphere: str) -> list[tuple[str, Facts]]:
        """Every object of a sphere with what can be asked of it, in a stable order."""
        return _FACTS[sphere](self)

    def component_facts(self) -> list[tuple[str, Facts]]:
        """The components of the active definition, or of the latest."""
        loaded = self._loaded
        if loaded is None:
            return []
        return [
            (obj.id, {"name": obj.name, "@sphere": "COMPONENT", "parent": _parent(obj)})
            for obj in loaded.definition.objects
        ]

    def instance_facts(self) -> list[tuple[str, Facts]]:
        """The instances."""
        rows = instance_store.load_instances(self.conn, self.pipeline.pipeline_id)
        return [(row.instance_id, _instance_facts(row)) for row in rows]

    def attempt_facts(self) -> list[tuple[str, Facts]]:
        """The attempts."""
        pipeline_id = self.pipeline.pipeline_id
        rows = {
            row.instance_id: row for row in instance_store.load_instances(self.conn, pipeline_id)
        }
        return [
            (attempt.attempt_id, _attempt_facts(rows[attempt.instance_id], attempt))
            for attempt in attempt_store.load_attempts(self.conn, pipeline_id)
        ]

    def describe(self, ids: Sequence[str], *, evaluate_expressions: bool) -> list[PipelineObject]:
        """Objects of any sphere by their ids. Raises InvalidRequest for one that is not there."""
        pipeline_id = self.pipeline.pipeline_id
        instances = {r.instance_id: r for r in self._instances(ids)}
        attempts = {
            a.attempt_id: a
            for a in attempt_store.load_attempts(self.conn, pipeline_id, attempt_ids=ids)
        }
        parents = {
            r.instance_id: r for r in self._instances({a.instance_id for a in attempts.values()})
        }
        heads = attempt_store.head_attempts(self.conn, pipeline_id, list(instances))
        found = []
        for object_id in ids:
            if object_id in attempts:
                attempt = attempts[object_id]
                row = parents[attempt.instance_id]
                loaded = self.load(pipeline_id, row.version)
                found.append(attempt_object(self.conn, loaded, row, attempt))
            elif object_id in instances:
                row = instances[object_id]
                loaded = self.load(pipeline_id, row.version)
                shown = evaluate_expressions
                found.append(instance_object(self.conn, loaded, row, heads, evaluate=shown))
            else:
                found.append(self._component(object_id))
        return found

    def _instances(self, ids: Iterable[str]) -> list[InstanceRow]:
        return instance_store.load_instances(self.conn, self.pipeline.pipeline_id, ids)

    def _component(self, object_id: str) -> PipelineObject:
        loaded = self._loaded
        obj = loaded.for_eyes.definition.get(object_id) if loaded else None
        if obj is None:
            raise InvalidRequest(
                f"pipeline {self.pipeline.pipeline_id} has no object {object_id!r}"
            )
        state = "SCHEDULED" if self.pipeline.active_version else "PENDING"
        runtime = (Field("@sphere", "COMPONENT"), Field("@status", state))
        return PipelineObject(id=obj.id, name=obj.name, fields=(*obj.fields, *runtime))

    def evaluate(self, object_id: str, expression: str) -> str:
        """The value of an expression in an object's fields. Raises InvalidRequest."""
        text = expression if "#{" in expression else f"#{{{expression}}}"
        try:
            return ",".join(evaluate(text, self._scope(object_id)))
        except DefinitionError as error:
            raise InvalidRequest(error.message) from error

    def _scope(self, object_id: str) -> Scope:
        instance_id = object_id.rsplit("_Attempt=", 1)[0]
        rows = self._instances([instance_id])
        if rows:
            row = rows[0]
            more = {row.component_id: runtime_fields(row)}
            moment = Moment(start=row.scheduled_start, end=row.scheduled_end, more=more)
            loaded = self.load(self.pipeline.pipeline_id, row.version).for_eyes
            return loaded.scope(row.component_id, moment)
        component = self._component(object_id)
        since = self.pipeline.first_activated_at or self.pipeline.created_at
        version = self.pipeline.active_version or self.pipeline.latest_version
        loaded = self.load(self.pipeline.pipeline_id, version).for_eyes
        return loaded.scope(component.id, Moment(start=since, end=since))


_FACTS: Mapping[str, Callable[[Objects], list[tuple[str, Facts]]]] = {
    "COMPONENT": Objects.component_facts,
    "INSTANCE": Objects.instance_facts,
    "ATTEMPT": Objects.attempt_facts,
}


def _parent(obj: PipelineObject) -> str:
    ref = obj.ref("parent")
    return ref.id if isinstance(ref, Ref) else ""


def _instance_facts(row: InstanceRow) -> Facts:
    moments = {
        "@scheduledStartTime": row.scheduled_start,
        "@scheduledEndTime": row.scheduled_end,
        "@actualStartTime": row.actual_start,
        "@actualEndTime": row.actual_end,
    }
    return {
        "name": f"@{row.name}_{format_datetime(row.scheduled_start)}",
        "@sphere": "INSTANCE",
        "parent": row.component_id,
        "@componentParent": row.component_id,
        "@status": str(row.status),
        **{key: format_datetime(moment) for key, moment in moments.items() if moment},
    }


def _attempt_facts(row: InstanceRow, attempt: AttemptRow) -> Facts:
    moments = {"@actualStartTime": attempt.started_at, "@actualEndTime": attempt.ended_at}
    facts = {k: v for k, v in _instance_facts(row).items() if not k.startswith("@actual")}
    return {
        **facts,
        "@sphere": "ATTEMPT",
        "@instanceParent": row.instance_id,
        "@status": str(attempt.status),
        **{key: format_datetime(moment) for key, moment in moments.items() if moment},
    }


def check_status(wanted: str) -> None:
    """Raises InvalidRequest for a status that cannot be set."""
    if wanted in _OF_COMPONENTS:
        raise InvalidRequest(f"{wanted} is not supported by this service yet")
    if wanted not in _BY_HAND:
        raise InvalidRequest(
            f"status {wanted!r} cannot be set on instances: wanted {', '.join(sorted(_BY_HAND))}"
        )


def set_status(
    transaction: SchedulingTransaction,
    pipeline: PipelineRow,
    rows: Sequence[InstanceRow],
    wanted: str,
    load: Load,
) -> None:
    """Carry out SetStatus on instances. Raises InvalidRequest for what cannot be."""
    check_status(wanted)
    if pipeline.state is PipelineState.FINISHED:
        raise InvalidRequest(f"pipeline {pipeline.pipeline_id} has finished")
    if wanted == "RERUN":
        _check_ended(rows)
        rerun(transaction, pipeline.pipeline_id, rows)
        return
    counts = ActiveCounts(transaction.conn)
    for loaded, view in build_views(transaction, pipeline.pipeline_id, rows, load, counts):
        apply(transaction, loaded, view, _DECISIONS[wanted](view))
    finish_pipelines(transaction.conn, transaction.ended)


def _check_ended(rows: Sequence[InstanceRow]) -> None:
    for row in rows:
        if row.status not in INSTANCE_TERMINAL:
            raise InvalidRequest(f"{row.instance_id} is {row.status}: not ended yet")


def _mark_finished(view: View) -> list[Decision]:
    status, finished = view.instance.status, Become(status=InstanceStatus.FINISHED)
    if status is InstanceStatus.FINISHED:
        return []
    if status in INSTANCE_TERMINAL:
        # Out of an end leads only the way through the beginning.
        return [Become(status=InstanceStatus.WAITING_ON_DEPENDENCIES), finished]
    if view.instance.category == Category.RESOURCE:
        return _cancel(view)  # what was launched must be ended first
    end: list[Decision] = []
    if view.head is not None and view.head.status not in ATTEMPT_TERMINAL:
        end = [EndAttempt(status=AttemptStatus.CANCELED, error_message="marked as finished")]
    return [*end, finished]


def _cancel(view: View) -> list[Decision]:
    return cancel(view, "canceled by SetStatus")


_DECISIONS: Mapping[str, Callable[[View], list[Decision]]] = {
    "CANCEL": _cancel,
    "TRY_CANCEL": _cancel,
    "MARK_FINISHED": _mark_finished,
}
_BY_HAND = {*_DECISIONS, "RERUN"}
#: What the API lets one ask of components rather than instances.
_OF_COMPONENTS = {"PAUSE", "RESUME"}

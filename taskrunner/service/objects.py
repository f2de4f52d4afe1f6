"""Looking at a pipeline's components, instances and attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError, InvalidRequest
from taskrunner.model.document import PipelineObject
from taskrunner.model.expressions import Scope, evaluate
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.service.component_facts import ComponentFacts
from taskrunner.service.definitions import Load, LoadedDefinition, Moment
from taskrunner.service.query import Page, RowQuery, component_page
from taskrunner.service.row_conditions import RowConditions
from taskrunner.service.runtime import moment
from taskrunner.service.runtime_values import Subject
from taskrunner.service.selectors import Condition
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store.pages import ATTEMPTS, INSTANCES, stored_versions
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import attempts, instances
from taskrunner.service.subjects import Attempt, Batch, Component, Instance
from taskrunner.service.views import described, object_id
from taskrunner.service.why import waits
from taskrunner.wire.structures import Selector


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one pipeline, read within one transaction."""

    conn: Connection
    pipeline: PipelineRow
    load: Load
    now: datetime

    @property
    def _loaded(self) -> LoadedDefinition | None:
        version = self.pipeline.active_version or self.pipeline.latest_version
        return self.load(self.pipeline.pipeline_id, version) if version else None

    def query(
        self, sphere: str, selectors: Sequence[Selector], marker: str | None, limit: int
    ) -> Page:
        """The ids of the objects of a sphere that meet every selector, and where more are.

        They come in a stable order, from the place of the marker on. Raises InvalidRequest.
        """
        conditions = [Condition.of(selector) for selector in selectors]
        return _SPHERES[sphere](self, conditions, marker or None, limit)

    def _components(self, conditions: Sequence[Condition], marker: str | None, limit: int) -> Page:
        """The components of the active definition, or of the latest."""
        loaded = self._loaded
        objects = {obj.id: obj for obj in loaded.for_eyes.definition.objects} if loaded else {}

        def subjects(ids: Sequence[str]) -> list[Component]:
            return self._as_components([objects[key] for key in ids])

        return component_page(list(objects), subjects, conditions, marker, limit)

    def _as_components(self, objects: Iterable[PipelineObject]) -> list[Component]:
        loaded = self._loaded
        if loaded is None:
            return []
        facts = ComponentFacts(self.conn, self.pipeline, loaded)
        return [Component(row=self.pipeline, obj=obj, facts=facts) for obj in objects]

    def _instances(self, conditions: Sequence[Condition], marker: str | None, limit: int) -> Page:
        rows = RowConditions(instances, self._versions())
        query = RowQuery(self.conn, self._id, INSTANCES, rows, self.as_instances)
        return query.page(conditions, marker, limit)

    def _attempts(self, conditions: Sequence[Condition], marker: str | None, limit: int) -> Page:
        rows = RowConditions(attempts, self._versions())
        query = RowQuery(self.conn, self._id, ATTEMPTS, rows, self.as_attempts)
        return query.page(conditions, marker, limit)

    def _versions(self) -> dict[int, LoadedDefinition]:
        """Every version by which any instance may have been made."""
        found = stored_versions(self.conn, self._id)
        return {version: self.load(self._id, version) for version in found}

    def describe(self, ids: Sequence[str], *, evaluate_expressions: bool) -> list[PipelineObject]:
        """Objects of any sphere by their ids. Raises InvalidRequest for one that is not there."""
        tried = attempt_store.load_attempts(self.conn, self._id, attempt_ids=ids)
        made: list[Subject] = [*self.as_instances(self._rows(ids)), *self.as_attempts(tried)]
        by_id = {object_id(subject): subject for subject in made}
        found = [by_id.get(key) or self._component(key) for key in ids]
        return [
            # An attempt's fields are those that its runner was given.
            described(subject, evaluate=evaluate_expressions or isinstance(subject, Attempt))
            for subject in found
        ]

    @property
    def _id(self) -> str:
        return self.pipeline.pipeline_id

    def _rows(self, ids: Iterable[str]) -> list[InstanceRow]:
        return instance_store.load_instances(self.conn, self._id, ids)

    def as_instances(self, rows: Sequence[InstanceRow]) -> list[Instance]:
        """Rows as objects; what they need beside is loaded for all of them."""
        batch = Batch(self.conn, self._id, rows, why=self._why)
        return [
            Instance(row=row, loaded=self.load(self._id, row.version), batch=batch) for row in rows
        ]

    def _why(self, rows: Sequence[InstanceRow]) -> Mapping[str, str]:
        return waits(self.conn, self.pipeline, self.load, self.now, rows)

    def as_attempts(self, rows: Sequence[AttemptRow]) -> list[Attempt]:
        """As `as_instances`, of attempts."""
        of = self.as_instances(self._rows({row.instance_id for row in rows}))
        by_id = {instance.row.instance_id: instance for instance in of}
        return [Attempt(row=row, instance=by_id[row.instance_id]) for row in rows]

    def _component(self, key: str) -> Component:
        loaded = self._loaded
        obj = loaded.for_eyes.definition.get(key) if loaded else None
        if obj is None:
            raise InvalidRequest(f"pipeline {self._id} has no object {key!r}")
        (component,) = self._as_components([obj])
        return component

    def evaluate(self, object_id: str, expression: str) -> str:
        """The value of an expression in an object's fields. Raises InvalidRequest."""
        text = expression if "#{" in expression else f"#{{{expression}}}"
        try:
            return ",".join(evaluate(text, self._scope(object_id)))
        except DefinitionError as error:
            raise InvalidRequest(error.message) from error

    def _scope(self, key: str) -> Scope:
        rows = self._rows([key.rsplit("_Attempt=", 1)[0]])
        if rows:
            row = rows[0]
            loaded = self.load(self._id, row.version).for_eyes
            return loaded.scope(row.component_id, moment(loaded, row))
        component = self._component(key)
        since = self.pipeline.first_activated_at or self.pipeline.created_at
        version = self.pipeline.active_version or self.pipeline.latest_version
        loaded = self.load(self._id, version).for_eyes
        return loaded.scope(component.obj.id, Moment(start=since, end=since))


_SPHERES: Mapping[str, Callable[[Objects, Sequence[Condition], str | None, int], Page]] = {
    "COMPONENT": Objects._components,
    "INSTANCE": Objects._instances,
    "ATTEMPT": Objects._attempts,
}
SPHERES = tuple(_SPHERES)

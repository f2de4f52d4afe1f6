"""Looking at a pipeline's components, instances and attempts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError, InvalidRequest
from taskrunner.model.document import PipelineObject
from taskrunner.model.expressions import Scope, evaluate
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.service.component_facts import ComponentFacts
from taskrunner.service.definitions import Load, LoadedDefinition, Moment
from taskrunner.service.runtime import Subject, moment
from taskrunner.service.selectors import Condition, row_conditions
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store.rows import PipelineRow
from taskrunner.service.store.tables import attempts, instances
from taskrunner.service.subjects import Attempt, Batch, Component, Instance
from taskrunner.service.views import described, object_id
from taskrunner.wire.structures import Selector

T = TypeVar("T")


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

    def query(
        self, sphere: str, selectors: Sequence[Selector], marker: str | None, limit: int
    ) -> tuple[list[str], bool]:
        """The ids of the objects of a sphere that meet every selector, and whether there are more.

        They come in a stable order, from the one after `marker` on. Raises InvalidRequest.
        """
        conditions = [Condition.of(selector) for selector in selectors]
        found = (
            object_id(subject)
            for subject in _SPHERES[sphere](self, conditions, marker or None)
            if all(condition.met_by(subject) for condition in conditions)
        )
        page = list(islice(found, limit + 1))
        return page[:limit], len(page) > limit

    def _components(
        self, _conditions: Sequence[Condition], marker: str | None
    ) -> Iterator[Component]:
        """The components of the active definition, or of the latest."""
        loaded = self._loaded
        objects = loaded.for_eyes.definition.objects if loaded else ()
        ids = [obj.id for obj in objects]
        first = 0 if marker is None else 1 + ids.index(_known(marker if marker in ids else None))
        return iter(self._as_components(objects[first:]))

    def _as_components(self, objects: Iterable[PipelineObject]) -> list[Component]:
        loaded = self._loaded
        if loaded is None:
            return []
        facts = ComponentFacts(self.conn, self.pipeline, loaded)
        return [Component(row=self.pipeline, obj=obj, facts=facts) for obj in objects]

    def _instances(self, conditions: Sequence[Condition], marker: str | None) -> Iterator[Instance]:
        after = None if marker is None else _known(next(iter(self._rows([marker])), None))
        where = row_conditions(instances, conditions)
        for rows in instance_store.stream_instances(self.conn, self._id, where, after):
            yield from self._as_instances(rows)

    def _attempts(self, conditions: Sequence[Condition], marker: str | None) -> Iterator[Attempt]:
        load = attempt_store.load_attempt
        after = None if marker is None else _known(load(self.conn, self._id, marker))
        where = row_conditions(attempts, conditions)
        for rows in attempt_store.stream_attempts(self.conn, self._id, where, after):
            yield from self._as_attempts(rows)

    def describe(self, ids: Sequence[str], *, evaluate_expressions: bool) -> list[PipelineObject]:
        """Objects of any sphere by their ids. Raises InvalidRequest for one that is not there."""
        tried = attempt_store.load_attempts(self.conn, self._id, attempt_ids=ids)
        made: list[Subject] = [*self._as_instances(self._rows(ids)), *self._as_attempts(tried)]
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

    def _as_instances(self, rows: Sequence[InstanceRow]) -> list[Instance]:
        batch = Batch(self.conn, self._id, rows)
        return [
            Instance(row=row, loaded=self.load(self._id, row.version), batch=batch) for row in rows
        ]

    def _as_attempts(self, rows: Sequence[AttemptRow]) -> list[Attempt]:
        of = self._as_instances(self._rows({row.instance_id for row in rows}))
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


_SPHERES: Mapping[str, Callable[[Objects, Sequence[Condition], str | None], Iterator[Subject]]] = {
    "COMPONENT": Objects._components,
    "INSTANCE": Objects._instances,
    "ATTEMPT": Objects._attempts,
}
SPHERES = tuple(_SPHERES)


def _known(place: T | None) -> T:
    if place is None:
        raise InvalidRequest("the marker is not one that this query gave")
    return place

"""What DescribeObjects and QueryObjects look at: components, instances and attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy.engine import Connection

from taskrunner.model.document import PipelineObject, Ref
from taskrunner.model.instances import Dependency
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.service.component_facts import ComponentFacts
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.store import attempts as attempt_store
from taskrunner.service.store import latest, links
from taskrunner.service.store.rows import PipelineRow


class Neighbours:
    """The instances that one waits for, and those that wait for it."""

    def __init__(self, rows: Sequence[InstanceRow] = ()) -> None:
        self.by_id = {row.instance_id: row for row in rows}
        self._refs: dict[str, tuple[Ref, ...]] = {}
        for row in rows:
            others = self._refs.get(row.component_id, ())
            self._refs[row.component_id] = (*others, Ref(row.instance_id))

    def refs(self, component: Ref) -> tuple[Ref, ...]:
        """References to the instances of a component; to itself when it has none."""
        return self._refs.get(component.id, (component,))


class Batch:
    """Instances of one pipeline that are looked at together.

    What is needed beside their rows is loaded for all of them, once something asks for it.
    """

    def __init__(
        self,
        conn: Connection,
        pipeline_id: str,
        rows: Sequence[InstanceRow],
        *,
        why: Callable[[Sequence[InstanceRow]], Mapping[str, str]] = lambda _rows: {},
    ) -> None:
        """`why` says in a sentence why each of these waits that does."""
        self._conn = conn
        self._pipeline_id = pipeline_id
        self._rows = rows
        self._why = why
        self._ids = [row.instance_id for row in rows]

    @cached_property
    def heads(self) -> Mapping[str, AttemptRow]:
        """The newest attempt of each instance that has any."""
        return attempt_store.head_attempts(self._conn, self._pipeline_id, self._ids)

    @cached_property
    def waits_for(self) -> Mapping[str, Sequence[Dependency]]:
        """What each instance that waits for anything waits for."""
        return links.dependencies_of(self._conn, self._pipeline_id, self._ids)

    @cached_property
    def reasons(self) -> Mapping[str, str]:
        """Why each instance waits that does."""
        return self._why(self._rows)

    @cached_property
    def looks(self) -> Mapping[str, tuple[int, datetime]]:
        """How often runners took up the newest attempt of each, and when it was last."""
        heads = [head.attempt_id for head in self.heads.values()]
        return latest.looks_of(self._conn, self._pipeline_id, heads)

    @cached_property
    def neighbours(self) -> Mapping[str, Neighbours]:
        """The instances around each instance that has any."""
        found = links.neighbours(self._conn, self._pipeline_id, self._ids)
        return {key: Neighbours(rows) for key, rows in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """An object of a definition."""

    row: PipelineRow
    obj: PipelineObject
    facts: ComponentFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance. Without a batch, no more than its row is known of it."""

    row: InstanceRow
    loaded: LoadedDefinition
    batch: Batch | None = None

    @property
    def head(self) -> AttemptRow | None:
        """Its newest attempt."""
        return self.batch.heads.get(self.row.instance_id) if self.batch else None

    @property
    def looks(self) -> tuple[int, datetime] | None:
        """How often runners took up its newest attempt, and when it was last."""
        if self.batch is None or self.head is None:
            return None
        return self.batch.looks.get(self.head.attempt_id)

    @property
    def reason(self) -> str | None:
        """Why it waits, in a sentence."""
        return self.batch.reasons.get(self.row.instance_id) if self.batch else None

    @property
    def waits_for(self) -> Sequence[Dependency]:
        """What it was made to wait for, whatever has become of that."""
        return self.batch.waits_for.get(self.row.instance_id, ()) if self.batch else ()

    @property
    def neighbours(self) -> Neighbours:
        """The instances around it."""
        found = self.batch.neighbours.get(self.row.instance_id) if self.batch else None
        return found or Neighbours()

    @property
    def node(self) -> InstanceRow | None:
        """What it is checked for, if it is a precondition."""
        return self.neighbours.by_id.get(self.row.node_id) if self.row.node_id else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt of an instance."""

    row: AttemptRow
    instance: Instance

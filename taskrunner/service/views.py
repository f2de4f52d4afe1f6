"""Instances, attempts and tasks as pipeline objects, in the shape that the real service gives."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Field, PipelineObject, Ref
from taskrunner.model.instances import Category
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.times import format_datetime
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.runtime import attempts_made, runtime_fields, tries_left
from taskrunner.service.store import instances as instance_store
from taskrunner.service.store import links

#: Fields of a task's objects that lead away from the work itself.
NOT_FOLLOWED = frozenset(
    {"parent", "schedule", "dependsOn", "precondition", "onSuccess", "onFail", "onLateAction"}
)
#: Fields whose references become references to instances.
TO_INSTANCES = frozenset({"input", "output", "dependsOn", "runsOn", "precondition"})


def _moment(row: InstanceRow, node: InstanceRow | None = None) -> Moment:
    more = {row.component_id: runtime_fields(row)}
    if node is not None:
        more[node.component_id] = runtime_fields(node)
    return Moment(start=row.scheduled_start, end=row.scheduled_end, more=more)


def _field(key: str, value: str | datetime | Ref | float | None) -> Iterator[Field]:
    if isinstance(value, datetime):
        yield Field(key, format_datetime(value))
    elif isinstance(value, str | Ref):
        yield Field(key, str(value) if isinstance(value, str) else value)
    elif value is not None:
        yield Field(key, str(value))


def _fields(pairs: Iterable[tuple[str, str | datetime | Ref | float | None]]) -> tuple[Field, ...]:
    return tuple(field for key, value in pairs for field in _field(key, value))


@dataclass(frozen=True)
class _Links:
    """The instances that an instance refers to, by the component that they are of."""

    by_component: Mapping[str, tuple[InstanceRow, ...]]

    @classmethod
    def of(cls, conn: Connection, row: InstanceRow) -> _Links:
        """Load what an instance waits for and what waits for it."""
        ids = links.neighbours(conn, row.pipeline_id, row.instance_id)
        if row.node_id:
            ids.add(row.node_id)
        found: dict[str, list[InstanceRow]] = {}
        for other in (
            instance_store.load_instances(conn, row.pipeline_id, sorted(ids)) if ids else ()
        ):
            found.setdefault(other.component_id, []).append(other)
        return cls({key: tuple(rows) for key, rows in found.items()})

    def refs(self, ref: Ref) -> tuple[Ref, ...]:
        """References to the instances of a component; to itself when it has none."""
        rows = self.by_component.get(ref.id, ())
        return tuple(Ref(row.instance_id) for row in rows) or (ref,)


def _component_fields(
    loaded: LoadedDefinition, row: InstanceRow, links: _Links, *, evaluate: bool = True
) -> list[Field]:
    """The component's own and inherited fields, as its instance has them."""
    node = _node(row, links)
    obj = (
        loaded.evaluated(row.component_id, _moment(row, node), node.component_id if node else None)
        if evaluate
        else loaded.objects[row.component_id]
    )
    fields: list[Field] = []
    for field in obj.fields:
        if field.key == "parent" or field.key.startswith("@"):
            continue
        if isinstance(field.value, Ref) and field.key in TO_INSTANCES:
            fields.extend(Field(field.key, ref) for ref in links.refs(field.value))
        else:
            fields.append(field)
    return fields


def _shown(
    loaded: LoadedDefinition, row: InstanceRow, links: _Links, *, evaluate: bool
) -> list[Field]:
    """The fields to be looked at: as they stand where an expression cannot be evaluated."""
    shown = loaded.for_eyes
    if evaluate:
        with contextlib.suppress(DefinitionError):
            return _component_fields(shown, row, links)
    return _component_fields(shown, row, links, evaluate=False)


def _node(row: InstanceRow, links: _Links) -> InstanceRow | None:
    candidates = (other for rows in links.by_component.values() for other in rows)
    return next((other for other in candidates if other.instance_id == row.node_id), None)


def instance_object(
    conn: Connection,
    loaded: LoadedDefinition,
    row: InstanceRow,
    heads: Mapping[str, AttemptRow],
    *,
    evaluate: bool = True,
) -> PipelineObject:
    """An instance as DescribeObjects shows it (sphere INSTANCE)."""
    links = _Links.of(conn, row)
    shown = _shown(loaded, row, links, evaluate=evaluate)
    runtime = _fields(
        [
            ("parent", Ref(row.component_id)),
            ("@componentParent", Ref(row.component_id)),
            ("@sphere", "INSTANCE"),
            ("@status", row.status),
            ("@version", row.version),
            ("@scheduledStartTime", row.scheduled_start),
            ("@scheduledEndTime", row.scheduled_end),
            ("@actualStartTime", row.actual_start),
            ("@actualEndTime", row.actual_end),
            ("@cascadeFailedOn", Ref(row.cause) if row.cause else None),
            ("errorId", row.error_id),
            ("errorMessage", row.error_message),
            ("node", Ref(row.node_id) if row.node_id else None),
        ]
    )
    taken = {field.key for field in runtime}
    fields = [*(field for field in shown if field.key not in taken), *runtime]
    fields += _BY_CATEGORY[Category(row.category)](loaded, row, links, heads)
    return PipelineObject(
        id=row.instance_id,
        name=f"@{row.name}_{format_datetime(row.scheduled_start)}",
        fields=tuple(fields),
    )


def _tries(
    loaded: LoadedDefinition, row: InstanceRow, heads: Mapping[str, AttemptRow]
) -> list[Field]:
    policy = loaded.policy(row.component_id, _moment(row))
    head = heads.get(row.instance_id)
    return list(
        _fields(
            [
                ("@attemptCount", attempts_made(row)),
                ("@triesLeft", tries_left(policy, row)),
                ("@headAttempt", Ref(head.attempt_id) if head else None),
                ("hostname", head.hostname if head else None),
            ]
        )
    )


def _activity(
    loaded: LoadedDefinition, row: InstanceRow, links: _Links, heads: Mapping[str, AttemptRow]
) -> list[Field]:
    resource = loaded.objects[row.component_id].ref("runsOn")
    refs = [Field("@resource", ref) for ref in links.refs(resource)] if resource else []
    return [*refs, *_tries(loaded, row, heads)]


def _precondition(
    loaded: LoadedDefinition, row: InstanceRow, _links: _Links, heads: Mapping[str, AttemptRow]
) -> list[Field]:
    return _tries(loaded, row, heads)


def _data_node(
    loaded: LoadedDefinition, row: InstanceRow, links: _Links, _heads: Mapping[str, AttemptRow]
) -> list[Field]:
    """Seen from the node: `output` is who writes it, `input` whom it feeds."""
    components = loaded.components
    made_by = components.producers.get(row.component_id, ())
    read_by = components.consumers.get(row.component_id, ())
    return [
        *(Field("output", ref) for other in made_by for ref in links.refs(Ref(other))),
        *(Field("input", ref) for other in read_by for ref in links.refs(Ref(other))),
    ]


def _resource(
    loaded: LoadedDefinition, row: InstanceRow, links: _Links, heads: Mapping[str, AttemptRow]
) -> list[Field]:
    users = loaded.components.used_by(row.component_id)
    return [
        *(Field("input", ref) for user in users for ref in links.refs(Ref(user))),
        *_fields([("@resourceId", row.resource_handle)]),
        *_tries(loaded, row, heads),
    ]


_BY_CATEGORY = {
    Category.ACTIVITY: _activity,
    Category.PRECONDITION: _precondition,
    Category.DATANODE: _data_node,
    Category.RESOURCE: _resource,
}


def attempt_object(
    conn: Connection,
    loaded: LoadedDefinition,
    row: InstanceRow,
    attempt: AttemptRow,
) -> PipelineObject:
    """An attempt as DescribeObjects shows it (sphere ATTEMPT)."""
    fields = _shown(loaded, row, _Links.of(conn, row), evaluate=True)
    return _attempt(fields, row, attempt)


def _attempt(fields: list[Field], row: InstanceRow, attempt: AttemptRow) -> PipelineObject:
    runtime = _fields(
        [
            ("parent", Ref(row.component_id)),
            ("@componentParent", Ref(row.component_id)),
            ("@instanceParent", Ref(row.instance_id)),
            ("@sphere", "ATTEMPT"),
            ("@status", attempt.status),
            ("@attemptCount", attempt.number),
            ("@scheduledStartTime", row.scheduled_start),
            ("@scheduledEndTime", row.scheduled_end),
            ("@actualStartTime", attempt.started_at),
            ("@actualEndTime", attempt.ended_at),
            ("hostname", attempt.hostname),
            ("errorId", attempt.error_id),
            ("errorMessage", attempt.error_message),
            ("errorStackTrace", attempt.error_stack_trace),
            ("node", Ref(row.node_id) if row.node_id else None),
        ]
    )
    taken = {field.key for field in runtime}
    return PipelineObject(
        id=attempt.attempt_id,
        name=f"@{row.name}_{format_datetime(row.scheduled_start)}_Attempt={attempt.number}",
        fields=(*(f for f in fields if f.key not in taken), *runtime),
    )


def task_objects(
    conn: Connection, loaded: LoadedDefinition, row: InstanceRow, attempt: AttemptRow
) -> dict[str, PipelineObject]:
    """The attempt's object and every object that its work needs, by id.

    Raises ExpressionError when a field cannot be evaluated.
    """
    links = _Links.of(conn, row)
    main = _attempt(_component_fields(loaded, row, links), row, attempt)
    objects = {main.id: main}
    rows = {other.instance_id: other for found in links.by_component.values() for other in found}
    waiting = _followed(main)
    while waiting:
        ref = waiting.pop()
        if ref.id in objects:
            continue
        obj = _task_object(conn, loaded, row, rows, ref)
        if obj is not None:
            objects[obj.id] = obj
            waiting.extend(_followed(obj))
    objects[main.id] = replace(main, fields=(*main.fields, *_secrets(loaded, objects.values())))
    return objects


def _secrets(loaded: LoadedDefinition, objects: Iterable[PipelineObject]) -> Iterator[Field]:
    """The secret parameters that went into a task, so that its runner can keep them out of logs."""
    texts = [text for obj in objects for field in obj.fields if (text := _text(field))]
    for name, held in loaded.secrets.items():
        for secret in held:
            if any(secret in text for text in texts):
                yield Field(name, secret)


def _text(field: Field) -> str:
    return field.value if isinstance(field.value, str) else ""


def _followed(obj: PipelineObject) -> list[Ref]:
    return [
        field.value
        for field in obj.fields
        if isinstance(field.value, Ref)
        and field.key not in NOT_FOLLOWED
        and not field.key.startswith("@")
    ]


def _task_object(
    conn: Connection,
    loaded: LoadedDefinition,
    owner: InstanceRow,
    rows: Mapping[str, InstanceRow],
    ref: Ref,
) -> PipelineObject | None:
    """A referred object: an instance, or a component without a life of its own."""
    row = rows.get(ref.id)
    if row is None:
        known = ref.id in loaded.objects
        return loaded.evaluated(ref.id, _moment(owner)) if known else None
    fields = [
        field
        for field in _component_fields(loaded, row, _Links({}))
        if field.key not in NOT_FOLLOWED
    ]
    runtime = _fields(
        [
            ("@componentParent", Ref(row.component_id)),
            ("@sphere", "INSTANCE"),
            ("@scheduledStartTime", row.scheduled_start),
            ("@scheduledEndTime", row.scheduled_end),
        ]
    )
    return PipelineObject(id=row.instance_id, name=row.name, fields=(*fields, *runtime))

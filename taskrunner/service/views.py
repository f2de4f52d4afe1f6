"""Components, instances, attempts and tasks as pipeline objects, in the real service's shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from taskrunner.errors import DefinitionError
from taskrunner.model.document import Field, PipelineObject, Ref, Value
from taskrunner.model.rows import AttemptRow, InstanceRow
from taskrunner.model.times import format_datetime
from taskrunner.secret import Secret, is_secret
from taskrunner.service.definitions import LoadedDefinition, Moment
from taskrunner.service.runtime import SHOWN, moment, runtime_values
from taskrunner.service.runtime_values import RuntimeValue, Subject
from taskrunner.service.subjects import Attempt, Batch, Component, Instance

#: Fields of a task's objects that lead away from the work itself.
NOT_FOLLOWED = frozenset(
    {"parent", "schedule", "dependsOn", "precondition", "onSuccess", "onFail", "onLateAction"}
)
#: Fields whose references become references to instances.
TO_INSTANCES = frozenset({"input", "output", "dependsOn", "runsOn", "precondition"})
#: A task's field with what expressions have made of its secrets.
MADE_OF_SECRETS = "*mySecretText"
#: Runtime fields of the objects that a task refers to.
_OF_REFERRED = (
    "@componentParent",
    "@sphere",
    "@scheduledStartTime",
    "@scheduledEndTime",
    "@resourceId",
)


def described(subject: Subject, *, evaluate: bool = True) -> PipelineObject:
    """An object as DescribeObjects shows it, in whatever sphere."""
    if isinstance(subject, Component):
        return _object(subject, subject.obj.fields)
    instance = _instance(subject)
    shown, period = instance.loaded.for_eyes, _period(instance) if evaluate else None
    keys = shown.objects[instance.row.component_id].keys()
    return _object(
        subject, (Field(key, v) for key in keys for v in _shown(instance, shown, key, period))
    )


def values(subject: Subject, key: str, *, evaluate: bool = True) -> tuple[RuntimeValue, ...]:
    """One field as DescribeObjects shows it, before it is written as text."""
    found = runtime_values(subject, key)
    if found:
        return found
    if isinstance(subject, Component):
        return subject.obj.values(key)
    instance = _instance(subject)
    shown = instance.loaded.for_eyes
    texts = shown.objects[instance.row.component_id].strings(key)
    evaluate = evaluate and any("#{" in text for text in texts)
    return _shown(instance, shown, key, _period(instance) if evaluate else None)


def object_id(subject: Subject) -> str:
    """The id that an object is described by."""
    (found,) = runtime_values(subject, "id")
    return as_text(found)


def as_text(value: RuntimeValue) -> str:
    """A value as it is shown; of a reference, the id."""
    return format_datetime(value) if isinstance(value, datetime) else str(value)


def _object(subject: Subject, own: Iterable[Field]) -> PipelineObject:
    """An object with fields of its own, where the run says nothing else, and those of the run."""
    runtime = _runtime_fields(subject, SHOWN)
    taken = {field.key for field in runtime}
    (name,) = runtime_values(subject, "name")
    return PipelineObject(
        id=object_id(subject),
        name=as_text(name),
        fields=(*(field for field in own if field.key not in taken), *runtime),
    )


def _runtime_fields(subject: Subject, names: Iterable[str]) -> list[Field]:
    return [
        Field(name, value if isinstance(value, Ref) else as_text(value))
        for name in names
        for value in runtime_values(subject, name)
    ]


def _instance(subject: Instance | Attempt) -> Instance:
    return subject.instance if isinstance(subject, Attempt) else subject


def _period(instance: Instance) -> Moment:
    return moment(instance.loaded, instance.row, instance.node)


def _shown(
    instance: Instance, shown: LoadedDefinition, key: str, period: Moment | None
) -> tuple[Value, ...]:
    """A field to be looked at: as it stands where its expressions cannot be evaluated."""
    with contextlib.suppress(DefinitionError):
        return _own_values(instance, shown, key, period)
    return _own_values(instance, shown, key, None)


def _own_values(
    instance: Instance, loaded: LoadedDefinition, key: str, period: Moment | None
) -> tuple[Value, ...]:
    """A component's field, own or inherited, as its instance has it; evaluated for a period.

    Raises ExpressionError.
    """
    component_id = instance.row.component_id
    if key == "parent" or key.startswith("@"):
        return ()
    if period is None:
        found = loaded.objects[component_id].values(key)
    else:
        node = instance.node
        found = loaded.values(component_id, key, period, node.component_id if node else None)
    if key not in TO_INSTANCES:
        return found
    refs = instance.neighbours.refs
    return tuple(o for v in found for o in (refs(v) if isinstance(v, Ref) else (v,)))


def task_objects(
    conn: Connection, loaded: LoadedDefinition, row: InstanceRow, attempt: AttemptRow
) -> dict[str, PipelineObject]:
    """The attempt's object and every object that its work needs, by id.

    Raises ExpressionError when a field cannot be evaluated.
    """
    batch = Batch(conn, row.pipeline_id, [row])
    instance = Instance(row=row, loaded=loaded, batch=batch)
    main = _object(Attempt(row=attempt, instance=instance), _evaluated(instance))
    objects = {main.id: main}
    waiting = _followed(main)
    while waiting:
        ref = waiting.pop()
        if ref.id in objects:
            continue
        obj = _task_object(instance, ref)
        if obj is not None:
            objects[obj.id] = obj
            waiting.extend(_followed(obj))
    objects[main.id] = replace(main, fields=(*main.fields, *_secrets(loaded, objects.values())))
    return objects


def _evaluated(instance: Instance) -> list[Field]:
    loaded, period = instance.loaded, _period(instance)
    keys = loaded.objects[instance.row.component_id].keys()
    return [Field(key, v) for key in keys for v in _own_values(instance, loaded, key, period)]


def _secrets(loaded: LoadedDefinition, objects: Iterable[PipelineObject]) -> Iterator[Field]:
    """What is secret in a task's other fields, so that its runner can keep it out of logs.

    That are the values of parameters, and what expressions have made of them.
    """
    fields = [field for obj in objects for field in obj.fields]
    parts = {p for f in fields if isinstance(f.value, Secret) for p in f.value.parts}
    for name, held in loaded.secrets.items():
        for secret in dict.fromkeys(held):
            if secret in parts:
                yield Field(name, secret)
    known = {secret for held in loaded.secrets.values() for secret in held}
    known |= {str(field.value) for field in fields if is_secret(field.key)}
    yield from (Field(MADE_OF_SECRETS, part) for part in sorted(parts - known))


def _followed(obj: PipelineObject) -> list[Ref]:
    return [
        field.value
        for field in obj.fields
        if isinstance(field.value, Ref)
        and field.key not in NOT_FOLLOWED
        and not field.key.startswith("@")
    ]


def _task_object(owner: Instance, ref: Ref) -> PipelineObject | None:
    """A referred object: an instance, or a component without a life of its own."""
    loaded, row = owner.loaded, owner.neighbours.by_id.get(ref.id)
    if row is None:
        known = ref.id in loaded.objects
        return loaded.evaluated(ref.id, moment(loaded, owner.row)) if known else None
    other = Instance(row=row, loaded=loaded)
    own = [field for field in _evaluated(other) if field.key not in NOT_FOLLOWED]
    fields = (*own, *_runtime_fields(other, _OF_REFERRED))
    return PipelineObject(id=row.instance_id, name=row.name, fields=fields)

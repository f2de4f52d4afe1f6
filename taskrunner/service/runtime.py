"""The runtime fields of components, instances and attempts, said once.

Expressions, alarms, DescribeObjects and QueryObjects all read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from taskrunner.model.catalog import FieldGroup, find_type
from taskrunner.model.document import PipelineObject, Ref
from taskrunner.model.instances import Category
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import InstanceStatus
from taskrunner.model.times import format_datetime
from taskrunner.service.definitions import LoadedDefinition, Moment, RuntimeFields
from taskrunner.service.store.tables import attempts, instances
from taskrunner.service.subjects import Attempt, Component, Instance

#: One value of a field. Moments and numbers are compared as such, and shown as text.
RuntimeValue = str | int | datetime | Ref
#: What the run says of a field: nothing, one value, or references.
Found = RuntimeValue | tuple[Ref, ...] | None
Subject = Component | Instance | Attempt


@dataclass(frozen=True, slots=True)
class Column:
    """A value that stands in the subject's own row; `refers`: as the id of another object."""

    name: str
    refers: bool = False

    def __call__(self, subject: Subject) -> Found:
        """The value, if there is one."""
        value = getattr(subject.row, self.name)
        if value is None:
            return None
        found: RuntimeValue = str(value) if isinstance(value, StrEnum) else value
        return Ref(str(value)) if self.refers else found


_ALL = frozenset(Category)
_TRIED = _ALL - {Category.DATANODE}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeField:
    """One field, and how it is found for each kind of object that has it."""

    name: str
    component: Callable[[Component], Found] | None = None
    instance: Callable[[Instance], Found] | None = None
    attempt: Callable[[Attempt], Found] | None = None
    #: The categories whose instances have it.
    categories: frozenset[Category] = _ALL
    #: Whether the expressions of an instance may name it, whatever its category.
    in_expressions: bool = True
    #: Whether DescribeObjects shows it among the fields.
    shown: bool = True

    def of(self, subject: Subject) -> Callable[[Any], Found] | None:
        """How the field is found for an object; none when such objects do not have it."""
        if isinstance(subject, Component):
            return self.component
        if isinstance(subject, Attempt):
            return self.attempt
        return self.instance if subject.row.category in self.categories else None


def _instance_name(row: InstanceRow) -> str:
    return f"@{row.name}_{format_datetime(row.scheduled_start)}"


def _tries_left(instance: Instance) -> int | None:
    if instance.batch is None:
        return None
    row = instance.row
    policy = instance.loaded.policy(row.component_id, moment(instance.loaded, row))
    # One that was free of charge is not gone.
    return max(0, 1 + policy.maximum_retries - row.failures - _under_way(row))


def _attempts_made(instance: Instance) -> int:
    """How many attempts have begun; the launches of a resource are its attempts."""
    row = instance.row
    return row.failures + _under_way(row) if _is_resource(row) else row.attempt_count


def _under_way(row: InstanceRow) -> bool:
    begun = row.actual_start if _is_resource(row) else row.attempt_count
    return row.status is not InstanceStatus.WAITING_ON_DEPENDENCIES and bool(begun)


def _is_resource(row: InstanceRow) -> bool:
    return row.category == Category.RESOURCE


def _head_attempt(instance: Instance) -> Ref | None:
    return Ref(instance.head.attempt_id) if instance.head else None


def _resource(instance: Instance) -> tuple[Ref, ...]:
    resource = instance.loaded.objects[instance.row.component_id].ref("runsOn")
    return instance.neighbours.refs(resource) if resource else ()


def _instances_of(instance: Instance, components: Iterable[str]) -> tuple[Ref, ...]:
    return tuple(ref for key in components for ref in instance.neighbours.refs(Ref(key)))


def _writers(instance: Instance) -> tuple[Ref, ...]:
    made_by = instance.loaded.components.producers.get(instance.row.component_id, ())
    return _instances_of(instance, made_by)


def _readers(instance: Instance) -> tuple[Ref, ...]:
    read_by = instance.loaded.components.consumers.get(instance.row.component_id, ())
    return _instances_of(instance, read_by)


def _users(instance: Instance) -> tuple[Ref, ...]:
    return _instances_of(instance, instance.loaded.components.used_by(instance.row.component_id))


def _of_instance(name: str, *, refers: bool = False) -> Callable[[Attempt], Found]:
    column = Column(name, refers)
    return lambda attempt: column(attempt.instance)


def _of_head(name: str) -> Callable[[Instance], Found]:
    column = Column(name)
    return lambda of: column(Attempt(row=of.head, instance=of)) if of.head else None


_F = RuntimeField
_ID = _F(
    name="id",
    component=lambda of: of.obj.id,
    instance=Column("instance_id"),
    attempt=Column("attempt_id"),
    in_expressions=False,
    shown=False,
)
_PARENT = _F(
    name="parent",
    instance=Column("component_id", refers=True),
    attempt=_of_instance("component_id", refers=True),
    in_expressions=False,
)

RUNTIME_FIELDS: tuple[RuntimeField, ...] = (
    _ID,
    replace(_ID, name="@id", in_expressions=True),
    _F(
        name="name",
        component=lambda of: of.obj.name,
        instance=lambda of: _instance_name(of.row),
        attempt=lambda of: f"{_instance_name(of.instance.row)}_Attempt={of.row.number}",
        in_expressions=False,
        shown=False,
    ),
    _F(
        name="@pipelineId",
        component=Column("pipeline_id"),
        instance=Column("pipeline_id"),
        attempt=Column("pipeline_id"),
        shown=False,
    ),
    _PARENT,
    replace(_PARENT, name="@componentParent", in_expressions=True),
    _F(name="@instanceParent", attempt=Column("instance_id", refers=True)),
    _F(
        name="@sphere",
        component=lambda _: "COMPONENT",
        instance=lambda _: "INSTANCE",
        attempt=lambda _: "ATTEMPT",
    ),
    _F(
        name="@status",
        component=lambda of: "SCHEDULED" if of.row.active_version else "PENDING",
        instance=Column("status"),
        attempt=Column("status"),
    ),
    _F(name="@version", instance=Column("version")),
    _F(
        name="@scheduledStartTime",
        instance=Column("scheduled_start"),
        attempt=_of_instance("scheduled_start"),
    ),
    _F(
        name="@scheduledEndTime",
        instance=Column("scheduled_end"),
        attempt=_of_instance("scheduled_end"),
    ),
    _F(name="@actualStartTime", instance=Column("actual_start"), attempt=Column("started_at")),
    _F(name="@actualEndTime", instance=Column("actual_end"), attempt=Column("ended_at")),
    _F(name="@cascadeFailedOn", instance=Column("cause", refers=True)),
    _F(name="errorId", instance=Column("error_id"), attempt=Column("error_id")),
    _F(name="errorMessage", instance=Column("error_message"), attempt=Column("error_message")),
    _F(
        name="errorStackTrace",
        instance=_of_head("error_stack_trace"),
        attempt=Column("error_stack_trace"),
        categories=_TRIED,
    ),
    _F(
        name="node",
        instance=Column("node_id", refers=True),
        attempt=_of_instance("node_id", refers=True),
        in_expressions=False,
    ),
    _F(
        name="@resource",
        instance=_resource,
        categories=frozenset({Category.ACTIVITY}),
        in_expressions=False,
    ),
    _F(
        name="@attemptCount",
        instance=_attempts_made,
        attempt=Column("number"),
        categories=_TRIED,
    ),
    _F(name="@triesLeft", instance=_tries_left, categories=_TRIED),
    _F(name="@headAttempt", instance=_head_attempt, categories=_TRIED),
    _F(name="attemptStatus", instance=_of_head("status"), categories=_TRIED),
    _F(
        name="hostname",
        instance=_of_head("hostname"),
        attempt=Column("hostname"),
        categories=_TRIED,
    ),
    _F(
        name="@resourceId",
        instance=Column("resource_handle"),
        categories=frozenset({Category.RESOURCE}),
    ),
    # Seen from a data node: who writes it, and whom it feeds. A resource serves its input.
    _F(
        name="output",
        instance=_writers,
        categories=frozenset({Category.DATANODE}),
        in_expressions=False,
    ),
    _F(
        name="input",
        instance=_readers,
        categories=frozenset({Category.DATANODE}),
        in_expressions=False,
    ),
    _F(
        name="input",
        instance=_users,
        categories=frozenset({Category.RESOURCE}),
        in_expressions=False,
    ),
)

_IN_EXPRESSIONS = tuple(
    (field.name, field.instance)
    for field in RUNTIME_FIELDS
    if field.in_expressions and field.instance is not None
)


def runtime_values(subject: Subject, name: str) -> tuple[RuntimeValue, ...]:
    """What the run says of one field; nothing for a field that it knows nothing of."""
    for field in _BY_NAME.get(name, ()):
        get = field.of(subject)
        found = get(subject) if get else None
        if found is not None:
            return found if isinstance(found, tuple) else (found,)
    return ()


_BY_NAME: dict[str, list[RuntimeField]] = {}
for _field in RUNTIME_FIELDS:
    _BY_NAME.setdefault(_field.name, []).append(_field)

SHOWN = tuple(dict.fromkeys(field.name for field in RUNTIME_FIELDS if field.shown))


def text_column(table: sa.Table, name: str) -> str | None:
    """The column of instances or attempts that always holds a field's text, if one does."""
    for field in _BY_NAME.get(name, ()):
        get = {instances: field.instance, attempts: field.attempt}.get(table)
        if isinstance(get, Column):
            column = table.c[get.name]
            return get.name if isinstance(column.type, sa.Text) and not column.nullable else None
    return None


def expression_fields(instance: Instance) -> RuntimeFields:
    """The runtime fields of an instance that an expression may name, as far as they are known."""
    found = ((name, get(instance)) for name, get in _IN_EXPRESSIONS)
    return {
        name: str(value) if isinstance(value, int) else value
        for name, value in found
        if value is not None and not isinstance(value, tuple)
    }


def moment(loaded: LoadedDefinition, row: InstanceRow, node: InstanceRow | None = None) -> Moment:
    """The period of an instance, with what its row, and that of its node, say of the run."""
    rows = (row,) if node is None else (row, node)
    return Moment(
        start=row.scheduled_start,
        end=row.scheduled_end,
        more={of.component_id: expression_fields(Instance(row=of, loaded=loaded)) for of in rows},
    )


def unset_fields(obj: PipelineObject) -> RuntimeFields:
    """Every runtime field that an object of this type may come to have, each as an empty text."""
    known = find_type(obj.type or "")
    fields = known.fields if known else {}
    names = {name for name, field in fields.items() if field.group is FieldGroup.RUNTIME}
    return dict.fromkeys({*names, *(name for name, _ in _IN_EXPRESSIONS)} - {*obj.keys()}, "")

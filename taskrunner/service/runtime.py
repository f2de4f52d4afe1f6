"""The runtime fields of components, instances and attempts, said once.

Expressions, alarms, DescribeObjects and QueryObjects all read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from taskrunner.model.catalog import FieldGroup, find_type
from taskrunner.model.document import PipelineObject, Ref
from taskrunner.model.instances import Category, DependencyKind
from taskrunner.model.rows import InstanceRow
from taskrunner.model.states import INSTANCE_TERMINAL, STARTING, AttemptStatus, InstanceStatus
from taskrunner.model.times import format_datetime
from taskrunner.service.component_facts import ComponentFacts
from taskrunner.service.definitions import LoadedDefinition, Moment, RuntimeFields
from taskrunner.service.runtime_values import (
    Column,
    Constant,
    Found,
    OfInstance,
    RuntimeValue,
    Subject,
)
from taskrunner.service.subjects import Attempt, Component, Instance

_ALL = frozenset(Category)
_ACTIVITY = frozenset({Category.ACTIVITY})
_DATANODE = frozenset({Category.DATANODE})
_RESOURCE = frozenset({Category.RESOURCE})
_PRECONDITION = frozenset({Category.PRECONDITION})
_TRIED = _ALL - _DATANODE


@dataclass(frozen=True, slots=True)
class RuntimeField:
    """One field, and how it is found for each kind of object that has it."""

    name: str
    instance: Callable[[Instance], Found] | None = None
    attempt: Callable[[Attempt], Found] | None = None
    component: Callable[[Component], Found] | None = None
    #: The categories whose instances have it.
    only: frozenset[Category] = field(default=_ALL, kw_only=True)
    #: Whether the expressions of an instance may name it, whatever its category.
    in_expressions: bool = field(default=True, kw_only=True)
    #: Whether DescribeObjects shows it among the fields.
    shown: bool = field(default=True, kw_only=True)

    def of(self, subject: Subject) -> Callable[[Any], Found] | None:
        """How the field is found for an object; none when such objects do not have it."""
        if isinstance(subject, Component):
            return self.component
        if isinstance(subject, Attempt):
            return self.attempt
        return self.instance if subject.row.category in self.only else None


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


def _waiting_on(instance: Instance) -> tuple[Ref, ...] | str | None:
    """What an instance waits for by reference; where that is no object, in a sentence."""
    return _waited_for(instance) or instance.reason


def _waited_for(instance: Instance) -> tuple[Ref, ...]:
    """What has not finished yet of what an instance waits for; else the resource that is not up.

    Of that the errorMessage may say why.
    """
    around = instance.neighbours.by_id
    if instance.row.status is InstanceStatus.WAITING_FOR_RUNNER:
        return tuple(
            ref
            for ref in _resource(instance)
            if ref.id in around and around[ref.id].status in STARTING
        )
    if instance.row.status not in _BEFORE_IT_BEGINS:
        return ()
    return tuple(
        Ref(key)
        for key in dict.fromkeys(
            d.instance_id for d in instance.waits_for if d.kind is not DependencyKind.RESOURCE
        )
        if key not in around or around[key].status is not InstanceStatus.FINISHED
    )


_BEFORE_IT_BEGINS = frozenset({InstanceStatus.WAITING_ON_DEPENDENCIES, InstanceStatus.PAUSED})


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


def _of_head(name: str) -> Callable[[Instance], Found]:
    column = Column(name)
    return lambda of: column(Attempt(row=of.head, instance=of)) if of.head else None


def _told(name: str) -> Callable[[Attempt], Found]:
    """What an attempt's runner said last of its progress."""
    return lambda attempt: attempt.row.progress.get(name)


def _told_by_head(name: str) -> Callable[[Instance], Found]:
    return lambda of: of.head.progress.get(name) if of.head else None


def _object_id(component: Component) -> str:
    return component.obj.id


def _component_status(component: Component) -> str:
    """A component is as its pipeline is, unless it is paused."""
    return "PAUSED" if component.facts.is_paused(component.obj.id) else str(component.row.state)


def _of_runs(get: Callable[[ComponentFacts, str], Found]) -> Callable[[Component], Found]:
    """What is known of the runs of a component; nothing of one that never runs."""

    def value(component: Component) -> Found:
        facts, key = component.facts, component.obj.id
        return None if facts.category(key) is None else get(facts, key)

    return value


def _of_health(name: str) -> Callable[[Component], Found]:
    def value(facts: ComponentFacts, key: str) -> Found:
        health = facts.health(key)
        return None if health is None else getattr(health, name)

    return _of_runs(value)


def _active_instances(facts: ComponentFacts, key: str) -> tuple[Ref, ...]:
    return tuple(map(Ref, facts.active_instances(key)))


def _first_activation(component: Component) -> datetime | None:
    is_schedule = component.obj.type == "Schedule"
    return component.row.first_activated_at if is_schedule else None


def _finished_at(instance: Instance) -> datetime | None:
    return instance.row.actual_end if instance.row.status in INSTANCE_TERMINAL else None


def _why(*statuses: StrEnum) -> Callable[[Instance | Attempt], Found]:
    """What is said of why it came to such an end."""

    def message(of: Instance | Attempt) -> str | None:
        return of.row.error_message if of.row.status in statuses else None

    return message


def _reported_at(attempt: Attempt) -> datetime | None:
    """When its runner reported last: a lease before it has to report again."""
    row = attempt.row
    if row.status is not AttemptStatus.RUNNING or row.report_by is None:
        return None
    return row.report_by - timedelta(seconds=row.lease_s)


def _head_reported_at(instance: Instance) -> datetime | None:
    head = instance.head
    return _reported_at(Attempt(row=head, instance=instance)) if head else None


def _looks(instance: Instance) -> int | None:
    return instance.looks[0] if instance.looks else None


def _last_look(instance: Instance) -> datetime | None:
    return instance.looks[1] if instance.looks else None


def _instance_name(instance: Instance) -> str:
    return f"@{instance.row.name}_{format_datetime(instance.row.scheduled_start)}"


def _attempt_name(attempt: Attempt) -> str:
    return f"{_instance_name(attempt.instance)}_Attempt={attempt.row.number}"


def _deactivated(facts: ComponentFacts, _key: str) -> datetime | None:
    return facts.pipeline.last_deactivated_at


_I = InstanceStatus
_IDS = (Column("instance_id"), Column("attempt_id"), _object_id)
_PARENTS = (Column("component_id", refers=True), OfInstance("component_id", refers=True))
_PIPELINE = Column("pipeline_id")
_F = RuntimeField

RUNTIME_FIELDS: tuple[RuntimeField, ...] = (
    _F("id", *_IDS, in_expressions=False, shown=False),
    _F("@id", *_IDS, shown=False),
    _F(
        "name",
        _instance_name,
        _attempt_name,
        lambda of: of.obj.name,
        in_expressions=False,
        shown=False,
    ),
    _F("@pipelineId", _PIPELINE, _PIPELINE, _PIPELINE, shown=False),
    _F("parent", *_PARENTS, in_expressions=False),
    _F("@componentParent", *_PARENTS),
    _F("@instanceParent", None, Column("instance_id", refers=True)),
    _F("@sphere", Constant("INSTANCE"), Constant("ATTEMPT"), Constant("COMPONENT")),
    _F("@status", Column("status"), Column("status"), _component_status),
    _F("@version", Column("version")),
    _F("@scheduledStartTime", Column("scheduled_start"), OfInstance("scheduled_start")),
    _F("@scheduledEndTime", Column("scheduled_end"), OfInstance("scheduled_end")),
    _F("@actualStartTime", Column("actual_start"), Column("started_at")),
    _F("@actualEndTime", Column("actual_end"), Column("ended_at")),
    _F("@finishedTime", _finished_at, in_expressions=False),
    # The same for all attempts of a run, and another one after a rerun.
    _F("@runStartTime", None, OfInstance("not_before"), in_expressions=False),
    _F("@cascadeFailedOn", Column("cause", refers=True)),
    _F("cancellationReason", _why(_I.CANCELED), _why(AttemptStatus.CANCELED)),
    _F("@failureReason", _why(_I.FAILED, _I.TIMEDOUT), only=_RESOURCE),
    _F("errorId", Column("error_id"), Column("error_id")),
    _F("errorMessage", Column("error_message"), Column("error_message")),
    _F("errorStackTrace", _of_head("error_stack_trace"), Column("error_stack_trace"), only=_TRIED),
    _F(
        "node",
        Column("node_id", refers=True),
        OfInstance("node_id", refers=True),
        in_expressions=False,
    ),
    _F("@resource", _resource, only=_ACTIVITY, in_expressions=False),
    _F("@waitingOn", _waiting_on, in_expressions=False),
    # What is known of a component by its instances, and of its schedule.
    _F("@activeInstances", component=_of_runs(_active_instances)),
    _F("@latestRunTime", component=_of_runs(ComponentFacts.latest_run)),
    _F("@latestCompletedRunTime", component=_of_runs(ComponentFacts.latest_completed_run)),
    _F("@nextRunTime", component=_of_runs(ComponentFacts.next_run)),
    _F("@lastDeactivatedTime", component=_of_runs(_deactivated)),
    _F("@error", component=lambda of: of.facts.error(of.obj.id)),
    _F("@firstActivationTime", component=_first_activation),
    _F("@healthStatus", component=_of_health("status")),
    _F("@healthStatusFromInstanceId", component=_of_health("instance_id")),
    _F("@healthStatusUpdatedTime", component=_of_health("since")),
    _F("@attemptCount", _attempts_made, Column("number"), only=_TRIED),
    _F("@triesLeft", _tries_left, only=_TRIED),
    _F("@headAttempt", _head_attempt, only=_TRIED),
    _F("attemptStatus", _of_head("status"), only=_TRIED),
    _F("emrStepLog", _told_by_head("emrStepLog"), _told("emrStepLog"), only=_ACTIVITY),
    _F("hadoopJobLog", _told_by_head("hadoopJobLog"), _told("hadoopJobLog"), only=_ACTIVITY),
    *(
        _F(name, _told_by_head(name), _told(name), only=_ACTIVITY, in_expressions=False)
        for name in ("sourceRows", "targetRows", "sourceChecksum", "targetChecksum")
    ),
    _F("reportProgressTime", _head_reported_at, _reported_at, only=_TRIED, in_expressions=False),
    _F("currentRetryCount", _looks, only=_PRECONDITION, in_expressions=False),
    _F("lastRetryTime", _last_look, only=_PRECONDITION, in_expressions=False),
    _F("hostname", _of_head("hostname"), Column("hostname"), only=_TRIED),
    _F("@resourceId", Column("resource_handle"), only=_RESOURCE),
    # Seen from a data node: who writes it, and whom it feeds. A resource serves its input.
    _F("output", _writers, only=_DATANODE, in_expressions=False),
    _F("input", _readers, only=_DATANODE, in_expressions=False),
    _F("input", _users, only=_RESOURCE, in_expressions=False),
)

_IN_EXPRESSIONS = tuple(
    (known.name, known.instance)
    for known in RUNTIME_FIELDS
    if known.in_expressions and known.instance is not None
)


def runtime_values(subject: Subject, name: str) -> tuple[RuntimeValue, ...]:
    """What the run says of one field; nothing for a field that it knows nothing of."""
    for known in _BY_NAME.get(name, ()):
        get = known.of(subject)
        found = get(subject) if get else None
        if found is not None:
            return found if isinstance(found, tuple) else (found,)
    return ()


_BY_NAME = {
    name: [known for known in RUNTIME_FIELDS if known.name == name]
    for name in {known.name for known in RUNTIME_FIELDS}
}

SHOWN = tuple(dict.fromkeys(known.name for known in RUNTIME_FIELDS if known.shown))


def known_as(name: str) -> Sequence[RuntimeField]:
    """The runtime fields of this name, of which the first that has a value tells it."""
    return _BY_NAME.get(name, ())


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

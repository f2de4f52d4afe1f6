"""From components and periods to instances: which exist, and what each waits for.

Shapes follow what the real service was seen to make: an instance is `@<componentId>_<start>`; an
activity refers to the instances of its inputs, outputs and dependencies; a resource is used by
the activity instances that run on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Protocol

from taskrunner.model.document import PipelineObject
from taskrunner.model.schedule import ON_DEMAND_ID, Occurrence, ScheduleType, runs_at
from taskrunner.model.times import format_datetime


class Category(StrEnum):
    """The kind of a component, which decides about the states its instances pass."""

    ACTIVITY = "activity"
    DATANODE = "datanode"
    PRECONDITION = "precondition"
    RESOURCE = "resource"


RUNNABLE = frozenset(Category)


class DependencyKind(StrEnum):
    """Why an instance waits for another."""

    INPUT = "input"
    DEPENDS_ON = "dependsOn"
    PRECONDITION = "precondition"
    PRODUCER = "producer"  # a data node waits for the activity that writes it
    RESOURCE = "runsOn"  # does not hold back the attempt: the resource is launched for it


@dataclass(frozen=True, slots=True)
class Dependency:
    """One instance that another waits for."""

    instance_id: str
    kind: DependencyKind


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSpec:
    """An instance that is to be made."""

    instance_id: str
    component_id: str
    name: str
    type: str
    category: Category
    start: datetime
    end: datetime
    #: Not to be run before: the start of the period (cron) or its end (timeseries).
    not_before: datetime
    worker_group: str | None = None
    #: For a precondition: the instance that it is checked for.
    node_id: str | None = None
    dependencies: tuple[Dependency, ...] = ()


def instance_id(component_id: str, start: datetime) -> str:
    """The id of a component's instance in the period that starts then."""
    return f"@{component_id}_{format_datetime(start)}"


def attempt_id(of_instance: str, number: int) -> str:
    """The id of an instance's attempt; numbers count from 1."""
    return f"{of_instance}_Attempt={number}"


def resource_worker_group(pipeline_id: str, resource_instance_id: str) -> str:
    """The worker group that the runner on a managed resource polls."""
    return f"resource:{pipeline_id}_{resource_instance_id}"


class Surroundings(Protocol):
    """What the caller provides: periods of other schedules, and evaluated fields."""

    def overlapping(self, schedule_id: str, start: datetime, end: datetime) -> list[Occurrence]:
        """The periods of another schedule that overlap this one; only those that are to run."""
        ...

    def text(self, component_id: str, field: str, occurrence: Occurrence) -> str | None:
        """A field of a component with its expressions evaluated; None when it is not set."""
        ...


@dataclass(frozen=True, slots=True)
class Components:
    """The runnable components of a definition and how they hang together.

    `objects` are the effective ones (inheritance applied); `category_of` tells a type's category.
    """

    objects: Mapping[str, PipelineObject]
    runnable: Mapping[str, Category]
    #: data node -> activities that write it; data node -> activities that read it.
    producers: Mapping[str, tuple[str, ...]]
    consumers: Mapping[str, tuple[str, ...]]
    #: precondition -> the activities and data nodes that name it.
    guarded: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(
        cls, objects: Mapping[str, PipelineObject], category_of: Callable[[str], str | None]
    ) -> Components:
        """Find the runnable components of a definition."""
        runnable: dict[str, Category] = {}
        for object_id, obj in objects.items():
            category = category_of(obj.type) if obj.type else None
            if category in RUNNABLE and obj.type != "HttpProxy":
                runnable[object_id] = Category(category)
        return cls(
            objects,
            runnable,
            producers=_reverse(objects, runnable, "output", {Category.ACTIVITY}),
            consumers=_reverse(objects, runnable, "input", {Category.ACTIVITY}),
            guarded=_reverse(
                objects, runnable, "precondition", {Category.ACTIVITY, Category.DATANODE}
            ),
        )

    @property
    def on_demand(self) -> bool:
        """Whether the pipeline runs once per activation; one component decides for all."""
        return any(
            self.schedule_type(component_id) is ScheduleType.ONDEMAND
            for component_id in self.runnable
        )

    def schedule_id(self, component_id: str, *, on_demand: bool) -> str | None:
        """The schedule that a component runs by; without one, that of an activity that uses it.

        A published example leaves it off its resource. Preconditions run by their node's.
        """
        if on_demand:
            return ON_DEMAND_ID
        own = self.objects[component_id].ref("schedule")
        if own is not None:
            return own.id
        users = (
            *self.consumers.get(component_id, ()),
            *self.producers.get(component_id, ()),
            *self.used_by(component_id),
        )
        refs = (self.objects[key].ref("schedule") for key in users)
        return next((ref.id for ref in refs if ref is not None), None)

    def schedule_type(self, component_id: str) -> ScheduleType:
        """The component's scheduleType, its own or inherited."""
        return ScheduleType.of(self.objects[component_id])

    def used_by(self, resource_id: str) -> tuple[str, ...]:
        """What runs on a resource: activities, and data nodes' preconditions."""
        return tuple(
            component_id
            for component_id in self.runnable
            if self._runs(component_id)
            and (ref := self.objects[component_id].ref("runsOn")) is not None
            and ref.id == resource_id
        )

    def _runs(self, component_id: str) -> bool:
        """Whether there is something that a component's runsOn is for."""
        category = self.runnable[component_id]
        if category is Category.DATANODE:
            return self.objects[component_id].ref("precondition") is not None
        return category is Category.ACTIVITY


def _reverse(
    objects: Mapping[str, PipelineObject],
    runnable: Mapping[str, Category],
    field: str,
    of: set[Category],
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for component_id, category in runnable.items():
        if category in of:
            for ref in objects[component_id].refs(field):
                found.setdefault(ref.id, []).append(component_id)
    return {target: tuple(dict.fromkeys(sources)) for target, sources in found.items()}


def expand(
    pipeline_id: str,
    components: Components,
    schedule_id: str,
    occurrence: Occurrence,
    surroundings: Surroundings,
) -> list[InstanceSpec]:
    """The instances of every component of one schedule in one of its periods.

    Preconditions come with the activity or data node that they guard. `schedule_id` is
    ON_DEMAND_ID for an on-demand pipeline.
    """
    on_demand = schedule_id == ON_DEMAND_ID
    maker = _Maker(pipeline_id, components, schedule_id, occurrence, surroundings, on_demand)
    specs: list[InstanceSpec] = []
    for component_id, category in components.runnable.items():
        if category is Category.PRECONDITION:
            continue
        if components.schedule_id(component_id, on_demand=on_demand) == schedule_id:
            spec = maker.instance(component_id, category)
            specs.append(spec)
            specs.extend(maker.preconditions(spec))
    return specs


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the instances of one period."""

    pipeline_id: str
    components: Components
    schedule_id: str
    occurrence: Occurrence
    surroundings: Surroundings
    on_demand: bool

    def instance(self, component_id: str, category: Category) -> InstanceSpec:
        obj = self.components.objects[component_id]
        # Resources are made at the start of the period, whatever runs on them later.
        style = self.components.schedule_type(component_id)
        not_before = (
            self.occurrence.start
            if category is Category.RESOURCE
            else runs_at(self.occurrence, style)
        )
        return InstanceSpec(
            instance_id=instance_id(component_id, self.occurrence.start),
            component_id=component_id,
            name=obj.name,
            type=obj.type or "",
            category=category,
            start=self.occurrence.start,
            end=self.occurrence.end,
            not_before=not_before,
            worker_group=self._worker_group(component_id),
            dependencies=tuple(dict.fromkeys(self._dependencies(component_id, category))),
        )

    def preconditions(self, node: InstanceSpec) -> list[InstanceSpec]:
        """The precondition instances of one activity or data node instance."""
        obj = self.components.objects[node.component_id]
        found = []
        for ref in dict.fromkeys(obj.refs("precondition")):
            if self.components.runnable.get(ref.id) is not Category.PRECONDITION:
                continue
            precondition = self.components.objects[ref.id]
            group, resource = self._place(node)
            found.append(
                replace(
                    node,
                    instance_id=self._precondition_id(ref.id, node.component_id),
                    component_id=ref.id,
                    name=precondition.name,
                    type=precondition.type or "",
                    category=Category.PRECONDITION,
                    worker_group=group,
                    node_id=node.instance_id,
                    # What is to be looked at must have been written first.
                    dependencies=(*dict.fromkeys(self._written(node)), *resource),
                )
            )
        return found

    def _precondition_id(self, precondition_id: str, node_id: str) -> str:
        """`@<precondition>_<start>`; with the node's id in between when several nodes share it."""
        if len(self.components.guarded.get(precondition_id, ())) > 1:
            precondition_id = f"{precondition_id}_{node_id}"
        return instance_id(precondition_id, self.occurrence.start)

    def _dependencies(self, component_id: str, category: Category) -> Iterable[Dependency]:
        obj = self.components.objects[component_id]
        if category is Category.ACTIVITY:
            for ref in obj.refs("input"):
                yield from self._matching(ref.id, DependencyKind.INPUT)
            yield from self._runs_on(component_id)
        if category is Category.DATANODE:
            yield from self._producers(component_id)
        if category is not Category.RESOURCE:
            for ref in obj.refs("dependsOn"):
                yield from self._matching(ref.id, DependencyKind.DEPENDS_ON)
        for ref in obj.refs("precondition"):
            if self.components.runnable.get(ref.id) is Category.PRECONDITION:
                yield Dependency(
                    self._precondition_id(ref.id, component_id), DependencyKind.PRECONDITION
                )

    def _written(self, node: InstanceSpec) -> Iterable[Dependency]:
        return self._producers(node.component_id) if node.category is Category.DATANODE else ()

    def _runs_on(self, component_id: str) -> tuple[Dependency, ...]:
        """The resource; of several periods of it, the one in which the activity starts."""
        runs_on = self.components.objects[component_id].ref("runsOn")
        if runs_on is None:
            return ()
        return tuple(islice(self._matching(runs_on.id, DependencyKind.RESOURCE), 1))

    def _producers(self, node_id: str) -> Iterable[Dependency]:
        readers = self.components.consumers.get(node_id, ())
        for producer in self.components.producers.get(node_id, ()):
            # An activity that reads what it writes must not wait for itself.
            if producer not in readers:
                yield from self._matching(producer, DependencyKind.PRODUCER)

    def _matching(self, component_id: str, kind: DependencyKind) -> Iterable[Dependency]:
        """The instances of a component that belong to this period."""
        if component_id not in self.components.runnable:
            return
        other = self.components.schedule_id(component_id, on_demand=self.on_demand)
        if other is None:
            return
        if other == self.schedule_id:
            yield Dependency(instance_id(component_id, self.occurrence.start), kind)
            return
        start, end = self.occurrence.start, self.occurrence.end
        for occurrence in self.surroundings.overlapping(other, start, end):
            yield Dependency(instance_id(component_id, occurrence.start), kind)

    def _worker_group(self, component_id: str) -> str | None:
        """Whose runners do the work: of the resource that it runs on, else those named."""
        if self.components.runnable.get(component_id) is Category.RESOURCE:
            own = instance_id(component_id, self.occurrence.start)
            return resource_worker_group(self.pipeline_id, own)
        if self.components.objects[component_id].ref("runsOn") is None:
            return self.surroundings.text(component_id, "workerGroup", self.occurrence)
        for resource in self._runs_on(component_id):
            return resource_worker_group(self.pipeline_id, resource.instance_id)
        return None

    def _place(self, node: InstanceSpec) -> tuple[str | None, tuple[Dependency, ...]]:
        """Where a precondition runs, and the resource that is launched for it.

        That is where its activity runs; a data node's, where its readers or else its writers do.
        """
        users = self.components.consumers.get(node.component_id, ())
        makers = self.components.producers.get(node.component_id, ())
        for user in (node.component_id, *users, *makers):
            group = self._worker_group(user)
            if group:
                return group, self._runs_on(user)
        return None, ()

"""A definition made ready for running: inheritance applied, fields evaluated for a period."""

from __future__ import annotations

import contextlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from taskrunner.errors import DefinitionError
from taskrunner.model.catalog import category_of
from taskrunner.model.document import Definition, Field, PipelineObject, Ref, Value
from taskrunner.model.expressions import VERBATIM, Scope, evaluate, evaluate_object
from taskrunner.model.inheritance import DEFAULT_ID, effective
from taskrunner.model.instances import Category, Components
from taskrunner.model.parameters import parameter_values
from taskrunner.model.policy import DEFAULT_ACTIVE_INSTANCES, POLICY_FIELDS, Policy
from taskrunner.model.runs import DEFAULT_ACTIVE_RUNS, MOST_ACTIVE_RUNS
from taskrunner.model.schedule import ON_DEMAND_ID, ONDEMAND_PERIOD, Schedule, ScheduleType
from taskrunner.model.validate import Report, validate
from taskrunner.secret import Secret, is_secret
from taskrunner.service.masking import mask

#: A version of a pipeline's definition, by the pipeline's id and the version's number.
Load = Callable[[str, int], "LoadedDefinition"]

#: Categories whose instances of a schedule have a limit although no maxActiveInstances says so.
_LIMITED = frozenset({Category.ACTIVITY, Category.RESOURCE})
#: In a period: one that is as long as the month or year in which it begins.
_BY_CALENDAR = re.compile("month|year", re.IGNORECASE)

RuntimeFields = Mapping[str, "str | datetime | Ref"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The period that fields are evaluated for, and runtime fields known beyond it."""

    start: datetime
    end: datetime
    #: Object id -> runtime fields (@status, @actualStartTime, ...).
    more: Mapping[str, RuntimeFields] = field(default_factory=dict)


@dataclass(frozen=True)
class LoadedDefinition:
    """One version of a pipeline's definition, ready to be asked."""

    definition: Definition
    retry_delay_cap: timedelta | None = None

    @cached_property
    def objects(self) -> Mapping[str, PipelineObject]:
        """The effective objects by id, with what says how the pipeline runs evaluated.

        Published definitions leave that to a parameter: it is the same in every period.
        """
        found = effective(self.definition)
        return {key: self._with_style(obj, found) for key, obj in found.items()}

    def _with_style(
        self, obj: PipelineObject, objects: Mapping[str, PipelineObject]
    ) -> PipelineObject:
        keys = {"scheduleType", "period"} if obj.type == "Schedule" else {"scheduleType"}
        scope = Scope(objects=objects, object_id=obj.id, parameters=self.parameters)
        try:
            return evaluate_object(scope, only=keys)
        except DefinitionError:  # told where the field is read
            return obj

    @cached_property
    def for_eyes(self) -> LoadedDefinition:
        """The same with every secret hidden, also where an expression would reveal one."""
        return LoadedDefinition(mask(self.definition), self.retry_delay_cap)

    @cached_property
    def secrets(self) -> Mapping[str, tuple[str, ...]]:
        """The values of the secret parameters."""
        return {key: held for key, held in self.parameters.items() if is_secret(key)}

    def secret_texts(self, moment: Moment) -> set[str]:
        """The values of every secret parameter and field, as they are in a period."""
        found = {text for held in self.secrets.values() for text in held}
        for object_id, obj in self.objects.items():
            for key in filter(is_secret, obj.keys()):
                with contextlib.suppress(DefinitionError):
                    values = self.values(object_id, key, moment)
                    found.update(value for value in values if isinstance(value, str))
        return found

    @cached_property
    def components(self) -> Components:
        """The runnable components."""
        return Components.of(self.objects, category_of)

    @cached_property
    def parameters(self) -> Mapping[str, tuple[str, ...]]:
        """The parameters' values; an optional one without any is an empty text."""
        optional = {
            p.id: ("",)
            for p in self.definition.parameters
            if (p.attribute("optional") or "").strip().lower() == "true"
        }
        return {**optional, **parameter_values(self.definition)}

    @cached_property
    def parameter_types(self) -> Mapping[str, str]:
        """The parameters' declared types."""
        return {p.id: p.attribute("type") or "String" for p in self.definition.parameters}

    @cached_property
    def report(self) -> Report:
        """Everything that is wrong in it, or has no effect; secrets stand in none of it."""
        return validate(self.for_eyes.definition)

    @cached_property
    def mistakes(self) -> Mapping[str, str]:
        """What is wrong with each object that anything is wrong with."""
        found: dict[str, list[str]] = {}
        for finding in self.report.errors:
            said = f"{finding.field}: {finding.message}" if finding.field else finding.message
            found.setdefault(finding.id or "", []).append(said)
        return {object_id: "; ".join(said) for object_id, said in found.items()}

    @cached_property
    def on_demand(self) -> bool:
        """Whether the pipeline runs once per activation."""
        return self.components.on_demand or any(
            (obj.string("period") or "").strip().upper() == ONDEMAND_PERIOD
            for obj in self.objects.values()
            if obj.type == "Schedule"
        )

    def schedules(self, activated_at: datetime) -> dict[str, Schedule]:
        """The schedules that components run by. Raises DefinitionError for one that is unusable."""
        if self.on_demand:
            return {ON_DEMAND_ID: Schedule.on_demand(activated_at)}
        used = {
            schedule_id
            for component_id in self.components.runnable
            if (schedule_id := self.components.schedule_id(component_id, on_demand=False))
        }
        moment = Moment(start=activated_at, end=activated_at)
        return {
            schedule_id: Schedule.from_object(
                self.evaluated(schedule_id, moment), activated_at=activated_at
            )
            for schedule_id in sorted(used)
            if schedule_id in self.objects
        }

    def styles(self, schedule_id: str) -> set[ScheduleType]:
        """The schedule types of the components that run by a schedule."""
        return {
            self.components.schedule_type(component_id)
            for component_id in self.components.runnable
            if self.components.schedule_id(component_id, on_demand=self.on_demand) == schedule_id
        }

    def scope(self, object_id: str, moment: Moment, node: str | None = None) -> Scope:
        """What expressions in an object's fields see; others see the same period."""
        own: RuntimeFields = {
            "@scheduledStartTime": moment.start,
            "@scheduledEndTime": moment.end,
            **moment.more.get(object_id, {}),
        }
        return Scope(
            objects=self.objects,
            parameters=self.parameters,
            parameter_types=self.parameter_types,
            object_id=object_id,
            runtime={**moment.more, object_id: own},
            node=node,
        )

    def values(
        self, object_id: str, key: str, moment: Moment, node: str | None = None
    ) -> tuple[Value, ...]:
        """The values of one field, expressions evaluated. Raises ExpressionError.

        A value that comes out empty is left out: the API knows no empty fields, and an optional
        parameter that is not given takes its field away. What comes of a secret is a `Secret`.
        """
        scope: Scope | None = None
        found: list[Value] = []
        for value in self.objects[object_id].values(key):
            if isinstance(value, Ref) or key in VERBATIM or "#{" not in value:
                hide = is_secret(key) and isinstance(value, str)
                found.append(Secret(str(value)) if hide else value)
            else:
                scope = scope or self.scope(object_id, moment, node)
                found.extend(filter(None, evaluate(value, scope, secret=is_secret(key))))
        return tuple(found)

    def text(self, object_id: str, key: str, moment: Moment) -> str | None:
        """The first plain value of a field, evaluated; None when not set or not evaluable."""
        try:
            values = self.values(object_id, key, moment)
        except DefinitionError:
            return None
        return next((value for value in values if isinstance(value, str)), None)

    def evaluated(self, object_id: str, moment: Moment, node: str | None = None) -> PipelineObject:
        """An effective object with every field evaluated. Raises ExpressionError."""
        obj = self.objects[object_id]
        fields = [
            Field(key, value)
            for key in obj.keys()  # noqa: SIM118 - not a dict
            for value in self.values(object_id, key, moment, node)
        ]
        return PipelineObject(id=obj.id, name=obj.name, fields=tuple(fields))

    def policy(self, component_id: str, moment: Moment) -> Policy:
        """The component's policy in a period."""
        if component_id in self._policies:
            return self._policies[component_id]
        told = [f for f in self.objects[component_id].fields if f.key in POLICY_FIELDS]
        alike = (self.components.runnable.get(component_id), tuple(told))
        policy = self._alike.get(alike)
        if policy is None:
            keys = {f.key for f in told}

            def text(key: str) -> str | None:
                return self.text(component_id, key, moment) if key in keys else None

            policy = Policy.of(text, at=moment.start, retry_delay_cap=self.retry_delay_cap)
            policy = self._with_defaults(component_id, policy)
            if any(self._depends_on_period(component_id, key) for key in keys):
                return policy
            self._alike[alike] = policy
        self._policies[component_id] = policy
        return policy

    @cached_property
    def _policies(self) -> dict[str, Policy]:
        """Those that are the same in every period: reading one costs more than using it."""
        return {}

    @cached_property
    def _alike(self) -> dict[tuple[Category | None, tuple[Field, ...]], Policy]:
        """The same, by what says them: mostly all components have them from Default."""
        return {}

    def _depends_on_period(self, object_id: str, key: str) -> bool:
        """Whether a field has an expression, or a duration whose length the calendar decides."""
        values = self.objects[object_id].values(key)
        texts = (value for value in values if isinstance(value, str))
        return any("#{" in text or _BY_CALENDAR.search(text) for text in texts)

    def _with_defaults(self, component_id: str, policy: Policy) -> Policy:
        category = self.components.runnable.get(component_id)
        if category is Category.PRECONDITION:
            # It has no such field; what Default says for others is not meant for it.
            policy = replace(policy, max_active=None)
        elif policy.max_active is None and category in _LIMITED and not self.on_demand:
            policy = replace(policy, max_active=DEFAULT_ACTIVE_INSTANCES)
        # On demand nothing has a time to be late for.
        return replace(policy, late_after=None) if self.on_demand else policy

    def active_runs(self, moment: Moment) -> int:
        """How many runs on demand may be active at once: what Default says for the pipeline."""
        limit = self.policy(DEFAULT_ID, moment).max_active if DEFAULT_ID in self.objects else None
        return min(limit or DEFAULT_ACTIVE_RUNS, MOST_ACTIVE_RUNS)


#: Objects in the definitions that are held together: what one takes in memory is theirs. A
#: thousand pipelines of 20 activities fit in, which else would be read anew at each period.
MOST_OBJECTS = 32_000


class DefinitionCache:
    """The definitions used last, by pipeline and version; versions never change."""

    def __init__(
        self,
        load: Callable[[str, int], Definition],
        *,
        retry_delay_cap: timedelta | None = None,
        most_objects: int = MOST_OBJECTS,
    ) -> None:
        self._load = load
        self._most_objects, self._objects = most_objects, 0
        self._retry_delay_cap = retry_delay_cap
        self._held: OrderedDict[tuple[str, int], LoadedDefinition] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, pipeline_id: str, version: int) -> LoadedDefinition:
        """The definition, loaded when it is not held."""
        key = (pipeline_id, version)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        loaded = self.uncommitted(self._load(pipeline_id, version))
        with self._lock:
            self._forget(key)  # another thread may have loaded it meanwhile
            self._held[key] = loaded
            self._objects += _size_of(loaded)
            while self._objects > self._most_objects and len(self._held) > 1:
                self._forget(next(iter(self._held)))
        return loaded

    def forget(self, pipeline_id: str, version: int) -> None:
        """Load it anew when it is asked for again: its secrets were removed."""
        with self._lock:
            self._forget((pipeline_id, version))

    def _forget(self, key: tuple[str, int]) -> None:
        if (held := self._held.pop(key, None)) is not None:
            self._objects -= _size_of(held)

    def uncommitted(self, definition: Definition) -> LoadedDefinition:
        """A definition that has no version yet, or may lose it again: nothing of it is held."""
        return LoadedDefinition(definition, self._retry_delay_cap)


def _size_of(loaded: LoadedDefinition) -> int:
    return 1 + len(loaded.definition.objects)

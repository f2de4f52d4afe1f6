"""The conditions of QueryObjects as the store can ask them of rows.

What a selector means is said by `selectors.Condition`, which decides about every object that is
shown. Here is only what its rows have in common, as far as columns and definitions tell it: never
less than meets it, so that nothing is missed, and mostly no more, so that little is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from taskrunner.model.catalog import find_type
from taskrunner.model.document import PipelineObject
from taskrunner.model.instances import Category
from taskrunner.model.states import InstanceStatus
from taskrunner.model.times import parse_datetime
from taskrunner.service.definitions import LoadedDefinition
from taskrunner.service.runtime import RuntimeField, known_as
from taskrunner.service.runtime_values import Column, Constant, OfInstance
from taskrunner.service.selectors import NUMBERS_AND_TIMES, Condition
from taskrunner.service.store.moments import UtcDateTime
from taskrunner.service.store.tables import attempts, instances

Clause = sa.ColumnElement[bool]
_SECOND = timedelta(seconds=1)
#: A moment in one of these years may have none before it, or none after it.
_FIRST_YEAR, _LAST_YEAR = MINYEAR, MAXYEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class RowPlan:
    """How the rows are found that may meet some conditions."""

    #: Clauses by parts that have no row in common; no part: no row can meet the conditions.
    parts: Sequence[Sequence[Clause]]
    #: Whether an index finds the rows of each part in their order.
    by_index: bool


@dataclass(frozen=True, slots=True)
class RowConditions:
    """Of instances or attempts of one pipeline, by every version of its definition."""

    table: sa.Table
    versions: Mapping[int, LoadedDefinition]

    def plan(self, conditions: Iterable[Condition]) -> RowPlan:
        """What is to be asked of the store."""
        clauses: list[Clause] = []
        in_order: list[Clause] = []
        few = False
        statuses: set[str] | None = None
        components: set[str] | None = None
        for condition in conditions:
            if condition.equals and condition.field == "@status":
                statuses = _both(statuses, condition.wanted)
            elif condition.equals and condition.field in _PARENTS and self.table is instances:
                components = _both(components, condition.wanted)
            elif condition.field == "@scheduledStartTime" and self.table is instances:
                in_order += self._clauses(condition)
            else:
                clauses += self._clauses(condition)
                few = few or (condition.equals and condition.field in _KEYS[self.table])
        split = self._split(statuses, components)
        by_index = not clauses and (self.table is instances or statuses is None)
        if components is not None and len(components) > _MOST_SPLIT:
            by_index = False
        parts = [[*clauses, *in_order, *some] for some in split]
        return RowPlan(parts=parts, by_index=by_index or few)

    def _split(
        self, statuses: set[str] | None, components: set[str] | None
    ) -> Iterable[Sequence[Clause]]:
        """A part for each value by which an index holds the rows in their order."""
        status, component = self.table.c.status, instances.c.component_id
        if self.table is not instances:
            return [[] if statuses is None else [status.in_(sorted(statuses))]]
        if components is None or len(components) > _MOST_SPLIT:
            more = [] if components is None else [component.in_(sorted(components))]
            if statuses is None:
                return [more]
            return [[status == one, *more] for one in sorted(statuses & _STATUSES)]
        return [
            (component == key, status == one)
            for key in sorted(components)
            for one in sorted(_STATUSES if statuses is None else statuses & _STATUSES)
        ]

    def _clauses(self, condition: Condition) -> list[Clause]:
        known = known_as(condition.field)
        getters = [(one, self._getter(one)) for one in known]
        found = [(one, getter) for one, getter in getters if getter is not None]
        if not found:
            return self._own(condition)
        if len(found) > 1:
            return []
        field, getter = found[0]
        if isinstance(getter, Constant):
            cannot = condition.equals and getter.value not in condition.wanted
            return [sa.false()] if cannot else []
        if not isinstance(getter, Column | OfInstance) or self._may_have_own(condition.field):
            return []
        return self._of_column(condition, field, getter)

    def _getter(self, field: RuntimeField) -> object:
        return field.instance if self.table is instances else field.attempt

    def _may_have_own(self, field: str) -> bool:
        """Whether a definition may say what the run says nothing of."""
        if field.startswith("@"):
            return False
        return any(obj.has(field) for _, obj in self._objects())

    def _of_column(
        self, condition: Condition, field: RuntimeField, getter: Column | OfInstance
    ) -> list[Clause]:
        in_instance = isinstance(getter, OfInstance)
        column = (instances if in_instance else self.table).c[getter.name]
        compare = _TIMES if isinstance(column.type, UtcDateTime) else _TEXTS
        if not isinstance(column.type, UtcDateTime | sa.Text):
            return []
        make = compare.get(condition.operator)
        clause = make(column, condition.wanted) if make else None
        if clause is None:
            return []
        if self.table is instances and field.only != frozenset(Category):
            clause &= instances.c.category.in_(sorted(field.only))
        return [_of_its_instance(clause) if in_instance else clause]

    # -- what stands in the definition ------------------------------------------------------------

    def _own(self, condition: Condition) -> list[Clause]:
        """The components that have the field, and may have such a value."""
        if condition.field.startswith("@"):
            return [sa.false()]
        having: dict[int, list[str]] = {version: [] for version in self.versions}
        for version, obj in self._objects():
            if _may_meet(condition, obj):
                having[version].append(obj.id)
        if all(len(ids) == len(self.versions[v].objects) for v, ids in having.items()):
            return []
        clause = sa.or_(
            sa.false(),
            *(
                (instances.c.version == version) & instances.c.component_id.in_(ids)
                for version, ids in having.items()
                if ids
            ),
        )
        return [clause if self.table is instances else _of_its_instance(clause)]

    def _objects(self) -> Iterable[tuple[int, PipelineObject]]:
        return (
            (version, obj)
            for version, loaded in self.versions.items()
            for obj in loaded.for_eyes.objects.values()
        )


_STATUSES = frozenset(map(str, InstanceStatus))
_PARENTS = frozenset({"parent", "@componentParent"})
#: Of these there are but few rows to each value.
_KEYS: Mapping[sa.Table, frozenset[str]] = {
    instances: frozenset({"id", "@id"}),
    attempts: frozenset({"id", "@id", "@instanceParent"}),
}
#: Of more components than this the rows are not looked up one component after the other.
_MOST_SPLIT = 4


def _both(before: set[str] | None, wanted: Iterable[str]) -> set[str]:
    return set(wanted) if before is None else before & set(wanted)


def _of_its_instance(clause: Clause) -> Clause:
    return sa.exists().where(
        instances.c.pipeline_id == attempts.c.pipeline_id,
        instances.c.instance_id == attempts.c.instance_id,
        clause,
    )


def _may_meet(condition: Condition, obj: PipelineObject) -> bool:
    texts, refs = obj.strings(condition.field), obj.refs(condition.field)
    if refs or not condition.equals or any("#{" in text for text in texts):
        return bool(refs or texts)
    known = find_type(obj.type or "")
    field = known.fields.get(condition.field) if known else None
    if field is not None and field.slot in NUMBERS_AND_TIMES:
        return bool(texts)  # "1.0" is 1
    return any(text in condition.wanted for text in texts)


def _text_equals(column: sa.Column[Any], wanted: Sequence[str]) -> Clause:
    return column.in_(wanted)


def _moments(wanted: Sequence[str]) -> list[datetime] | None:
    try:
        found = [parse_datetime(text) for text in wanted]
    except (ValueError, OverflowError):
        return None  # refused, or met by nothing, once something is compared with it
    return found if all(_FIRST_YEAR < one.year < _LAST_YEAR for one in found) else None


def _time_equals(column: sa.Column[Any], wanted: Sequence[str]) -> Clause | None:
    # What is shown has whole seconds, what is stored has not.
    found = _moments(wanted)
    if found is None:
        return None
    return sa.or_(*((column >= one) & (column < one + _SECOND) for one in found))


def _time_until(column: sa.Column[Any], wanted: Sequence[str]) -> Clause | None:
    found = _moments(wanted)
    return None if found is None else column <= min(found)


def _time_from(column: sa.Column[Any], wanted: Sequence[str]) -> Clause | None:
    found = _moments(wanted)
    return None if found is None else column >= max(found)


def _time_between(column: sa.Column[Any], wanted: Sequence[str]) -> Clause | None:
    found = _moments(wanted)
    return None if found is None else (column >= found[0]) & (column <= found[1])


_Make = Callable[[sa.Column[Any], Sequence[str]], Clause | None]
#: Texts are compared for equality only: databases differ in their order.
_TEXTS: Mapping[str, _Make] = {"EQ": _text_equals, "REF_EQ": _text_equals}
_TIMES: Mapping[str, _Make] = {
    "EQ": _time_equals,
    "LE": _time_until,
    "GE": _time_from,
    "BETWEEN": _time_between,
}

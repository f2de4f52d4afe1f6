"""Every occurrence of every schedule of a definition, merged in the order in which they run."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from taskrunner.errors import DefinitionError
from taskrunner.model.catalog import category_of
from taskrunner.model.document import PipelineObject
from taskrunner.model.expressions import Scope, evaluate_object
from taskrunner.model.schedule import (
    ONDEMAND_PERIOD,
    Occurrence,
    Schedule,
    ScheduleType,
    runs_at,
)

_SCHEDULE_FIELDS = ("period", "startAt", "startDateTime", "endDateTime", "occurrences")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One occurrence of a schedule, and from when its activities may run."""

    schedule_id: str
    occurrence: Occurrence
    runs_at: datetime


def timetable(
    objects: Mapping[str, PipelineObject],
    parameters: Mapping[str, Sequence[str]],
    *,
    activated_at: datetime,
) -> Iterator[Entry]:
    """The occurrences of effective objects' schedules, by the time they run; perhaps for ever.

    Raises DefinitionError for a schedule that cannot be read, and when there is none.
    """
    evaluated = {
        object_id: _evaluated(obj, objects, parameters) for object_id, obj in objects.items()
    }
    schedules = [obj for obj in evaluated.values() if obj.type == "Schedule"]
    if _on_demand(evaluated, schedules):
        return _entries(Schedule.on_demand(activated_at), ScheduleType.ONDEMAND)
    if not schedules:
        raise DefinitionError("there is no Schedule object, and scheduleType is not ondemand")
    found = [
        _entries(Schedule.from_object(obj, activated_at=activated_at), schedule_type)
        for obj in schedules
        for schedule_type in sorted(_types(obj, evaluated))
    ]
    return heapq.merge(*found, key=lambda e: (e.runs_at, e.occurrence.start, e.schedule_id))


def _entries(schedule: Schedule, schedule_type: ScheduleType) -> Iterator[Entry]:
    for occurrence in schedule.iterate():
        moment = runs_at(occurrence, schedule_type)
        yield Entry(schedule_id=schedule.id, occurrence=occurrence, runs_at=moment)


def _evaluated(
    obj: PipelineObject,
    objects: Mapping[str, PipelineObject],
    parameters: Mapping[str, Sequence[str]],
) -> PipelineObject:
    """The object with what matters for scheduling evaluated; the rest may need a run."""
    keys = {"scheduleType", *(_SCHEDULE_FIELDS if obj.type == "Schedule" else ())}
    return evaluate_object(
        Scope(objects=objects, object_id=obj.id, parameters=parameters), only=keys
    )


def _on_demand(objects: Mapping[str, PipelineObject], schedules: Sequence[PipelineObject]) -> bool:
    return any(ScheduleType.of(o) is ScheduleType.ONDEMAND for o in objects.values()) or any(
        (schedule.string("period") or "").strip().upper() == ONDEMAND_PERIOD
        for schedule in schedules
    )


def _types(schedule: PipelineObject, objects: Mapping[str, PipelineObject]) -> set[ScheduleType]:
    """The schedule types of the activities that run by a schedule, else of its data nodes."""
    for category in ("activity", "datanode"):
        found = {
            ScheduleType.of(obj)
            for obj in objects.values()
            if category_of(obj.type or "") == category
            and any(ref.id == schedule.id for ref in obj.refs("schedule"))
        }
        if found:
            return found
    return {ScheduleType.of(schedule)}

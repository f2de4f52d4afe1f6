"""Why a pipeline waits, by AWS's own operations: what DescribeObjects and the like tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from taskrunner.errors import CallRefused, UsageError
from taskrunner.model.document import Field, PipelineObject
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, InstanceStatus
from taskrunner.model.times import parse_datetime
from taskrunner.model.why.described import dependencies, known_of, status_of
from taskrunner.model.why.facts import Facts, Known, Pause, Pipeline
from taskrunner.model.why.pipelines import Sample, Why, explain_all
from taskrunner.wire.api import Call
from taskrunner.wire.inputs import (
    DescribeObjectsInput,
    DescribePipelinesInput,
    GetPipelineDefinitionInput,
    QueryObjectsInput,
    ValidatePipelineDefinitionInput,
)
from taskrunner.wire.structures import Operator, Query, Selector

#: Objects that AWS describes in one call, and how many are looked at in all.
_AT_ONCE = 25
_MOST = 200
#: Instances of one status that are looked at, the first that the service names.
_MOST_OF_STATUS = 25
_LOOKED_FOR = (
    *(status for status in InstanceStatus if status not in INSTANCE_TERMINAL),
    *sorted(INSTANCE_FAILED),
)


def why_by_api(call: Call, pipeline_id: str, about: str | None, now: datetime) -> Why:
    """The answer about a pipeline, or about one instance or attempt of it.

    Raises UsageError for one that is not there, and what the calls do.
    """
    pipeline = _pipeline(call, pipeline_id)
    looking = _Looking(call, pipeline_id)
    ids = looking.worst() if about is None else [about.rsplit("_Attempt=", 1)[0]]
    looking.at(ids)
    if about is not None and not looking.instances:
        raise UsageError(f"pipeline {pipeline_id} has no instance {about!r}")
    facts = Facts(now=now, pipeline=pipeline, instances=looking.instances, whole=False)
    samples = _samples(looking.instances, ids)
    return explain_all(facts, tuple(samples))


def _samples(instances: Mapping[str, Known], ids: Sequence[str]) -> Iterator[Sample]:
    """The first of each component in each status, with how many others there are."""
    found: dict[tuple[str, str], list[str]] = {}
    for key in ids:
        if (known := instances.get(key)) is not None:
            found.setdefault((known.row.component_id, known.row.status), []).append(key)
    for (_, status), members in found.items():
        oldest = min(members, key=lambda key: instances[key].row.scheduled_start)
        more = len(members) >= _MOST_OF_STATUS and status not in INSTANCE_TERMINAL
        yield Sample(instance_id=oldest, count=len(members), more=more)


def _pipeline(call: Call, pipeline_id: str) -> Pipeline:
    described = call(DescribePipelinesInput(pipeline_ids=(pipeline_id,)))
    description = described.pipeline_description_list[0]
    fields = {item.key: str(item.value) for item in description.fields}
    state = fields.get("@pipelineState", "")
    latest = call(GetPipelineDefinitionInput(pipeline_id=pipeline_id))
    active = _active_objects(call, pipeline_id)
    changed = active is not None and _plain(active) != _plain(latest.pipeline_objects)
    mistakes: dict[str, str] = {}
    if latest.pipeline_objects and (active is None or changed):
        checked = call(
            ValidatePipelineDefinitionInput(
                pipeline_id=pipeline_id,
                pipeline_objects=latest.pipeline_objects,
                parameter_objects=latest.parameter_objects,
                parameter_values=latest.parameter_values,
            )
        )
        mistakes = {e.id or "": "; ".join(e.errors) for e in checked.validation_errors}
    # The API tells no numbers of versions: 2 stands for one that is newer than the active one.
    return Pipeline(
        pipeline_id=pipeline_id,
        name=description.name,
        state=state,
        latest=0 if not latest.pipeline_objects else 2 if changed else 1,
        active=0 if active is None else 1,
        mistakes=mistakes,
        pause=Pause(object_id=pipeline_id) if state == "PAUSED" else None,
        stopped_at=_moment(fields.get("@lastDeactivatedTime")),
        next_run=_moment(fields.get("@nextRunTime")),
    )


def _active_objects(call: Call, pipeline_id: str) -> tuple[PipelineObject, ...] | None:
    """The definition that is active; None: it was never activated."""
    try:
        request = GetPipelineDefinitionInput(pipeline_id=pipeline_id, version="active")
        return call(request).pipeline_objects or None
    except CallRefused as error:
        if error.code != "InvalidRequestException":
            raise
        return None


def _plain(objects: Iterable[PipelineObject]) -> dict[str, list[Field]]:
    return {
        obj.id: sorted(obj.fields, key=lambda item: (item.key, str(item.value))) for obj in objects
    }


def _moment(text: str | None) -> datetime | None:
    try:
        return parse_datetime(text) if text else None
    except ValueError:
        return None


@dataclass(slots=True)
class _Looking:
    """Walks from instances to what holds them back."""

    call: Call
    pipeline_id: str
    instances: dict[str, Known] = field(default_factory=dict)
    _objects: dict[str, PipelineObject] = field(default_factory=dict)

    def worst(self) -> list[str]:
        """Instances that wait or have failed, some of each status."""
        return [key for status in _LOOKED_FOR for key in self._with_status(status)]

    def _with_status(self, status: InstanceStatus) -> Sequence[str]:
        equal = Operator(type="EQ", values=(str(status),))
        request = QueryObjectsInput(
            pipeline_id=self.pipeline_id,
            sphere="INSTANCE",
            query=Query(selectors=(Selector(field_name="@status", operator=equal),)),
            limit=_MOST_OF_STATUS,
        )
        return self.call(request).ids

    def at(self, ids: Sequence[str]) -> None:
        """Take note of these, and of all that they wait for."""
        frontier = list(dict.fromkeys(ids))
        asked: set[str] = set()
        while frontier and len(self._objects) < _MOST:
            asked.update(frontier)
            self._describe(frontier[: _MOST - len(self._objects)])
            waited = (key for obj in self._objects.values() for key in _before(obj))
            frontier = [key for key in dict.fromkeys(waited) if key not in asked]
        statuses = {key: status for key, obj in self._objects.items() if (status := status_of(obj))}
        tried = self._tried()
        for key, obj in self._objects.items():
            known = known_of(self.pipeline_id, obj, tried.get(key, ()), statuses)
            if known is not None:
                self.instances[key] = known

    def _describe(self, ids: Sequence[str]) -> None:
        for obj in self._described(ids):
            self._objects[obj.id] = obj

    def _described(self, ids: Sequence[str]) -> Iterator[PipelineObject]:
        for at in range(0, len(ids), _AT_ONCE):
            request = DescribeObjectsInput(
                pipeline_id=self.pipeline_id, object_ids=tuple(ids[at : at + _AT_ONCE])
            )
            try:
                yield from self.call(request).pipeline_objects
            except CallRefused as error:
                # One that is not there has all of them refused.
                if error.code != "InvalidRequestException":
                    raise
                yield from self._one_by_one(request.object_ids)

    def _one_by_one(self, ids: Sequence[str]) -> Iterator[PipelineObject]:
        for key in ids if len(ids) > 1 else ():
            yield from self._described([key])

    def _tried(self) -> dict[str, list[PipelineObject]]:
        """Of each instance its newest attempt and the one before, the newest last."""
        wanted = {
            key: _last_two(ref.id)
            for key, obj in self._objects.items()
            if (ref := obj.ref("@headAttempt")) is not None
        }
        ids = [attempt for attempts in wanted.values() for attempt in attempts]
        found = {obj.id: obj for obj in self._described(ids)}
        return {
            key: [found[attempt] for attempt in attempts if attempt in found]
            for key, attempts in wanted.items()
        }


def _last_two(head: str) -> list[str]:
    stem, _, number = head.rpartition("_Attempt=")
    if not number.isdigit() or int(number) < 2:
        return [head]
    return [f"{stem}_Attempt={int(number) - 1}", head]


def _before(obj: PipelineObject) -> Iterator[str]:
    """The instances that hold an instance back, or drew it along, if anything does."""
    status = status_of(obj)
    if status in INSTANCE_FAILED:
        cause = obj.ref("@cascadeFailedOn")
        yield from [cause.id] if cause else []
    elif status is not None and status not in INSTANCE_TERMINAL:
        yield from (dependency.instance_id for dependency in dependencies(obj))
        # Of a resource, who is to run on it.
        yield from (ref.id for ref in obj.refs("input") if ref.id.startswith("@"))

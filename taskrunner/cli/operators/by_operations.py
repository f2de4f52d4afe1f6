"""What AWS's 19 operations say of pipelines and instances, in the form of /v1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from taskrunner.errors import UsageError
from taskrunner.model.document import Definition, Field, ParameterValue, PipelineObject, Ref
from taskrunner.model.run_status import run_status
from taskrunner.model.states import INSTANCE_FAILED, INSTANCE_TERMINAL, InstanceStatus
from taskrunner.wire.client import Client
from taskrunner.wire.inputs import (
    ActivatePipelineInput,
    CreatePipelineInput,
    DeactivatePipelineInput,
    DeletePipelineInput,
    DescribeObjectsInput,
    DescribePipelinesInput,
    GetPipelineDefinitionInput,
    ListPipelinesInput,
    PutPipelineDefinitionInput,
    QueryObjectsInput,
    SetStatusInput,
)
from taskrunner.wire.outputs import PutPipelineDefinitionOutput
from taskrunner.wire.structures import Operator, PipelineDescription, Query, Selector, Tag

#: Ids that one call describes: of pipelines, and of objects as the guide has it.
_PIPELINES, _OBJECTS = 25, 25
#: Instances that are looked at for runs: AWS has no operation for them.
_MOST_LOOKED_AT = 2000
_WORDS = {"rerun": "RERUN", "cancel": "CANCEL", "finish": "MARK_FINISHED"}
_FITTING = {
    "rerun": INSTANCE_TERMINAL,
    "cancel": frozenset(InstanceStatus) - INSTANCE_TERMINAL,
    "finish": frozenset(InstanceStatus) - {InstanceStatus.FINISHED},
}
_MOST_TOLD = 1000
_PORTION = 100


class Operations:
    """The operations, as commands use them."""

    def __init__(self, client: Client) -> None:
        self._call = client.call

    # -- pipelines ------------------------------------------------------------------------------

    def pipelines(self, filters: Mapping[str, Any]) -> list[Any]:
        """Pipelines that meet filters, by their names."""
        wanted = str(filters.get("name") or "").casefold()
        rows = [self._row(described) for described in self._described(self._ids(wanted))]
        found = [row for row in rows if _meets(row, filters)]
        return sorted(found, key=lambda row: (row.get("health") != "ERROR", row["name"]))

    def pipeline(self, pipeline_id: str) -> Any:
        """One pipeline."""
        (described,) = self._described([pipeline_id])
        fields = _fields(described.fields)
        found = {
            "summary": self._row(described),
            "unique_id": fields.get("uniqueId"),
            "description": described.description,
            "schedule_start": _moment(fields.get("@scheduledStartTime")),
            "schedule_end": _moment(fields.get("@scheduledEndTime")),
            "first_activated": _moment(fields.get("@firstActivationTime")),
            "last_deactivated": _moment(fields.get("@lastDeactivatedTime")),
        }
        return {key: value for key, value in found.items() if value is not None}

    def _ids(self, wanted: str) -> list[str]:
        found, marker = [], None
        while True:
            page = self._call(ListPipelinesInput(marker=marker))
            found += [
                one.id
                for one in page.pipeline_id_list
                if one.id and (wanted in (one.name or "").casefold() or wanted in one.id.casefold())
            ]
            marker = page.marker
            if not page.has_more_results or marker is None:
                return found

    def _described(self, ids: Sequence[str]) -> Iterator[PipelineDescription]:
        for at in range(0, len(ids), _PIPELINES):
            some = tuple(ids[at : at + _PIPELINES])
            reply = self._call(DescribePipelinesInput(pipeline_ids=some))
            yield from reply.pipeline_description_list

    @staticmethod
    def _row(described: PipelineDescription) -> dict[str, Any]:
        fields = _fields(described.fields)
        row = {
            "id": described.pipeline_id,
            "name": described.name,
            "state": fields.get("@pipelineState"),
            "owner": fields.get("pipelineCreator"),
            "created": _moment(fields.get("@creationTime")),
            "health": fields.get("@healthStatus"),
            "next_run": _moment(fields.get("@nextRunTime")),
            "tags": {tag.key: tag.value for tag in described.tags},
        }
        return {key: value for key, value in row.items() if value is not None}

    def create(self, name: str, unique_id: str, tags: Mapping[str, str]) -> str:
        """Make a pipeline, or find the one that the same name and unique id made before."""
        request = CreatePipelineInput(
            name=name,
            unique_id=unique_id,
            tags=tuple(Tag(key, value) for key, value in tags.items()),
        )
        return self._call(request).pipeline_id

    def put(self, pipeline_id: str, definition: Definition) -> PutPipelineDefinitionOutput:
        """Replace a pipeline's definition."""
        return self._call(PutPipelineDefinitionInput.of(pipeline_id, definition))

    def definition(self, pipeline_id: str, version: str) -> Definition:
        """A definition, secrets masked."""
        found = self._call(GetPipelineDefinitionInput(pipeline_id=pipeline_id, version=version))
        return Definition(
            objects=found.pipeline_objects,
            parameters=found.parameter_objects,
            values=found.parameter_values,
        )

    def activate(
        self, pipeline_id: str, values: Mapping[str, Sequence[str]], start: datetime | None
    ) -> None:
        """Set a pipeline going."""
        given = tuple(
            ParameterValue(id=key, value=value) for key, some in values.items() for value in some
        )
        self._call(
            ActivatePipelineInput(
                pipeline_id=pipeline_id, parameter_values=given, start_timestamp=start
            )
        )

    def deactivate(self, pipeline_id: str, *, cancel_active: bool) -> None:
        """Stop a pipeline."""
        self._call(DeactivatePipelineInput(pipeline_id=pipeline_id, cancel_active=cancel_active))

    def delete(self, pipeline_id: str) -> None:
        """Delete a pipeline."""
        self._call(DeletePipelineInput(pipeline_id=pipeline_id))

    def set_status(self, pipeline_id: str, object_ids: Sequence[str], status: str) -> None:
        """Change objects by SetStatus."""
        self._call(
            SetStatusInput(pipeline_id=pipeline_id, object_ids=tuple(object_ids), status=status)
        )

    # -- instances ------------------------------------------------------------------------------

    def instances(self, pipeline_id: str, filters: Mapping[str, Any], limit: int) -> list[Any]:
        """Instances that meet filters, newest periods first."""
        found: dict[str, dict[str, Any]] = {}
        for selectors in _queries(filters):
            for ids in self._found(pipeline_id, selectors):
                for obj in self._objects(pipeline_id, ids):
                    row = _instance(obj)
                    if _instance_meets(row, filters):
                        found[row["id"]] = row
                if len(found) >= _MOST_LOOKED_AT:
                    break
        rows = sorted(found.values(), key=lambda row: (row["start"] or "", row["id"]), reverse=True)
        return rows[:limit]

    def runs(self, pipeline_id: str, limit: int) -> list[Any]:
        """The newest runs."""
        rows = self.instances(pipeline_id, {}, _MOST_LOOKED_AT)
        starts = sorted({row["start"] for row in rows if row["start"]}, reverse=True)[:limit]
        return [_run(start, [r for r in rows if r["start"] == start]) for start in starts]

    def change(self, pipeline_id: str, action: str, body: Mapping[str, Any]) -> Any:
        """Rerun, cancel or finish instances."""
        statuses = list(body.get("status") or ())
        if action == "rerun" and not statuses and not body.get("ids"):
            statuses = sorted(INSTANCE_FAILED)
        if body.get("ids"):
            rows = [
                _instance(obj)
                for at in range(0, len(body["ids"]), _OBJECTS)
                for obj in self._objects(pipeline_id, body["ids"][at : at + _OBJECTS])
            ]
        else:
            keys = ("run", "first", "last", "component")
            filters = {key: body.get(key) for key in keys}
            if not any([*filters.values(), body.get("status")]):
                raise UsageError("say which instances: by their ids, or by a selection")
            rows = self.instances(pipeline_id, {**filters, "status": statuses}, _MOST_LOOKED_AT)
        fit = [row for row in rows if row["status"] in _FITTING[action]]
        ids = [row["id"] for row in fit]
        for at in range(0, len(ids), _PORTION):
            self.set_status(pipeline_id, ids[at : at + _PORTION], _WORDS[action])
        return {
            "dry_run": False,
            "count": len(fit),
            "unchanged": len(rows) - len(fit),
            "instances": [
                {
                    "id": row["id"],
                    "component_id": row["component_id"],
                    "start": row["start"],
                    "was": row["status"],
                    "reason": "selected",
                }
                for row in fit[:_MOST_TOLD]
            ],
        }

    def _found(self, pipeline_id: str, selectors: Sequence[Selector]) -> Iterator[tuple[str, ...]]:
        marker = None
        while True:
            page = self._call(
                QueryObjectsInput(
                    pipeline_id=pipeline_id,
                    sphere="INSTANCE",
                    query=Query(selectors=tuple(selectors)),
                    marker=marker,
                )
            )
            for at in range(0, len(page.ids), _OBJECTS):
                yield page.ids[at : at + _OBJECTS]
            marker = page.marker
            if not page.has_more_results or marker is None:
                return

    def _objects(self, pipeline_id: str, ids: Sequence[str]) -> Sequence[PipelineObject]:
        request = DescribeObjectsInput(pipeline_id=pipeline_id, object_ids=tuple(ids))
        return self._call(request).pipeline_objects


def _fields(fields: Sequence[Field]) -> dict[str, str]:
    return {f.key: f.value.id if isinstance(f.value, Ref) else f.value for f in fields}


def _moment(text: str | None) -> str | None:
    return f"{text}Z" if text and not text.endswith("Z") else text


def _meets(row: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    states, health = filters.get("state"), filters.get("health")
    for wanted in filters.get("tag") or ():
        key, equals, value = wanted.partition("=")
        tags = row.get("tags", {})
        if key not in tags or (equals and tags[key] != value):
            return False
    return (not states or row.get("state") in states) and (
        not health or row.get("health") == health
    )


def _queries(filters: Mapping[str, Any]) -> list[list[Selector]]:
    """The queries whose results together hold all that is wanted: all selectors must be met."""
    base = []
    if filters.get("run"):
        base.append(_equals("@scheduledStartTime", str(filters["run"]).rstrip("Z")))
    statuses = filters.get("status") or [None]
    return [[*base, *([_equals("@status", status)] if status else [])] for status in statuses]


def _equals(name: str, value: str) -> Selector:
    return Selector(field_name=name, operator=Operator(type="EQ", values=(value,)))


def _instance(obj: PipelineObject) -> dict[str, Any]:
    fields = _fields(obj.fields)
    return {
        "id": obj.id,
        "component_id": fields.get("@componentParent") or fields.get("parent") or obj.name,
        "type": fields.get("type", ""),
        "status": fields.get("@status", ""),
        "start": _moment(fields.get("@scheduledStartTime")),
        "end": _moment(fields.get("@scheduledEndTime")),
        "began": _moment(fields.get("@actualStartTime")),
        "ended": _moment(fields.get("@actualEndTime")),
        "attempts": int(fields.get("@attemptCount") or 0),
        "group": fields.get("workerGroup"),
        "error_id": fields.get("errorId"),
        "error_message": fields.get("errorMessage"),
    }


def _instance_meets(row: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    components, start = filters.get("component"), row["start"] or ""
    return (
        (not components or row["component_id"] in components)
        and (not filters.get("first") or start >= filters["first"])
        and (not filters.get("last") or start <= filters["last"])
    )


def _run(start: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    known = {
        InstanceStatus(key): count
        for key, count in counts.items()
        if key in InstanceStatus.__members__
    }
    over = all(status in INSTANCE_TERMINAL for status in known)
    began = [row["began"] for row in rows if row["began"]]
    ended = [row["ended"] for row in rows if row["ended"]]
    found = {
        "start": start,
        "end": max((row["end"] for row in rows if row["end"]), default=None),
        "status": str(run_status(known)),
        "counts": counts,
        "began": min(began, default=None),
        "ended": max(ended, default=None) if over else None,
    }
    return {key: value for key, value in found.items() if value is not None}
